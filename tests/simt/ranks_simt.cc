/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks of the emulator's: processes that meet in memory whose name is the id. An operation goes a
 * tray at a time; when the others are not there yet, the stream tries it again later.
 *
 *   wait until all have read tray k - 1 | fill mine | wait until all are full | read | next */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <memory>

#include "kernels/cuda/fail.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/ranks.h"
#include "tests/simt/device_simt.h"
#include "tests/simt/stream.h"

enum { RANKS_MAX = 64, TRAY_B = 1 << 16 };

struct seat {
    std::atomic<uint32_t> present, gone;
    std::atomic<uint32_t> filled, read; /* trays */
    unsigned char tray[TRAY_B];
};

struct table {
    struct seat seat[RANKS_MAX];
};

/* What work on a stream has of it, also when the ranks are closed by then: table is NULL. */
struct meeting {
    struct table *table;
    char name[SE_GPU_RANKS_ID_B];
    uint32_t rank, size;
    uint32_t trays;  /* that were begun before this one */
    bool full;       /* mine, of this one */
    size_t done_b;   /* of the operation that is under way */
    bool unsuitable; /* a call came for a stream that there is not */
};

struct se_gpu_ranks {
    std::shared_ptr<struct meeting> meeting;
};

/* An operation: each rank brings n_b bytes, or only rank 0 does, and takes its share of them. */
struct operation {
    enum { ALL_GATHER, GATHER, BROADCAST } kind;
    unsigned char *bytes;
    size_t n_b;
};

/* Where nobody came to open it, its name goes with the next one, or with the program. */
static struct last_id {
    char name[SE_GPU_RANKS_ID_B];
    ~last_id() { forget(); }
    void forget(void)
    {
        if (name[0] != '\0')
            shm_unlink(name);
        name[0] = '\0';
    }
} last_id;

int se_gpu_ranks_id(unsigned char id[SE_GPU_RANKS_ID_B])
{
    static unsigned number;
    if (simt_device_told()->no_ranks)
        return se_gpu_fail(-ENODEV, "GPU: the emulator was told that ranks cannot meet");
    last_id.forget();
    memset(id, 0, SE_GPU_RANKS_ID_B);
    snprintf((char *)id, SE_GPU_RANKS_ID_B, "/se-simt-%ld-%u", (long)getpid(), number++);
    const int file = shm_open((const char *)id, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0)
        return se_gpu_fail(-ENODEV, "GPU: no place for ranks to meet: %s", strerror(errno));
    memcpy(last_id.name, id, sizeof last_id.name);
    const int r = ftruncate(file, sizeof(struct table));
    close(file);
    return r == 0 ? 0 : se_gpu_fail(-ENODEV, "GPU: no room for ranks to meet");
}

int se_gpu_ranks_open(struct se_gpu_ranks **out, const unsigned char id[SE_GPU_RANKS_ID_B],
                      uint32_t rank, uint32_t size)
{
    const int file = shm_open((const char *)id, O_RDWR, 0600);
    if (file < 0)
        return se_gpu_fail(-EIO, "GPU: the ranks cannot meet: %s", strerror(errno));
    void *table = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (table == MAP_FAILED)
        return se_gpu_fail(-EIO, "GPU: the ranks cannot meet: %s", strerror(errno));
    std::shared_ptr<struct meeting> m = std::make_shared<struct meeting>();
    m->table = (struct table *)table;
    memcpy(m->name, id, sizeof m->name);
    m->rank = rank;
    m->size = size;
    m->table->seat[rank].present = 1;
    *out = new se_gpu_ranks{ m };
    return 0;
}

int se_gpu_ranks_ready(struct se_gpu_ranks *ranks)
{
    const struct meeting *m = ranks->meeting.get();
    for (uint32_t i = 0; i < m->size; i++)
        if (m->table->seat[i].present == 0)
            return 1;
    shm_unlink(m->name); /* the first one does; nobody else comes */
    return 0;
}

