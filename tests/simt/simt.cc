/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <mutex>
#include <utility>
#include <vector>

#include "tests/simt/fiber.h"
#include "tests/simt/simt.h"
#include "tests/simt/stream.h"

enum { WARP = 32, MOST_THREADS = 1024, MOST_SHARED_B = 48 * 1024 };

enum state { READY, AT_WARP, AT_BLOCK, RETURNED };

struct thread {
    struct simt_fiber fiber;
    unsigned number; /* in its block */
    enum state state;
    const char *waits_in; /* a word, while it waits */
    int vote;             /* of __syncthreads_or and its like */
};

struct warp {
    unsigned arrived, meetings, epoch;
    const char *word;
    struct simt_slot slots[2][WARP]; /* the last meeting's are read while the next one gathers */
};

/* One variable's memory, kept from block to block. */
struct storage {
    uint32_t block;
    size_t n;
    std::vector<unsigned char> data; /* at a multiple of 16, as all that is new */
    std::vector<struct simt_mark> marks;
};

struct uint3 threadIdx, blockIdx;
struct dim3 blockDim, gridDim;

static std::mutex device_lock; /* one kernel at a time */
static struct thread threads[MOST_THREADS];
static struct warp warps[MOST_THREADS / WARP];
static struct thread *now; /* NULL: no kernel runs */
static struct simt_fiber scheduler;
static const char *kernel_name = "";
static const std::function<void()> *kernel;
static unsigned n_threads, at_block, block_epoch, order_seed;
static int votes_or, votes_and, votes_count, last_or, last_and, last_count;
static uint32_t block_serial;
static size_t shared_b;
static unsigned long launches;
static std::vector<struct storage> storages;

/* ---- faults */

static void tell_place(void)
{
    if (kernel_name[0] == '\0')
        fprintf(stderr, "simt: no kernel: ");
    else
        fprintf(stderr, "simt: kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ", kernel_name,
                blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
}

void simt_fault(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    tell_place();
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    abort();
}

/* A fault of the processor within a kernel: memory that is not the kernel's, most often. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    char text[128];
    (void)context;
    signal(number, SIG_DFL);
    simt_memory_tell(info->si_addr, text, sizeof text);
    if (now != NULL && simt_fiber_overflow(&now->fiber, info->si_addr))
        simt_fault("its stack is too small for it");
    simt_fault("%s (signal %d at %p)", text[0] != '\0' ? text : "touched what is not there", number,
               info->si_addr);
}

/* On a stack of their own, as the fiber's may be what is full. Each time anew: a test's frame, for
 * one, takes the signals for itself before each test. */
void simt_catch_signals(void)
{
    static unsigned char own_stack[64 * 1024];
    stack_t stack = {};
    stack.ss_sp = own_stack;
    stack.ss_size = sizeof own_stack;
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGSEGV, &action, NULL) != 0 ||
        sigaction(SIGBUS, &action, NULL) != 0)
        simt_fault("signals cannot be caught");
}

/* ---- threads */

static void stop(enum state state, const char *word)
{
    now->state = state;
    now->waits_in = word;
    simt_fiber_switch(&now->fiber, &scheduler);
}

static void run_thread(void)
{
    simt_fiber_arrived();
    (*kernel)();
    stop(RETURNED, "");
}

static void go_on(struct thread *thread)
{
    now = thread;
    threadIdx.x = thread->number % blockDim.x;
    threadIdx.y = thread->number / blockDim.x % blockDim.y;
    threadIdx.z = thread->number / blockDim.x / blockDim.y;
    simt_fiber_switch(&scheduler, &thread->fiber);
    now = NULL;
}

/* The i-th of n to begin: each comes once. */
static unsigned long in_order(unsigned long i, unsigned long n)
{
    const unsigned long prime = 1000003;
    if (order_seed == 0 || n % prime == 0)
        return i;
    return order_seed == 1 ? n - 1 - i : (i * prime + order_seed) % n;
}

void simt_order(unsigned order) { order_seed = order; }

unsigned simt_lane(void) { return now->number % WARP; }

