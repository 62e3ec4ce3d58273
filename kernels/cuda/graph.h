/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/graph.h - when a step is captured as a graph, and when it is replayed.
 *
 * There is one graph for each bucket of rows, as a step of that bucket is the same launches with
 * the same arguments each time:
 *
 *   PLAIN ── run ──► WARM ── begin, run, end, launch ──► CAPTURED ── launch ──► CAPTURED
 *                     │                                     │
 *                     └────── one of these fails ───────────┴──► REFUSED ── run ──► REFUSED
 *
 * The first step of a bucket is run as it is: what is loaded at a first use cannot be loaded
 * within a capture, and a shape that comes once is not worth one. What cannot be captured, or
 * cannot be launched, is run plainly from then on: nobody but the counters is told. Only a plain
 * run that fails is a failure. One thread. */
#ifndef SE_KERNELS_CUDA_GRAPH_H
#define SE_KERNELS_CUDA_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SE_GPU_GRAPHS_MAX = 96 };

enum se_gpu_graph_state {
    SE_GPU_GRAPH_PLAIN, /* not run yet */
    SE_GPU_GRAPH_WARM,  /* run once */
    SE_GPU_GRAPH_CAPTURED,
    SE_GPU_GRAPH_REFUSED,
};

/* What a graph is made with. 0, or < 0 for a failure, whose traces the function itself clears:
 * after one the stream takes launches as before, and does not capture. */
struct se_gpu_graph_ops {
    int (*run)(void *context, uint32_t bucket); /* starts the launches of a step */
    int (*begin)(void *context);                /* launches are put down from now on, not made */
    int (*end)(void *context, void **graph);    /* also after a run that failed; NULL then */
    int (*launch)(void *context, void *graph);  /* < 0: nothing of it was started */
    void (*free)(void *context, void *graph);

    /* (optional) Of several that take the same steps, and have to go the same way: whether all of
     * them have captured this one. Called once for each capture, good or not. */
    bool (*agree)(void *context, bool captured);
};

struct se_gpu_graph_counts {
    uint64_t plain, captured, replayed, refused; /* steps run plainly; captures; launches of a
                                                  * graph; buckets given up */
};

struct se_gpu_graphs {
    const struct se_gpu_graph_ops *ops;
    void *context;
    uint32_t n;
    struct {
        uint32_t bucket;
        enum se_gpu_graph_state state;
        void *graph;
    } of[SE_GPU_GRAPHS_MAX];
    struct se_gpu_graph_counts counts;
};

/* The operations must outlive it. */
void se_gpu_graphs_init(struct se_gpu_graphs *graphs, const struct se_gpu_graph_ops *ops,
                        void *context);
/* Frees what was captured. */
void se_gpu_graphs_fini(struct se_gpu_graphs *graphs);

/* Starts a step of the bucket, whichever way. < 0: what a plain run said. Buckets beyond the
 * first SE_GPU_GRAPHS_MAX are run plainly. */
int se_gpu_graphs_step(struct se_gpu_graphs *graphs, uint32_t bucket);

/* Of a bucket never seen: PLAIN. */
enum se_gpu_graph_state se_gpu_graphs_state(const struct se_gpu_graphs *graphs, uint32_t bucket);

#ifdef __cplusplus
}
#endif
#endif
