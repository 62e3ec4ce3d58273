/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernels/cuda/device.h"
#include "kernels/cuda/fail.h"
#include "kernels/cuda/gpu.h"

static thread_local char error_text[512];

const char *se_gpu_error(void) { return error_text; }

int se_gpu_fail(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error_text, sizeof error_text, format, list);
    va_end(list);
    return code;
}

/* Takes the error from the runtime as well, where the next call would find it. */
static int check(cudaError_t error, const char *doing)
{
    if (error == cudaSuccess)
        return 0;
    cudaGetLastError();
    return se_gpu_fail(error == cudaErrorMemoryAllocation ? -ENOMEM : -EIO, "GPU: %s: %s (%s)",
                       doing, cudaGetErrorString(error), cudaGetErrorName(error));
}

static double mib(size_t size_b) { return (double)size_b / (1024 * 1024); }

/* ---- devices */

/* The runtime says the same of a driver that is too old and of one that is not there. */
static int no_driver(void)
{
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0)
        return se_gpu_fail(-ENODEV, "GPU: no NVIDIA driver is loaded");
    return se_gpu_fail(-ENODEV, "GPU: the NVIDIA driver is for CUDA %d.%d, and %d.%d is needed",
                       driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                       CUDART_VERSION % 1000 / 10);
}

int se_gpu_devices(void)
{
    int n = 0;
    cudaError_t error = cudaGetDeviceCount(&n);
    if (error != cudaSuccess)
        cudaGetLastError();
    if (error == cudaErrorInsufficientDriver)
        return no_driver();
    if (error == cudaErrorNoDevice || (error == cudaSuccess && n == 0))
        return se_gpu_fail(-ENODEV, "GPU: there is no device");
    if (error != cudaSuccess)
        return se_gpu_fail(-ENODEV, "GPU: devices cannot be counted: %s (%s)",
                           cudaGetErrorString(error), cudaGetErrorName(error));
    return n;
}

static __global__ void probe(void) {}

/* A kernel that is there for the device can be asked about. */
static int check_architecture(const struct se_gpu_device *device)
{
    struct cudaFuncAttributes attributes;
    cudaError_t error = cudaFuncGetAttributes(&attributes, (const void *)probe);
    if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
        error == cudaErrorUnsupportedPtxVersion) {
        cudaGetLastError();
        return se_gpu_fail(-ENODEV, "GPU %d: %s is sm_%u%u, which the module was not compiled for",
                           device->number, device->name, device->major, device->minor);
    }
    return check(error, "a kernel cannot be loaded");
}

static int describe(struct se_gpu_device *device)
{
    struct cudaDeviceProp properties;
    int r = check(cudaGetDeviceProperties(&properties, device->number), "it cannot be asked");
    if (r < 0)
        return r;
    snprintf(device->name, sizeof device->name, "%s", properties.name);
    device->major = (uint32_t)properties.major;
    device->minor = (uint32_t)properties.minor;
    device->multiprocessors = (uint32_t)properties.multiProcessorCount;
    device->memory_b = properties.totalGlobalMem;
    if (!properties.canMapHostMemory)
        return se_gpu_fail(-ENODEV, "GPU %d: %s cannot see the host's memory", device->number,
                           device->name);
    return 0;
}

int se_gpu_device_open(int number, struct se_gpu_device *device)
{
    int n = se_gpu_devices();
    if (n < 0)
        return n;
    if (number < 0 || number >= n)
        return se_gpu_fail(-ENODEV, "GPU %d: there is no such device, only 0 to %d", number, n - 1);
    memset(device, 0, sizeof *device);
    device->number = number;
    int r = describe(device);
    if (r == 0)
        r = check(cudaSetDevice(number), "it cannot be opened");
    if (r == 0)
        r = check_architecture(device);
    size_t all_b = 0;
    if (r == 0)
        r = check(cudaMemGetInfo(&device->free_b, &all_b), "its memory cannot be asked about");
    return r < 0 ? -ENODEV : 0;
}

int se_gpu_device_use(const struct se_gpu_device *device)
{
    return check(cudaSetDevice(device->number), "it cannot be used by another thread");
}

/* ---- memory */

void *se_gpu_alloc(size_t size_b, const char *what)
{
    void *memory = NULL;
    size_t free_b = 0, all_b = 0;
    cudaError_t error = cudaMalloc(&memory, size_b > 0 ? size_b : 1);
    if (error == cudaSuccess)
        return memory;
    if (check(error, what) != -ENOMEM)
        return NULL;
    if (cudaMemGetInfo(&free_b, &all_b) != cudaSuccess)
        cudaGetLastError();
    se_gpu_fail(-ENOMEM, "GPU: there is no memory for %s: %.1f MiB wanted, %.1f of %.1f MiB free",
                what, mib(size_b), mib(free_b), mib(all_b));
    return NULL;
}

void se_gpu_free(void *memory)
{
    if (memory != NULL && cudaFree(memory) != cudaSuccess)
        cudaGetLastError(); /* of a device that has failed: its memory is gone anyway */
}

