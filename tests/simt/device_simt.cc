/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <time.h>

#include <utility>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/cuda/fail.h"
#include "kernels/cuda/gpu.h"
#include "tests/simt/device_simt.h"
#include "tests/simt/stream.h"

struct held {
    void *start;
    size_t size_b;
};

static char error_text[512];
static struct simt_device_faults faults;
static struct simt_device_counts counts;
static bool failed;
static std::vector<struct held> memory, mapped_memory;
static struct CUstream_st *capturing;

/* ---- what a test sets and sees */

void simt_device_set(const struct simt_device_faults *now)
{
    faults = *now;
    failed = false;
}

struct simt_device_counts simt_device_seen(void)
{
    struct simt_device_counts now = counts;
    now.launches = simt_launches();
    return now;
}

const struct simt_device_faults *simt_device_told(void) { return &faults; }

const char *se_gpu_error(void) { return error_text; }

int se_gpu_fail(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error_text, sizeof error_text, format, list);
    va_end(list);
    return code;
}

static int check(const char *doing)
{
    return failed ? se_gpu_fail(-EIO, "GPU: %s: the emulator was told to fail", doing) : 0;
}

/* What is no part of a stream spoils a capture: it would not be done again. */
static int check_outside(const char *doing)
{
    if (capturing == NULL)
        return check(doing);
    capturing->spoilt = true;
    return se_gpu_fail(-EIO, "GPU: %s: not while a stream captures", doing);
}

/* ---- devices */

int se_gpu_devices(void)
{
    if (faults.absent)
        return se_gpu_fail(-ENODEV, "GPU: there is no device");
    return faults.devices > 0 ? faults.devices : 8;
}

int se_gpu_device_open(int number, struct se_gpu_device *device)
{
    int n = se_gpu_devices();
    if (n < 0)
        return n;
    if (number < 0 || number >= n)
        return se_gpu_fail(-ENODEV, "GPU %d: there is no such device, only 0 to %d", number, n - 1);
    simt_catch_signals();
    memset(device, 0, sizeof *device);
    device->number = number;
    snprintf(device->name, sizeof device->name, "emulator");
    device->major = 9;
    device->multiprocessors = 2;
    device->memory_b = device->free_b = faults.memory_b > 0 ? faults.memory_b : (size_t)1 << 32;
    return check("it cannot be opened") < 0 ? -ENODEV : 0;
}

int se_gpu_device_use(const struct se_gpu_device *device)
{
    (void)device;
    return check("it cannot be used by another thread");
}

/* ---- memory */

static size_t sum_of(const std::vector<struct held> &list)
{
    size_t sum_b = 0;
    for (const struct held &held : list)
        sum_b += held.size_b;
    return sum_b;
}

static void forget(std::vector<struct held> *list, void *start, const char *what)
{
    for (size_t i = 0; i < list->size(); i++)
        if ((*list)[i].start == start) {
            list->erase(list->begin() + (ptrdiff_t)i);
            simt_free(start);
            return;
        }
    simt_fault("%p is freed, which is no %s", start, what);
}

void *se_gpu_alloc(size_t size_b, const char *what)
{
    const double mib = 1024 * 1024;
    if (check_outside(what) < 0)
        return NULL;
    size_t used_b = sum_of(memory);
    if (faults.memory_b > 0 && (used_b > faults.memory_b || size_b > faults.memory_b - used_b)) {
        se_gpu_fail(-ENOMEM,
                    "GPU: there is no memory for %s: %.1f MiB wanted, %.1f of %.1f MiB free", what,
                    (double)size_b / mib, ((double)faults.memory_b - (double)used_b) / mib,
                    (double)faults.memory_b / mib);
        return NULL;
    }
    void *start = simt_alloc(size_b);
    simt_memory_hide(start);
    memory.push_back({ start, size_b });
    return start;
}

void se_gpu_free(void *start)
{
    if (start != NULL && check_outside("freeing memory") != 0 && !failed)
        simt_fault("memory is freed while a stream captures");
    if (start != NULL)
        forget(&memory, start, "memory of the device");
}

int se_gpu_mapped_init(struct se_gpu_mapped *mapped, size_t size_b, const char *what)
{
    int r = check_outside(what);
    if (r < 0)
        return r;
    mapped->host = mapped->device = simt_alloc(size_b);
    mapped->size_b = size_b;
    memset(mapped->host, 0, size_b);
    mapped_memory.push_back({ mapped->host, size_b });
    return 0;
}

void se_gpu_mapped_fini(struct se_gpu_mapped *mapped)
{
    if (mapped->host != NULL)
        forget(&mapped_memory, mapped->host, "mapped memory");
    memset(mapped, 0, sizeof *mapped);
}

/* The whole range must lie in one piece of the device's memory. */
static void check_range(const void *device, size_t size_b, const char *doing)
{
    for (const struct held &held : memory) {
        size_t from_b = (size_t)((const char *)device - (const char *)held.start);
        if ((const char *)device >= (const char *)held.start && from_b <= held.size_b &&
            size_b <= held.size_b - from_b)
            return;
    }
    simt_fault("%s: %zu bytes at %p are not the device's", doing, size_b, device);
}

static void copy(void *to, const void *from, size_t size_b)
{
    simt_memory_hold();
    memcpy(to, from, size_b);
    simt_memory_release();
}

int se_gpu_upload(void *device, const void *host, size_t size_b)
{
    int r = check_outside("copying to it");
    if (r < 0)
        return r;
    check_range(device, size_b, "copying to it");
    copy(device, host, size_b);
    return 0;
}

