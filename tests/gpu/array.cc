/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/array.h"

#include "tests/gpu/trial.h"

static const uint64_t WAIT_NS = 60000000000;

static se_gpu_stream stream;
static bool guarded;
static bool lost; /* it has failed, or not come to its end: then whatever is freed would wait */

static void must(int r)
{
    if (r < 0)
        fail_msg("%s (%d)", se_gpu_error(), r);
}

static void must_be_there(void)
{
    if (lost)
        fail_msg("the device has failed, or not come to its end, before");
}

void device_open(uint32_t number, bool guards)
{
    struct se_gpu_device device;
    must_be_there();
    guarded = guards;
    stream = NULL;
    must(se_gpu_device_open((int)number, &device));
    must(se_gpu_stream_open(&stream));
}

void device_close(void)
{
    if (!lost)
        se_gpu_stream_close(stream);
    stream = NULL;
}

se_gpu_stream device_stream(void) { return stream; }

void device_wait(void)
{
    must(se_gpu_stream_started(stream));
    const int r = se_gpu_stream_wait(stream, WAIT_NS);
    lost = r < 0;
    must(r);
    const char *beside = device_look();
    if (beside != NULL)
        fail_msg("%s", beside);
}

void *array_new(size_t size_b)
{
    must_be_there();
    void *memory = device_alloc(size_b, guarded);
    if (memory == NULL)
        fail_msg("%s", se_gpu_error());
    return memory;
}

void array_free(void *memory)
{
    if (!lost)
        device_free(memory);
}

void array_write(void *to, const void *from, size_t size_b)
{
    if (size_b > 0)
        must(se_gpu_upload(to, from, size_b));
}

void array_read(void *to, const void *from, size_t size_b)
{
    if (size_b > 0)
        must(se_gpu_download(to, from, size_b));
}
