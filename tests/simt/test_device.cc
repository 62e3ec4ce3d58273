/* SPDX-License-Identifier: Apache-2.0 */
/* The device of the emulator: what the host asks of kernels/cuda/device.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include <cmocka.h>
}

#include "kernels/cuda/device.h"
#include "kernels/cuda/gpu.h"
#include "tests/simt/device_simt.h"
#include "tests/simt/must_fault.h"

static const uint64_t SECOND_NS = 1000000000;

/* A step: an input of one number, an output of one word. */
struct rig {
    struct se_gpu_device device;
    se_gpu_stream stream;
    struct se_gpu_mapped in, out;
    uint64_t *input, *sum; /* on the device */
};

static __global__ void ingest(const uint64_t *in, uint64_t *input)
{
    if (threadIdx.x == 0)
        *input = *in;
}

static __global__ void add_input(const uint64_t *input, uint64_t *sum)
{
    if (threadIdx.x == 0)
        *sum += *input;
}

static __global__ void publish(const uint64_t *input, const uint64_t *sum, uint64_t *out)
{
    if (threadIdx.x != 0)
        return;
    out[1] = *sum;
    __threadfence_system();
    out[0] = *input;
}

static void open_rig(struct rig *rig)
{
    struct simt_device_faults none = {};
    simt_device_set(&none);
    assert_int_equal(se_gpu_device_open(0, &rig->device), 0);
    assert_int_equal(se_gpu_stream_open(&rig->stream), 0);
    assert_int_equal(se_gpu_mapped_init(&rig->in, 8, "input"), 0);
    assert_int_equal(se_gpu_mapped_init(&rig->out, 16, "output"), 0);
    rig->input = (uint64_t *)se_gpu_alloc(8, "input");
    rig->sum = (uint64_t *)se_gpu_alloc(8, "sum");
    assert_int_equal(se_gpu_fill(rig->sum, 0, 8), 0);
}

static void close_rig(struct rig *rig)
{
    se_gpu_stream_close(rig->stream);
    se_gpu_free(rig->input);
    se_gpu_free(rig->sum);
    se_gpu_mapped_fini(&rig->in);
    se_gpu_mapped_fini(&rig->out);
}

static void put_step(struct rig *rig)
{
    SE_LAUNCH(rig->stream, ingest, 1, 32, (const uint64_t *)rig->in.device, rig->input);
    SE_LAUNCH(rig->stream, add_input, 1, 32, rig->input, rig->sum);
    SE_LAUNCH(rig->stream, publish, 1, 32, rig->input, rig->sum, (uint64_t *)rig->out.device);
}

static int wait_step(struct rig *rig, uint64_t number)
{
    return se_gpu_stream_wait_word(rig->stream, (const uint64_t *)rig->out.host, number, SECOND_NS);
}

static void set_input(struct rig *rig, uint64_t number) { *(uint64_t *)rig->in.host = number; }
static uint64_t sum_of(const struct rig *rig) { return ((const uint64_t *)rig->out.host)[1]; }

/* ---- */

static void work_is_done_when_it_is_waited_for(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    set_input(&rig, 3);
    put_step(&rig);
    assert_int_equal(sum_of(&rig), 0);
    assert_int_equal(wait_step(&rig, 3), 0);
    assert_int_equal(sum_of(&rig), 3);
    /* An input that is written over too early is the one that is read. */
    set_input(&rig, 4);
    put_step(&rig);
    set_input(&rig, 5);
    assert_int_equal(wait_step(&rig, 5), 0);
    assert_int_equal(sum_of(&rig), 8);
    assert_int_equal(se_gpu_stream_wait(rig.stream, SECOND_NS), 0);
    close_rig(&rig);
}

static void *capture_step(struct rig *rig)
{
    void *graph = NULL;
    assert_int_equal(se_gpu_capture_begin(rig->stream), 0);
    put_step(rig);
    assert_int_equal(se_gpu_capture_end(rig->stream, &graph), 0);
    assert_non_null(graph);
    return graph;
}

static void a_graph_does_it_again(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    unsigned long before = simt_device_seen().launches;
    set_input(&rig, 100);
    void *graph = capture_step(&rig);
    assert_int_equal(se_gpu_stream_wait(rig.stream, SECOND_NS), 0);
    assert_int_equal(simt_device_seen().launches, before); /* put down, not done */
    uint64_t sum = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        set_input(&rig, i);
        assert_int_equal(se_gpu_graph_launch(rig.stream, graph), 0);
        assert_int_equal(wait_step(&rig, i), 0);
        assert_int_equal(sum_of(&rig), sum += i);
    }
    assert_int_equal(simt_device_seen().launches, before + 9);
    se_gpu_graph_free(graph);
    close_rig(&rig);
}

static __global__ void store(uint64_t *at, uint64_t value)
{
    if (threadIdx.x == 0)
        *at = value;
}

