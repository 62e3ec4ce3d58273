/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/device.h - a GPU as the host sees it: memory, streams, and captured graphs.
 *
 * device.cu is the real one; tests/simt/device_simt.cc stands for it in the emulator.
 *
 * 0: done. < 0: -errno, and se_gpu_error() has the sentence for the user. Nothing here waits
 * longer than it is told to. A device whose kernel has gone wrong fails every call from then on
 * with -EIO; only a new process can use it again. */
#ifndef SE_KERNELS_CUDA_DEVICE_H
#define SE_KERNELS_CUDA_DEVICE_H

#include <stddef.h>
#include <stdint.h>

typedef struct CUstream_st *se_gpu_stream; /* cudaStream_t */

#ifdef __cplusplus
extern "C" {
#endif

/* Why the last call of this thread that failed did so; "" when none has. */
const char *se_gpu_error(void);

/* ---- devices */

struct se_gpu_device {
    int number;
    char name[256];
    uint32_t major, minor; /* of the architecture: 9, 0 is sm_90 */
    uint32_t multiprocessors;
    size_t memory_b, free_b; /* all of it; what was free when it was opened */
};

/* How many there are, at least 1. -ENODEV: none that can be used: no driver, one that is too
 * old, or no device. */
int se_gpu_devices(void);

/* Opens one for this thread. -ENODEV: there is none of that number, or the module was not
 * compiled for its architecture, or it does not answer. */
int se_gpu_device_open(int number, struct se_gpu_device *device);

/* Another thread that is to call what stands below begins with this. */
int se_gpu_device_use(const struct se_gpu_device *device);

/* ---- memory */

/* On the device, its contents anything; for se_gpu_free(). NULL: there is not that much; the
 * sentence says how much was wanted for what, and how much there is. */
void *se_gpu_alloc(size_t size_b, const char *what);
void se_gpu_free(void *memory); /* NULL is fine */

/* Memory of the host that the device reads and writes as well; zeroes at first. */
struct se_gpu_mapped {
    void *host, *device; /* the same bytes */
    size_t size_b;
};
int se_gpu_mapped_init(struct se_gpu_mapped *mapped, size_t size_b, const char *what);
void se_gpu_mapped_fini(struct se_gpu_mapped *mapped); /* all zeroes is fine */

/* Done when they return, whatever streams do meanwhile: for loading, not for a step. */
int se_gpu_upload(void *device, const void *host, size_t size_b);
int se_gpu_download(void *host, const void *device, size_t size_b);
int se_gpu_fill(void *device, unsigned char byte, size_t size_b);

/* ---- streams: what is put on one is done in order */

int se_gpu_stream_open(se_gpu_stream *stream);
void se_gpu_stream_close(se_gpu_stream stream); /* NULL is fine; it is to be at rest */

/* After launches: whether all of them could be started. */
int se_gpu_stream_started(se_gpu_stream stream);

/* Waits until all is done. -ETIMEDOUT: it is not yet; -EIO: the device has failed. */
int se_gpu_stream_wait(se_gpu_stream stream, uint64_t within_ns);

/* Waits until the word, in mapped memory, has the value; behind it, everything can be read that
 * the device wrote before. -EIO also when the stream has come to its end without. */
int se_gpu_stream_wait_word(se_gpu_stream stream, const uint64_t *word, uint64_t value,
                            uint64_t within_ns);

/* ---- graphs: as kernels/cuda/graph.h wants them */

/* From here on launches of the stream are put down, not done. */
int se_gpu_capture_begin(se_gpu_stream stream);
/* The stream is as before, whatever is returned. *graph is NULL on a failure. */
int se_gpu_capture_end(se_gpu_stream stream, void **graph);
int se_gpu_graph_launch(se_gpu_stream stream, void *graph);
void se_gpu_graph_free(void *graph);

#ifdef __cplusplus
}
#endif
#endif