static struct warp *own_warp(void) { return &warps[now->number / WARP]; }

static const char *doing(const struct thread *thread)
{
    return thread->state == RETURNED ? "has returned" : thread->waits_in;
}

/* No thread can go on, and not all have returned. */
[[noreturn]] static void deadlock(void)
{
    tell_place();
    fprintf(stderr, "nobody can go on:");
    for (unsigned i = 0, first = 0; i <= n_threads; i++) {
        if (i < n_threads && doing(&threads[i]) == doing(&threads[first]))
            continue;
        fprintf(stderr, " threads %u to %u: %s;", first, i - 1, doing(&threads[first]));
        first = i;
    }
    fputc('\n', stderr);
    abort();
}

static bool run_warp(unsigned w)
{
    bool ran = false;
    for (unsigned i = 0; i < WARP; i++) {
        struct thread *thread = &threads[w * WARP + in_order(i, WARP)];
        if (thread->state == READY) {
            go_on(thread);
            ran = true;
        }
    }
    return ran;
}

/* A warp goes as far as it can before the next one does. */
static void run_until_returned(void)
{
    unsigned n_warps = n_threads / WARP;
    bool ran = true;
    while (ran) {
        ran = false;
        for (unsigned i = 0; i < n_warps; i++)
            while (run_warp((unsigned)in_order(i, n_warps)))
                ran = true;
    }
    for (unsigned i = 0; i < n_threads; i++)
        if (threads[i].state != RETURNED)
            deadlock();
}

static void run_block(unsigned long number)
{
    blockIdx.x = (unsigned)(number % gridDim.x);
    blockIdx.y = (unsigned)(number / gridDim.x % gridDim.y);
    blockIdx.z = (unsigned)(number / gridDim.x / gridDim.y);
    block_serial++;
    at_block = block_epoch = 0;
    shared_b = 0;
    votes_or = votes_count = 0;
    votes_and = 1;
    for (unsigned w = 0; w < n_threads / WARP; w++)
        warps[w].arrived = warps[w].epoch = 0;
    for (unsigned i = 0; i < n_threads; i++) {
        threads[i].number = i;
        threads[i].state = READY;
        simt_fiber_start(&threads[i].fiber, run_thread);
    }
    run_until_returned();
}

static void check_shape(struct dim3 grid, struct dim3 block)
{
    unsigned long size = (unsigned long)block.x * block.y * block.z;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 ||
        grid.x > 0x7fffffff)
        simt_fault("a grid of (%u, %u, %u)", grid.x, grid.y, grid.z);
    if (size == 0 || size > MOST_THREADS || size % WARP != 0 || block.z > 64)
        simt_fault("a block of (%u, %u, %u)", block.x, block.y, block.z);
}

static void run_kernel(const char *name, struct dim3 grid, struct dim3 block,
                       const std::function<void()> &thread)
{
    std::lock_guard<std::mutex> hold(device_lock);
    simt_catch_signals();
    simt_memory_hold();
    kernel_name = name;
    kernel = &thread;
    gridDim = grid;
    blockDim = block;
    n_threads = block.x * block.y * block.z;
    unsigned long n_blocks = (unsigned long)grid.x * grid.y * grid.z;
    for (unsigned long i = 0; i < n_blocks; i++)
        run_block(in_order(i, n_blocks));
    launches++;
    simt_memory_check();
    kernel_name = "";
    simt_memory_release();
}

unsigned long simt_launches(void) { return launches; }

void simt_launch_call(se_gpu_stream stream, const char *name, struct dim3 grid, struct dim3 block,
                      std::function<void()> thread)
{
    if (now != NULL)
        simt_fault("a kernel starts a kernel");
    kernel_name = name;
    check_shape(grid, block);
    kernel_name = "";
    simt_stream_add(stream, [name, grid, block, thread = std::move(thread)] {
        run_kernel(name, grid, block, thread);
    });
}

/* ---- the block */