/* An argument that changes from step to step is not seen to change, as on a device. */
static void a_graph_keeps_the_arguments_of_its_capture(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    uint64_t value = 7, got = 0;
    void *graph;
    assert_int_equal(se_gpu_capture_begin(rig.stream), 0);
    SE_LAUNCH(rig.stream, store, 1, 32, rig.sum, value);
    assert_int_equal(se_gpu_capture_end(rig.stream, &graph), 0);
    value = 8;
    assert_int_equal(se_gpu_graph_launch(rig.stream, graph), 0);
    se_gpu_graph_free(graph);
    assert_int_equal(se_gpu_stream_wait(rig.stream, SECOND_NS), 0);
    assert_int_equal(se_gpu_download(&got, rig.sum, 8), 0);
    assert_int_equal(got, 7);
    close_rig(&rig);
}

static void a_capture_is_spoilt_by_what_is_done_beside_it(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig);
    void *graph;
    assert_int_equal(se_gpu_capture_begin(rig.stream), 0);
    assert_null(se_gpu_alloc(8, "workspace"));
    assert_int_equal(se_gpu_capture_end(rig.stream, &graph), -EIO);
    assert_null(graph);
    assert_int_equal(se_gpu_capture_begin(rig.stream), 0);
    assert_int_equal(se_gpu_stream_wait(rig.stream, SECOND_NS), -EIO);
    assert_int_equal(se_gpu_capture_end(rig.stream, &graph), -EIO);
    assert_int_equal(se_gpu_capture_end(rig.stream, &graph), -EIO);
    set_input(&rig, 1); /* and plain launches go on */
    put_step(&rig);
    assert_int_equal(wait_step(&rig, 1), 0);
    close_rig(&rig);
}

static void what_was_told_to_fail_fails(void **state)
{
    (void)state;
    struct rig rig;
    struct se_gpu_device device;
    open_rig(&rig);
    void *graph = capture_step(&rig);

    struct simt_device_faults faults = {};
    faults.memory_b = 1000;
    simt_device_set(&faults);
    assert_null(se_gpu_alloc(1000, "weights"));
    assert_non_null(strstr(se_gpu_error(), "no memory for weights"));

    faults = {};
    faults.no_launch = true;
    simt_device_set(&faults);
    assert_int_equal(se_gpu_graph_launch(rig.stream, graph), -EIO);
    se_gpu_graph_free(graph);

    faults = {};
    faults.no_graph = true;
    simt_device_set(&faults);
    assert_int_equal(se_gpu_capture_begin(rig.stream), 0);
    assert_int_equal(se_gpu_capture_end(rig.stream, &graph), -EIO);

    faults = {};
    faults.no_capture = true;
    simt_device_set(&faults);
    assert_int_equal(se_gpu_capture_begin(rig.stream), -EIO);

    faults = {};
    faults.hangs = true;
    simt_device_set(&faults);
    set_input(&rig, 9);
    put_step(&rig);
    assert_int_equal(wait_step(&rig, 9), -ETIMEDOUT);
    assert_int_equal(se_gpu_stream_wait(rig.stream, SECOND_NS), -ETIMEDOUT);

    faults = {};
    simt_device_set(&faults);
    assert_int_equal(wait_step(&rig, 10), -EIO); /* that word never comes */
    assert_non_null(strstr(se_gpu_error(), "without an answer"));

    faults.fails = 2;
    simt_device_set(&faults);
    put_step(&rig);
    set_input(&rig, 11);
    assert_int_equal(wait_step(&rig, 11), -EIO);
    assert_int_equal(se_gpu_upload(rig.sum, &faults, 8), -EIO); /* for good */
    assert_int_equal(se_gpu_device_open(0, &device), -ENODEV);
    close_rig(&rig);

    faults = {};
    faults.absent = true;
    simt_device_set(&faults);
    assert_int_equal(se_gpu_devices(), -ENODEV);
    faults = {};
    simt_device_set(&faults);
    assert_int_equal(se_gpu_device_open(8, &device), -ENODEV);
}

static void read_from_the_device(void)
{
    struct rig rig;
    open_rig(&rig);
    if (*(volatile uint64_t *)rig.sum == 0)
        set_input(&rig, 1);
}

static void write_to_the_device(void)
{
    struct rig rig;
    open_rig(&rig);
    memset(rig.sum, 0, 8);
}

static void upload_too_much(void)
{
    struct rig rig;
    open_rig(&rig);
    se_gpu_upload(rig.sum + 1, &rig, 8);
}

static void the_host_is_kept_out(void **state)
{
    (void)state;
    must_fault(read_from_the_device, "the host touched a block of 8 bytes of the device");
    must_fault(write_to_the_device, "the host touched a block of 8 bytes of the device");
    must_fault(upload_too_much, "are not the device's");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_done_when_it_is_waited_for),
        cmocka_unit_test(a_graph_does_it_again),
        cmocka_unit_test(a_graph_keeps_the_arguments_of_its_capture),
        cmocka_unit_test(a_capture_is_spoilt_by_what_is_done_beside_it),
        cmocka_unit_test(what_was_told_to_fail_fails),
        cmocka_unit_test(the_host_is_kept_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