void se_gpu_ranks_close(struct se_gpu_ranks *ranks, bool)
{
    if (ranks == NULL)
        return;
    if (simt_device_seen().alive > 0) /* NCCL would wait for them, and for ever */
        simt_fault("ranks are closed before %lu graphs", simt_device_seen().alive);
    struct meeting *m = ranks->meeting.get();
    m->table->seat[m->rank].gone = 1;
    shm_unlink(m->name);
    munmap(m->table, sizeof(struct table));
    m->table = NULL;
    delete ranks;
}

/* ---- operations */

static bool all_have(const struct meeting *m, std::atomic<uint32_t> seat::*what, uint32_t n)
{
    for (uint32_t i = 0; i < m->size; i++)
        if (m->table->seat[i].*what < n)
            return false;
    return true;
}

static void fill(struct meeting *m, const struct operation *op, size_t n_b)
{
    struct seat *mine = &m->table->seat[m->rank];
    const unsigned char *from = op->bytes + m->done_b;
    if (op->kind == operation::ALL_GATHER)
        from += m->rank * op->n_b;
    if (op->kind == operation::BROADCAST && m->rank > 0)
        return;
    memcpy(mine->tray, from, n_b);
}

static void take(struct meeting *m, const struct operation *op, size_t n_b)
{
    unsigned char *to = op->bytes + m->done_b;
    if (op->kind == operation::BROADCAST) {
        memcpy(to, m->table->seat[0].tray, n_b);
        return;
    }
    if (op->kind == operation::GATHER && m->rank > 0)
        return;
    for (uint32_t i = 0; i < m->size; i++)
        if (i != m->rank)
            memcpy(to + i * op->n_b, m->table->seat[i].tray, n_b);
}

/* One tray. False: the others are not that far. */
static bool pass_tray(struct meeting *m, const struct operation *op)
{
    struct seat *mine = &m->table->seat[m->rank];
    const size_t left_b = op->n_b - m->done_b, n_b = left_b < TRAY_B ? left_b : (size_t)TRAY_B;
    if (!m->full) {
        if (!all_have(m, &seat::read, m->trays))
            return false;
        fill(m, op, n_b);
        mine->filled = m->trays + 1;
        m->full = true;
    }
    if (!all_have(m, &seat::filled, m->trays + 1))
        return false;
    take(m, op, n_b);
    mine->read = ++m->trays;
    m->full = false;
    m->done_b += n_b;
    return true;
}

static void pass(struct meeting *m, const struct operation *op)
{
    bool here = true;
    simt_memory_hold();
    while (m->table != NULL && here && m->done_b < op->n_b)
        here = pass_tray(m, op);
    simt_memory_release();
    if (here)
        m->done_b = 0;
    else
        simt_stream_again();
}

static void put(struct se_gpu_ranks *ranks, se_gpu_stream stream, struct operation op)
{
    std::shared_ptr<struct meeting> m = ranks->meeting;
    m->unsuitable |= stream == NULL;
    if (stream != NULL)
        simt_stream_add(stream, [m, op] { pass(m.get(), &op); });
}

void se_gpu_ranks_all_gather(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *all,
                             size_t each_b)
{
    put(ranks, stream, { operation::ALL_GATHER, (unsigned char *)all, each_b });
}

void se_gpu_ranks_gather(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *all, size_t each_b)
{
    put(ranks, stream, { operation::GATHER, (unsigned char *)all, each_b });
}

void se_gpu_ranks_broadcast(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *bytes,
                            size_t n_b)
{
    put(ranks, stream, { operation::BROADCAST, (unsigned char *)bytes, n_b });
}

int se_gpu_ranks_started(struct se_gpu_ranks *ranks)
{
    return ranks->meeting->unsuitable ? se_gpu_fail(-EIO, "GPU: ranks meet on streams alone") : 0;
}

int se_gpu_ranks_check(struct se_gpu_ranks *ranks)
{
    const struct meeting *m = ranks->meeting.get();
    for (uint32_t i = 0; i < m->size; i++)
        if (m->table->seat[i].gone != 0)
            return se_gpu_fail(-EIO, "GPU: another rank is lost");
    return 0;
}
