/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/tap.h"

#include "kernels/cuda/device.h"
#include "runtime/base/clock.h"
#include "runtime/model/cuda/ops.h"

static struct se_backend *opened;
static struct tap_counts seen;

struct se_backend *tap_backend(void) { return opened; }
struct tap_counts tap_seen(void) { return seen; }

/* ---- calls of the device */

int __real_se_gpu_graph_launch(se_gpu_stream stream, void *graph);
int __real_se_gpu_stream_started(se_gpu_stream stream);
int __real_se_gpu_stream_wait(se_gpu_stream stream, uint64_t within_ns);
int __real_se_gpu_stream_wait_word(se_gpu_stream stream, const uint64_t *word, uint64_t value,
                                   uint64_t within_ns);
int __real_se_gpu_upload(void *device, const void *host, size_t size_b);
int __real_se_gpu_download(void *host, const void *device, size_t size_b);
int __real_se_gpu_fill(void *device, unsigned char byte, size_t size_b);
int __wrap_se_gpu_graph_launch(se_gpu_stream stream, void *graph);
int __wrap_se_gpu_stream_started(se_gpu_stream stream);
int __wrap_se_gpu_stream_wait(se_gpu_stream stream, uint64_t within_ns);
int __wrap_se_gpu_stream_wait_word(se_gpu_stream stream, const uint64_t *word, uint64_t value,
                                   uint64_t within_ns);
int __wrap_se_gpu_upload(void *device, const void *host, size_t size_b);
int __wrap_se_gpu_download(void *host, const void *device, size_t size_b);
int __wrap_se_gpu_fill(void *device, unsigned char byte, size_t size_b);

int __wrap_se_gpu_graph_launch(se_gpu_stream stream, void *graph)
{
    seen.graphs++;
    return __real_se_gpu_graph_launch(stream, graph);
}

int __wrap_se_gpu_stream_started(se_gpu_stream stream)
{
    seen.plain++;
    return __real_se_gpu_stream_started(stream);
}

int __wrap_se_gpu_stream_wait(se_gpu_stream stream, uint64_t within_ns)
{
    seen.waits++;
    return __real_se_gpu_stream_wait(stream, within_ns);
}

int __wrap_se_gpu_stream_wait_word(se_gpu_stream stream, const uint64_t *word, uint64_t value,
                                   uint64_t within_ns)
{
    const uint64_t from_ns = se_clock_ns();
    const int r = __real_se_gpu_stream_wait_word(stream, word, value, within_ns);
    seen.waited_ns += se_clock_ns() - from_ns;
    seen.words++;
    return r;
}

int __wrap_se_gpu_upload(void *device, const void *host, size_t size_b)
{
    seen.copies++;
    return __real_se_gpu_upload(device, host, size_b);
}

int __wrap_se_gpu_download(void *host, const void *device, size_t size_b)
{
    seen.copies++;
    return __real_se_gpu_download(host, device, size_b);
}

int __wrap_se_gpu_fill(void *device, unsigned char byte, size_t size_b)
{
    seen.copies++;
    return __real_se_gpu_fill(device, byte, size_b);
}

/* ---- the backend */

static int refuse_capture(void *context)
{
    (void)context;
    return -1;
}

static int open_tapped(struct se_backend **out, const struct se_model *model,
                       const struct se_engine_options *options)
{
    const int r = se_backend_cuda_ops.open(out, model, options);
    opened = r == 0 ? *out : NULL;
    return r;
}

static int open_plain(struct se_backend **out, const struct se_model *model,
                      const struct se_engine_options *options)
{
    static struct se_gpu_graph_ops no_graphs;
    const int r = open_tapped(out, model, options);
    if (r < 0)
        return r;
    no_graphs = *opened->graphs.ops;
    no_graphs.begin = refuse_capture;
    opened->graphs.ops = &no_graphs;
    return 0;
}

static void close_tapped(struct se_backend *backend)
{
    se_backend_cuda_ops.close(backend);
    opened = opened == backend ? NULL : opened;
}

static const char *text(const struct se_backend *backend)
{
    return se_backend_cuda_ops.text(backend);
}

static size_t memory(const struct se_backend *backend)
{
    return se_backend_cuda_ops.memory(backend);
}

static int forward(struct se_backend *backend, const struct se_batch *batch)
{
    return se_backend_cuda_ops.forward(backend, batch);
}

static void move(struct se_backend *backend, const struct se_kv_move *moves, uint32_t n)
{
    se_backend_cuda_ops.move(backend, moves, n);
}

const struct se_backend_ops tap_ops = {
    .name = "cuda",
    .walks = true,
    .open = open_tapped,
    .close = close_tapped,
    .text = text,
    .memory = memory,
    .forward = forward,
    .move = move,
};

const struct se_backend_ops tap_plain_ops = {
    .name = "cuda",
    .walks = true,
    .open = open_plain,
    .close = close_tapped,
    .text = text,
    .memory = memory,
    .forward = forward,
    .move = move,
};