int se_gpu_mapped_init(struct se_gpu_mapped *mapped, size_t size_b, const char *what)
{
    struct se_gpu_mapped made = { NULL, NULL, size_b };
    int r =
        check(cudaHostAlloc(&made.host, size_b, cudaHostAllocMapped | cudaHostAllocPortable), what);
    if (r < 0)
        return r;
    r = check(cudaHostGetDevicePointer(&made.device, made.host, 0), what);
    if (r < 0) {
        cudaFreeHost(made.host);
        return r;
    }
    memset(made.host, 0, size_b);
    *mapped = made;
    return 0;
}

void se_gpu_mapped_fini(struct se_gpu_mapped *mapped)
{
    if (mapped->host != NULL && cudaFreeHost(mapped->host) != cudaSuccess)
        cudaGetLastError();
    memset(mapped, 0, sizeof *mapped);
}

/* A copy to the device may return when the host's side has been read, and no stream of ours waits
 * for the one that it goes through. */
static int settle(cudaError_t error, const char *doing)
{
    int r = check(error, doing);
    return r < 0 ? r : check(cudaStreamSynchronize(0), doing);
}

int se_gpu_upload(void *device, const void *host, size_t size_b)
{
    return settle(cudaMemcpy(device, host, size_b, cudaMemcpyHostToDevice), "copying to it");
}

int se_gpu_download(void *host, const void *device, size_t size_b)
{
    return settle(cudaMemcpy(host, device, size_b, cudaMemcpyDeviceToHost), "copying from it");
}

int se_gpu_fill(void *device, unsigned char byte, size_t size_b)
{
    return settle(cudaMemset(device, byte, size_b), "filling memory");
}

/* ---- streams */

/* It does not wait for the stream that copies of loading go through, nor they for it. */
int se_gpu_stream_open(se_gpu_stream *stream)
{
    return check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "making a stream");
}

void se_gpu_stream_close(se_gpu_stream stream)
{
    if (stream != NULL && cudaStreamDestroy(stream) != cudaSuccess)
        cudaGetLastError();
}

int se_gpu_stream_started(se_gpu_stream stream)
{
    (void)stream;
    return check(cudaGetLastError(), "starting a kernel");
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int too_late(uint64_t within_ns)
{
    return se_gpu_fail(-ETIMEDOUT, "GPU: it has not answered within %.1f s",
                       (double)within_ns / 1e9);
}

/* 0: all is done; 1: not yet; < 0: it has failed. */
static int look(se_gpu_stream stream)
{
    cudaError_t error = cudaStreamQuery(stream);
    if (error == cudaErrorNotReady) {
        cudaGetLastError();
        return 1;
    }
    return check(error, "a step has failed");
}

int se_gpu_stream_wait(se_gpu_stream stream, uint64_t within_ns)
{
    uint64_t begun_ns = now_ns();
    int r;
    while ((r = look(stream)) > 0)
        if (now_ns() - begun_ns > within_ns)
            return too_late(within_ns);
    return r;
}

/* [gpu.done] acquire, pairs with the system-wide fence before the word is written in
 * se_gpu_publish(): whoever sees the word sees what the step has written. */
static bool has_come(const uint64_t *word, uint64_t value)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE) == value;
}

/* The word is looked at often, for it lies in the host's cache until the device writes it. The
 * stream is asked now and then, as that is a call of the driver's. */
int se_gpu_stream_wait_word(se_gpu_stream stream, const uint64_t *word, uint64_t value,
                            uint64_t within_ns)
{
    enum { LOOKS = 4096 };
    uint64_t begun_ns = now_ns();
    for (;;) {
        for (int i = 0; i < LOOKS; i++)
            if (has_come(word, value))
                return 0;
        int r = look(stream);
        if (r < 0)
            return r;
        if (r == 0 && !has_come(word, value))
            return se_gpu_fail(-EIO, "GPU: a step has ended without an answer");
        if (now_ns() - begun_ns > within_ns)
            return has_come(word, value) ? 0 : too_late(within_ns);
    }
}

/* ---- graphs */

/* Of this thread alone: another one that loads a model does not spoil the capture. */
int se_gpu_capture_begin(se_gpu_stream stream)
{
    return check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                 "beginning to capture");
}

int se_gpu_capture_end(se_gpu_stream stream, void **graph)
{
    cudaGraph_t captured = NULL;
    cudaGraphExec_t ready = NULL;
    *graph = NULL;
    int r = check(cudaStreamEndCapture(stream, &captured), "capturing a step");
    if (r == 0 && captured == NULL)
        r = se_gpu_fail(-EIO, "GPU: nothing was captured of a step");
    if (r == 0)
        r = check(cudaGraphInstantiate(&ready, captured, 0), "making a graph of a step");
    if (r == 0)
        r = check(cudaGraphUpload(ready, stream), "sending a graph to the device");
    if (captured != NULL && cudaGraphDestroy(captured) != cudaSuccess)
        cudaGetLastError();
    if (r < 0)
        se_gpu_graph_free(ready);
    else
        *graph = ready;
    return r;
}

int se_gpu_graph_launch(se_gpu_stream stream, void *graph)
{
    return check(cudaGraphLaunch((cudaGraphExec_t)graph, stream), "starting a graph");
}

void se_gpu_graph_free(void *graph)
{
    if (graph != NULL && cudaGraphExecDestroy((cudaGraphExec_t)graph) != cudaSuccess)
        cudaGetLastError();
}
