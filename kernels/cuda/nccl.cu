/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks by NCCL, which is opened at run time, when there is more than one. A communicator that does
 * not block: a call may return before it is done, and is then asked about. Graphs that have its
 * operations are freed before it is: its end waits for theirs. */
#include <dlfcn.h>
#include <errno.h>
#include <nccl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/cuda/fail.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/ranks.h"

static_assert(sizeof(ncclUniqueId) == SE_GPU_RANKS_ID_B, "an id of NCCL's is told to the others");

static const char library_name[] = "libnccl.so.2";
static const int64_t start_ns = 10000000000; /* of an operation: the first ones connect */

/* What is used of it, by the types that its header gives. */
static struct {
    void *handle;
    decltype(&ncclGetUniqueId) id;
    decltype(&ncclCommInitRankConfig) init;
    decltype(&ncclCommAbort) abort;
    decltype(&ncclCommGetAsyncError) state;
    decltype(&ncclGetErrorString) text;
    decltype(&ncclGetLastError) last;
    decltype(&ncclGroupStart) group_start;
    decltype(&ncclGroupEnd) group_end;
    decltype(&ncclSend) send;
    decltype(&ncclRecv) receive;
    decltype(&ncclAllGather) all_gather;
    decltype(&ncclBroadcast) broadcast;
} nccl;

struct se_gpu_ranks {
    ncclComm_t comm;
    uint32_t rank, size;
    int failed; /* of the first operation that could not be started, or 0: no further one is tried */
};

/* ---- the library */

template <typename Function>
static bool find(void *handle, const char *name, Function *function)
{
    *function = (Function)dlsym(handle, name);
    return *function != NULL;
}

static int find_all(void *handle)
{
    const bool all = find(handle, "ncclGetUniqueId", &nccl.id) &&
                     find(handle, "ncclCommInitRankConfig", &nccl.init) &&
                     find(handle, "ncclCommAbort", &nccl.abort) &&
                     find(handle, "ncclCommGetAsyncError", &nccl.state) &&
                     find(handle, "ncclGetErrorString", &nccl.text) &&
                     find(handle, "ncclGetLastError", &nccl.last) &&
                     find(handle, "ncclGroupStart", &nccl.group_start) &&
                     find(handle, "ncclGroupEnd", &nccl.group_end) &&
                     find(handle, "ncclSend", &nccl.send) &&
                     find(handle, "ncclRecv", &nccl.receive) &&
                     find(handle, "ncclAllGather", &nccl.all_gather) &&
                     find(handle, "ncclBroadcast", &nccl.broadcast);
    return all ? 0 : se_gpu_fail(-ENODEV, "NCCL: the library is too old: 2.14 is needed");
}

/* One thread opens, and the library stays. */
static int need_library(void)
{
    const char *named = getenv("SE_NCCL");
    if (nccl.handle != NULL)
        return 0;
    /* Calls do not block, whatever the environment says of it; and what is captured goes the same
     * way as what is not. */
    setenv("NCCL_COMM_BLOCKING", "0", 1);
    setenv("NCCL_GRAPH_REGISTER", "0", 0);
    void *handle = dlopen(named != NULL ? named : library_name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return se_gpu_fail(-ENODEV,
                           "NCCL, which ranks on GPUs meet by, cannot be opened: %s (SE_NCCL names "
                           "another place)",
                           dlerror());
    const int r = find_all(handle);
    if (r < 0)
        dlclose(handle);
    else
        nccl.handle = handle;
    return r;
}

static int say(const struct se_gpu_ranks *ranks, ncclResult_t result, const char *doing)
{
    const char *more = nccl.last(ranks != NULL ? ranks->comm : NULL);
    return se_gpu_fail(-EIO, "NCCL: %s: %s%s%s", doing, nccl.text(result),
                       more != NULL && *more != '\0' ? ": " : "", more != NULL ? more : "");
}

/* ---- meeting */

int se_gpu_ranks_id(unsigned char id[SE_GPU_RANKS_ID_B])
{
    ncclUniqueId made;
    int r = need_library();
    if (r < 0)
        return r;
    const ncclResult_t result = nccl.id(&made);
    if (result != ncclSuccess)
        return say(NULL, result, "a place to meet cannot be made");
    memcpy(id, &made, sizeof made);
    return 0;
}

int se_gpu_ranks_open(struct se_gpu_ranks **out, const unsigned char id[SE_GPU_RANKS_ID_B],
                      uint32_t rank, uint32_t size)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId place;
    int r = need_library();
    if (r < 0)
        return r;
    struct se_gpu_ranks *ranks = (struct se_gpu_ranks *)calloc(1, sizeof *ranks);
    if (ranks == NULL)
        return se_gpu_fail(-ENOMEM, "no memory to meet other ranks");
    ranks->rank = rank;
    ranks->size = size;
    config.blocking = 0;
    memcpy(&place, id, sizeof place);
    const ncclResult_t result = nccl.init(&ranks->comm, (int)size, place, (int)rank, &config);
    if (result != ncclSuccess && result != ncclInProgress) {
        r = say(ranks, result, "the ranks cannot meet");
        se_gpu_ranks_close(ranks, false);
        return r;
    }
    *out = ranks;
    return 0;
}