int se_gpu_download(void *host, const void *device, size_t size_b)
{
    int r = check_outside("copying from it");
    if (r < 0)
        return r;
    check_range(device, size_b, "copying from it");
    copy(host, device, size_b);
    return 0;
}

int se_gpu_fill(void *device, unsigned char byte, size_t size_b)
{
    int r = check_outside("filling memory");
    if (r < 0)
        return r;
    check_range(device, size_b, "filling memory");
    simt_memory_hold();
    memset(device, byte, size_b);
    simt_memory_release();
    return 0;
}

/* ---- streams */

int se_gpu_stream_open(se_gpu_stream *stream)
{
    int r = check_outside("making a stream");
    if (r == 0)
        *stream = new struct CUstream_st();
    return r;
}

void se_gpu_stream_close(se_gpu_stream stream)
{
    if (stream != NULL && !stream->queue.empty() && !failed && !faults.hangs)
        simt_fault("a stream is closed with %zu pieces of work to do", stream->queue.size());
    delete stream;
}

int se_gpu_stream_started(se_gpu_stream stream)
{
    (void)stream;
    return check("starting a kernel");
}

static bool again;

void simt_stream_again(void) { again = true; }

/* One piece of work. WAITS: for another process. */
enum advance { NOTHING, DONE, WAITS };
static enum advance advance(se_gpu_stream stream)
{
    if (faults.hangs || failed || stream->queue.empty())
        return NOTHING;
    if (faults.fails > 0 && --faults.fails == 0) {
        failed = true;
        return NOTHING;
    }
    simt_work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    again = false;
    work();
    if (!again)
        return DONE;
    stream->queue.push_front(std::move(work));
    return WAITS;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* As long as there is time for those that others are waited for. */
static bool go_on(se_gpu_stream stream, uint64_t until_ns)
{
    const struct timespec pause = { 0, 50000 };
    const enum advance way = advance(stream);
    if (way == WAITS)
        nanosleep(&pause, NULL);
    return way == DONE || (way == WAITS && now_ns() < until_ns);
}

static int too_late(uint64_t within_ns)
{
    return se_gpu_fail(-ETIMEDOUT, "GPU: it has not answered within %.1f s",
                       (double)within_ns / 1e9);
}

int se_gpu_stream_wait(se_gpu_stream stream, uint64_t within_ns)
{
    int r = check_outside("waiting for a step");
    if (r < 0)
        return r;
    counts.waits++;
    const uint64_t until_ns = now_ns() + within_ns;
    simt_memory_hold(); /* once: it takes a while for each piece of work */
    while (go_on(stream, until_ns))
        ;
    simt_memory_release();
    r = check("a step has failed");
    return r < 0 || stream->queue.empty() ? r : too_late(within_ns);
}

/* Goes on no further than to where the word is written. */
int se_gpu_stream_wait_word(se_gpu_stream stream, const uint64_t *word, uint64_t value,
                            uint64_t within_ns)
{
    int r = check_outside("waiting for a step");
    if (r < 0)
        return r;
    const uint64_t until_ns = now_ns() + within_ns;
    simt_memory_hold();
    while (*word != value && go_on(stream, until_ns))
        ;
    simt_memory_release();
    if (*word == value)
        return 0;
    r = check("a step has failed");
    if (r == 0 && !stream->queue.empty())
        r = too_late(within_ns);
    return r < 0 ? r : se_gpu_fail(-EIO, "GPU: a step has ended without an answer");
}

/* ---- graphs */

typedef std::vector<simt_work> simt_graph;

int se_gpu_capture_begin(se_gpu_stream stream)
{
    int r = check_outside("beginning to capture");
    if (r == 0 && faults.no_capture)
        r = se_gpu_fail(-EIO, "GPU: the emulator was told not to capture");
    if (r < 0)
        return r;
    stream->captures = new std::vector<simt_work>();
    stream->spoilt = false;
    capturing = stream;
    return 0;
}

int se_gpu_capture_end(se_gpu_stream stream, void **graph)
{
    *graph = NULL;
    if (stream == NULL || stream->captures == NULL)
        return se_gpu_fail(-EIO, "GPU: capturing a step: the stream does not capture");
    std::vector<simt_work> *captured = stream->captures;
    stream->captures = NULL;
    capturing = NULL;
    int r = check("capturing a step");
    if (r == 0 && stream->spoilt)
        r = se_gpu_fail(-EIO, "GPU: capturing a step: something was done beside it");
    if (r == 0 && faults.no_graph)
        r = se_gpu_fail(-EIO, "GPU: the emulator was told to make no graph");
    if (r == 0) {
        *graph = new simt_graph(std::move(*captured));
        counts.alive++;
    }
    delete captured;
    return r;
}

/* The work is copied: a graph may be freed while a stream has it still to do. One piece of work
 * to the stream for each of its own, so that a wait for a word can stop behind the right one. */
int se_gpu_graph_launch(se_gpu_stream stream, void *graph)
{
    if (faults.no_launch)
        return se_gpu_fail(-EIO, "GPU: the emulator was told to launch no graph");
    int r = check_outside("starting a graph");
    if (r < 0)
        return r;
    counts.graphs++;
    for (const simt_work &work : *(const simt_graph *)graph)
        simt_stream_add(stream, work);
    return 0;
}

void se_gpu_graph_free(void *graph)
{
    counts.alive -= graph != NULL;
    delete (simt_graph *)graph;
}