static void meet_block(const char *word, int predicate)
{
    votes_or |= predicate != 0;
    votes_and &= predicate != 0;
    votes_count += predicate != 0;
    if (++at_block < n_threads) {
        stop(AT_BLOCK, word);
        return;
    }
    last_or = votes_or;
    last_and = votes_and;
    last_count = votes_count;
    votes_or = votes_count = 0;
    votes_and = 1;
    at_block = 0;
    block_epoch++;
    for (unsigned i = 0; i < n_threads; i++)
        if (&threads[i] != now)
            threads[i].state = READY;
}

void __syncthreads(void) { meet_block("__syncthreads", 0); }

int __syncthreads_or(int predicate)
{
    meet_block("__syncthreads_or", predicate);
    return last_or;
}

int __syncthreads_and(int predicate)
{
    meet_block("__syncthreads_and", predicate);
    return last_and;
}

int __syncthreads_count(int predicate)
{
    meet_block("__syncthreads_count", predicate);
    return last_count;
}

/* ---- the warp */

static void wait_for_lanes(struct warp *warp, const char *word)
{
    if (warp->arrived == 1)
        warp->word = word;
    else if (strcmp(warp->word, word) != 0)
        simt_fault("lanes of one warp are in %s and in %s", warp->word, word);
    if (warp->arrived < WARP)
        stop(AT_WARP, word);
}

const struct simt_slot *simt_meet(const char *word, unsigned mask, const void *bring, size_t size_b,
                                  void (*last)(struct simt_slot *slots))
{
    if (now == NULL)
        simt_fault("%s outside of a kernel", word);
    if (mask != 0xffffffff)
        simt_fault("%s with the mask %#x", word, mask);
    struct warp *warp = own_warp();
    struct simt_slot *slots = warp->slots[warp->meetings & 1];
    memcpy(slots[simt_lane()].bytes, bring, size_b);
    bool completes = ++warp->arrived == WARP;
    wait_for_lanes(warp, word);
    if (!completes)
        return slots;
    if (last != NULL)
        last(slots);
    warp->arrived = 0;
    warp->meetings++;
    for (unsigned lane = 0; lane < WARP; lane++)
        threads[now->number / WARP * WARP + lane].state = READY;
    return slots;
}

static void count_epoch(struct simt_slot *slots)
{
    (void)slots;
    own_warp()->epoch++;
}

void __syncwarp(unsigned mask) { simt_meet("__syncwarp", mask, "", 1, count_epoch); }

static unsigned ballot(const char *word, unsigned mask, int predicate)
{
    unsigned char yes = predicate != 0;
    const struct simt_slot *slots = simt_meet(word, mask, &yes, 1, NULL);
    unsigned all = 0;
    for (unsigned lane = 0; lane < WARP; lane++)
        all |= (unsigned)slots[lane].bytes[0] << lane;
    return all;
}

unsigned __ballot_sync(unsigned mask, int predicate)
{
    return ballot("__ballot_sync", mask, predicate);
}

int __any_sync(unsigned mask, int predicate) { return ballot("__any_sync", mask, predicate) != 0; }

int __all_sync(unsigned mask, int predicate)
{
    return ballot("__all_sync", mask, predicate) == 0xffffffff;
}

/* ---- shared memory */

unsigned simt_site(void)
{
    storages.push_back({});
    return (unsigned)storages.size() - 1;
}

/* Old marks are of a block that is over, and so say nothing. */
static void enter_block(struct storage *storage, const char *name, size_t n, size_t element_b)
{
    const size_t all_b = (n * element_b + 15) / 16 * 16;
    if (storage->data.size() < all_b || storage->marks.size() < n) {
        storage->data.resize(all_b);
        storage->marks.resize(n);
    }
    memset(storage->data.data(), 0xff, all_b);
    storage->block = block_serial;
    storage->n = n;
    shared_b += all_b;
    if (shared_b > MOST_SHARED_B)
        simt_fault("with %s it uses %zu bytes of shared memory, of %d", name, shared_b,
                   MOST_SHARED_B);
}