/* 0, 1: something is still under way, or < 0. */
static int look(const struct se_gpu_ranks *ranks, const char *doing)
{
    ncclResult_t state = ncclSuccess;
    const ncclResult_t result = nccl.state(ranks->comm, &state);
    if (result != ncclSuccess)
        return say(ranks, result, doing);
    if (state == ncclInProgress)
        return 1;
    return state == ncclSuccess ? 0 : say(ranks, state, doing);
}

int se_gpu_ranks_ready(struct se_gpu_ranks *ranks) { return look(ranks, "the ranks cannot meet"); }

void se_gpu_ranks_close(struct se_gpu_ranks *ranks, bool dead)
{
    if (ranks != NULL && ranks->comm != NULL && !dead)
        nccl.abort(ranks->comm);
    free(ranks);
}

/* ---- operations */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* An operation is on its stream when this has returned. */
static void settle(struct se_gpu_ranks *ranks, ncclResult_t result)
{
    static const char doing[] = "bytes for other ranks could not be sent on their way";
    int r = result == ncclSuccess || result == ncclInProgress ? 0 : say(ranks, result, doing);
    if (r == 0 && result == ncclInProgress) {
        const int64_t begun_ns = now_ns();
        while ((r = look(ranks, doing)) > 0)
            if (now_ns() - begun_ns > start_ns)
                r = se_gpu_fail(-ETIMEDOUT, "NCCL: %s within %d s", doing,
                                (int)(start_ns / 1000000000));
    }
    if (r < 0 && ranks->failed == 0)
        ranks->failed = r;
}

void se_gpu_ranks_all_gather(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *all,
                             size_t each_b)
{
    const unsigned char *mine = (const unsigned char *)all + ranks->rank * each_b;
    if (ranks->failed == 0)
        settle(ranks, nccl.all_gather(mine, all, each_b, ncclUint8, ranks->comm, stream));
}

void se_gpu_ranks_gather(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *all, size_t each_b)
{
    if (ranks->failed < 0)
        return;
    ncclResult_t result = nccl.group_start(), ended;
    if (ranks->rank > 0 && result == ncclSuccess)
        result = nccl.send(all, each_b, ncclUint8, 0, ranks->comm, stream);
    for (uint32_t i = 1; ranks->rank == 0 && i < ranks->size; i++) {
        if (result == ncclSuccess || result == ncclInProgress)
            result = nccl.receive((unsigned char *)all + i * each_b, each_b, ncclUint8, (int)i,
                                  ranks->comm, stream);
    }
    ended = nccl.group_end();
    settle(ranks, result == ncclSuccess || result == ncclInProgress ? ended : result);
}

void se_gpu_ranks_broadcast(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *bytes,
                            size_t n_b)
{
    if (ranks->failed == 0)
        settle(ranks, nccl.broadcast(bytes, bytes, n_b, ncclUint8, 0, ranks->comm, stream));
}

int se_gpu_ranks_started(struct se_gpu_ranks *ranks)
{
    const int r = ranks->failed;
    ranks->failed = 0;
    return r;
}

int se_gpu_ranks_check(struct se_gpu_ranks *ranks)
{
    const int r = look(ranks, "another rank is lost");
    return r < 0 ? r : 0;
}
