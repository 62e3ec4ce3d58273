/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "kernels/cuda/graph.h"

void se_gpu_graphs_init(struct se_gpu_graphs *graphs, const struct se_gpu_graph_ops *ops,
                        void *context)
{
    memset(graphs, 0, sizeof *graphs);
    graphs->ops = ops;
    graphs->context = context;
}

static void drop(struct se_gpu_graphs *graphs, uint32_t i)
{
    if (graphs->of[i].graph != NULL)
        graphs->ops->free(graphs->context, graphs->of[i].graph);
    graphs->of[i].graph = NULL;
}

void se_gpu_graphs_fini(struct se_gpu_graphs *graphs)
{
    for (uint32_t i = 0; i < graphs->n; i++) {
        drop(graphs, i);
        graphs->of[i].state = SE_GPU_GRAPH_PLAIN;
    }
    graphs->n = 0;
}

/* Its place, or n where it has none. */
static uint32_t find(const struct se_gpu_graphs *graphs, uint32_t bucket)
{
    uint32_t i = 0;
    while (i < graphs->n && graphs->of[i].bucket != bucket)
        i++;
    return i;
}

enum se_gpu_graph_state se_gpu_graphs_state(const struct se_gpu_graphs *graphs, uint32_t bucket)
{
    uint32_t i = find(graphs, bucket);
    return i < graphs->n ? graphs->of[i].state : SE_GPU_GRAPH_PLAIN;
}

static int run(struct se_gpu_graphs *graphs, uint32_t bucket)
{
    graphs->counts.plain++;
    return graphs->ops->run(graphs->context, bucket);
}

static int refuse(struct se_gpu_graphs *graphs, uint32_t i)
{
    drop(graphs, i);
    graphs->of[i].state = SE_GPU_GRAPH_REFUSED;
    graphs->counts.refused++;
    return run(graphs, graphs->of[i].bucket);
}

/* NULL: it could not be. A capture that has begun is ended, whatever became of it: a stream that is
 * left capturing takes no plain launch either. */
static void *try_capture(struct se_gpu_graphs *graphs, uint32_t bucket)
{
    const struct se_gpu_graph_ops *ops = graphs->ops;
    void *graph = NULL;
    if (ops->begin(graphs->context) < 0)
        return NULL;
    int ran = ops->run(graphs->context, bucket);
    int ended = ops->end(graphs->context, &graph);
    if (graph != NULL && (ran < 0 || ended < 0)) {
        ops->free(graphs->context, graph);
        graph = NULL;
    }
    return graph;
}

static int capture(struct se_gpu_graphs *graphs, uint32_t i)
{
    const struct se_gpu_graph_ops *ops = graphs->ops;
    void *graph = try_capture(graphs, graphs->of[i].bucket);
    const bool all = ops->agree == NULL || ops->agree(graphs->context, graph != NULL);
    if (graph == NULL || !all) {
        if (graph != NULL)
            ops->free(graphs->context, graph);
        return -1;
    }
    graphs->of[i].graph = graph;
    graphs->of[i].state = SE_GPU_GRAPH_CAPTURED;
    graphs->counts.captured++;
    return 0;
}

static int replay(struct se_gpu_graphs *graphs, uint32_t i)
{
    const int r = graphs->ops->launch(graphs->context, graphs->of[i].graph);
    if (r < 0 && graphs->ops->agree != NULL)
        return r; /* the others have launched theirs */
    if (r < 0)
        return refuse(graphs, i);
    graphs->counts.replayed++;
    return 0;
}

int se_gpu_graphs_step(struct se_gpu_graphs *graphs, uint32_t bucket)
{
    uint32_t i = find(graphs, bucket);
    if (i == graphs->n) {
        if (i == SE_GPU_GRAPHS_MAX)
            return run(graphs, bucket);
        graphs->of[graphs->n++].bucket = bucket;
    }
    switch (graphs->of[i].state) {
    case SE_GPU_GRAPH_PLAIN: {
        int r = run(graphs, bucket);
        if (r >= 0)
            graphs->of[i].state = SE_GPU_GRAPH_WARM;
        return r;
    }
    case SE_GPU_GRAPH_WARM:
        return capture(graphs, i) < 0 ? refuse(graphs, i) : replay(graphs, i);
    case SE_GPU_GRAPH_CAPTURED:
        return replay(graphs, i);
    case SE_GPU_GRAPH_REFUSED:
        break;
    }
    return run(graphs, bucket);
}