struct simt_area simt_area_at(unsigned site, const char *name, size_t n, size_t element_b)
{
    if (now == NULL)
        simt_fault("%s is shared memory, and no kernel runs", name);
    struct storage *storage = &storages[site];
    if (storage->block != block_serial)
        enter_block(storage, name, n, element_b);
    else if (storage->n != n)
        simt_fault("%s has %zu elements for one thread and %zu for another", name, n, storage->n);
    return { storage->data.data(), storage->marks.data(), name, n };
}

size_t simt_index_check(const struct simt_area *area, long long index)
{
    if (index < 0 || (unsigned long long)index >= area->n)
        simt_fault("%s[%lld] of %zu", area->name, index, area->n);
    return (size_t)index;
}

static struct simt_mark *mark_of(const struct simt_area *area, size_t index)
{
    struct simt_mark *mark = &area->marks[index];
    if (mark->block != block_serial) {
        *mark = {};
        mark->block = block_serial;
    }
    return mark;
}

/* Whether this thread, here and now, is behind what happened then. */
static bool is_behind(unsigned warp, unsigned thread, uint32_t then_block, uint32_t then_warp)
{
    if (then_block < block_epoch || thread == now->number)
        return true;
    return warp == now->number / WARP && then_warp < own_warp()->epoch;
}

static void check_writer(const struct simt_mark *mark, const struct simt_area *area, size_t index,
                         const char *does)
{
    if (mark->written && !is_behind(mark->writer / WARP, mark->writer, mark->written_block_epoch,
                                    mark->written_warp_epoch))
        simt_fault("a race: it %s %s[%zu], which thread %u has written with no barrier since", does,
                   area->name, index, mark->writer);
}

static void check_reader(const struct simt_mark *mark, const struct simt_area *area, size_t index)
{
    if (!mark->read ||
        is_behind(mark->reading_warp, mark->reader, mark->read_block_epoch, mark->read_warp_epoch))
        return;
    if (mark->reader == SIMT_SEVERAL)
        simt_fault("a race: it writes %s[%zu], which others have read with no barrier since",
                   area->name, index);
    simt_fault("a race: it writes %s[%zu], which thread %u has read with no barrier since",
               area->name, index, mark->reader);
}

void simt_note_read(const struct simt_area *area, size_t index)
{
    struct simt_mark *mark = mark_of(area, index);
    unsigned warp = now->number / WARP;
    if (!mark->written)
        simt_fault("reads %s[%zu], which nobody has written", area->name, index);
    check_writer(mark, area, index, "reads");
    /* Readers that every later writer is behind whenever it is behind this one are forgotten. */
    if (!mark->read || mark->read_block_epoch < block_epoch ||
        (mark->reading_warp == warp && mark->read_warp_epoch < own_warp()->epoch)) {
        mark->reader = (uint16_t)now->number;
        mark->reading_warp = (uint16_t)warp;
    } else if (mark->reading_warp != warp) {
        mark->reader = mark->reading_warp = SIMT_SEVERAL;
    } else if (mark->reader != now->number) {
        mark->reader = SIMT_SEVERAL;
    }
    mark->read = true;
    mark->read_block_epoch = block_epoch;
    mark->read_warp_epoch = own_warp()->epoch;
}

static void note_writer(struct simt_mark *mark, bool atomic)
{
    mark->written = true;
    mark->written_atomic = atomic;
    mark->writer = (uint16_t)now->number;
    mark->written_block_epoch = block_epoch;
    mark->written_warp_epoch = own_warp()->epoch;
}

void simt_note_write(const struct simt_area *area, size_t index, bool same)
{
    struct simt_mark *mark = mark_of(area, index);
    if (!same || mark->written_atomic)
        check_writer(mark, area, index, "writes");
    if (!same)
        check_reader(mark, area, index);
    note_writer(mark, false);
}

void simt_note_atomic(const struct simt_area *area, size_t index)
{
    struct simt_mark *mark = mark_of(area, index);
    if (!mark->written)
        simt_fault("adds to %s[%zu], which nobody has written", area->name, index);
    if (!mark->written_atomic)
        check_writer(mark, area, index, "changes");
    check_reader(mark, area, index);
    note_writer(mark, true);
}
