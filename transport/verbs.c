/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/verbs.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <string.h>
#include <sys/resource.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/dma.h"

enum { POLLS = 16, NO_CHUNK = 0 };
/* A request's number: of a chunk to receive into, or OUT | tag | chunk + 1. */
#define OUT (UINT64_C(1) << 63)
enum { TAG_SHIFT = 16, CHUNK_MASK = 0xffff };

struct se_verbs {
    struct ibv_context *device;
    struct ibv_pd *pd;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    struct ibv_srq *srq;
    struct ibv_mr *mr, *slots_mr;
    struct se_verbs_shape shape;
    unsigned char *memory; /* n_in chunks, then n_out */
    unsigned char *slots;  /* all that others may write */
    uint64_t memory_b;
    uint64_t owner[SE_VERBS_OUT_MAX]; /* tag + 1 of who sends from it, 0: free */
    uint16_t free[SE_VERBS_OUT_MAX];
    uint32_t n_free, sends; /* under way */
    struct ibv_wc wc[POLLS];
    int n_wc, at_wc;
};

static unsigned char *in_chunk(const struct se_verbs *v, uint64_t at)
{
    return v->memory + at * v->shape.in_b;
}

static unsigned char *out_chunk(const struct se_verbs *v, uint32_t at)
{
    return v->memory + (uint64_t)v->shape.n_in * v->shape.in_b + (uint64_t)at * v->shape.out_b;
}

unsigned char *se_verbs_slot(const struct se_verbs *v, uint32_t at)
{
    assert(at < v->shape.n_slots);
    return v->slots + (uint64_t)at * v->shape.in_b;
}

uint32_t se_verbs_slot_key(const struct se_verbs *v) { return v->slots_mr->rkey; }

/* ---- sending */

bool se_verbs_has_room(const struct se_verbs *v, uint32_t n, bool small)
{
    return v->shape.sends_max - v->sends >= n && (small || v->n_free >= n);
}

int se_verbs_send(struct se_verbs *v, struct ibv_qp *qp, const struct se_verbs_message *m)
{
    const bool small = m->len_b <= m->small_b;
    uint32_t chunk = NO_CHUNK;
    assert(se_verbs_has_room(v, 1, small) && m->len_b <= v->shape.out_b);
    struct ibv_sge part = { .addr = (uintptr_t)m->data, .length = m->len_b };
    if (!small) {
        chunk = v->free[v->n_free - 1] + 1u;
        memcpy(out_chunk(v, chunk - 1), m->data, m->len_b);
        part.addr = (uintptr_t)out_chunk(v, chunk - 1);
        part.lkey = v->mr->lkey;
    }
    struct ibv_send_wr *bad, request = {
        .wr_id = OUT | m->tag << TAG_SHIFT | chunk,
        .sg_list = &part,
        .num_sge = m->len_b > 0,
        .opcode = m->slot_at != 0 ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_SEND_WITH_IMM,
        .wr.rdma = { .remote_addr = m->slot_at, .rkey = m->slot_key },
        .send_flags = IBV_SEND_SIGNALED | (m->wakes ? IBV_SEND_SOLICITED : 0u) |
                      (small && m->len_b > 0 ? IBV_SEND_INLINE : 0u),
        .imm_data = htonl(m->word),
    };
    /* [dma.post] the copy above comes first. */
    se_dma_post();
    const int r = ibv_post_send(qp, &request, &bad);
    if (r != 0)
        return r > 0 ? -r : -errno;
    v->sends++;
    if (!small) {
        /* [dma.keep] out of the list until the completion. */
        v->n_free--;
        v->owner[chunk - 1] = m->tag + 1;
    }
    return 0;
}

int se_verbs_probe(struct se_verbs *v, struct ibv_qp *qp, uint64_t tag)
{
    /* No bytes are written, so no address is looked at; and no chunk is taken. */
    struct ibv_send_wr *bad, request = { .wr_id = OUT | tag << TAG_SHIFT,
                                         .opcode = IBV_WR_RDMA_WRITE,
                                         .send_flags = IBV_SEND_SIGNALED };
    const int r = ibv_post_send(qp, &request, &bad);
    if (r != 0)
        return r > 0 ? -r : -errno;
    v->sends++;
    return 0;
}

static void set_free(struct se_verbs *v, uint32_t at)
{
    v->owner[at] = 0;
    v->free[v->n_free++] = (uint16_t)at;
}

void se_verbs_part(struct se_verbs *v, uint64_t tag, uint32_t n)
{
    for (uint32_t i = 0; n > 0 && i < v->shape.n_out; i++) {
        if (v->owner[i] == tag + 1)
            set_free(v, i);
    }
    v->sends -= n;
}

/* ---- completions */

static int post(struct se_verbs *v, uint64_t chunk)
{
    struct ibv_sge part = { .addr = (uintptr_t)in_chunk(v, chunk),
                            .length = v->shape.in_b,
                            .lkey = v->mr->lkey };
    struct ibv_recv_wr *bad, request = { .wr_id = chunk, .sg_list = &part, .num_sge = 1 };
    /* [dma.post] what was read of it was read before. */
    se_dma_post();
    const int r = ibv_post_srq_recv(v->srq, &request, &bad);
    return r > 0 ? -r : r < 0 ? -errno : 0;
}

bool se_verbs_peek(struct se_verbs *v, struct se_verbs_done *done)
{
    if (v->at_wc == v->n_wc) {
        v->at_wc = 0;
        v->n_wc = ibv_poll_cq(v->cq, POLLS, v->wc);
        if (v->n_wc <= 0) {
            v->n_wc = 0;
            return false;
        }
        /* [dma.done] the chunks are read from here on. */
        se_dma_done();
    }
    const struct ibv_wc *wc = &v->wc[v->at_wc];
    const bool out = (wc->wr_id & OUT) != 0, ok = wc->status == IBV_WC_SUCCESS;
    *done = (struct se_verbs_done){ .ok = ok,
                                    .out = out,
                                    .qp_num = wc->qp_num,
                                    .tag = (wc->wr_id & ~OUT) >> TAG_SHIFT,
                                    .why = ok ? NULL : ibv_wc_status_str(wc->status) };
    if (out || !ok)
        return true;
    /* A message without a word is none of ours, and neither is one of more than the chunk. */
    done->ok = (wc->wc_flags & IBV_WC_WITH_IMM) && wc->byte_len <= v->shape.in_b;
    done->why = done->ok ? NULL : "a message that is none";
    /* [dma.slot] the word is behind the bytes, and so is its completion. */
    done->written = wc->opcode == IBV_WC_RECV_RDMA_WITH_IMM;
    done->data = done->written ? NULL : in_chunk(v, wc->wr_id);
    done->len_b = wc->byte_len;
    done->word = ntohl(wc->imm_data);
    return true;
}

void se_verbs_pop(struct se_verbs *v, bool still_there)
{
    const uint64_t number = v->wc[v->at_wc++].wr_id;
    if (!(number & OUT)) {
        post(v, number); /* fails only with a device that has failed, and nothing comes any more */
        return;
    }
    const uint32_t chunk = number & CHUNK_MASK;
    const uint64_t tag = (number & ~OUT) >> TAG_SHIFT;
    if (chunk != NO_CHUNK && v->owner[chunk - 1] == tag + 1)
        set_free(v, chunk - 1);
    v->sends -= still_there;
}

void se_verbs_arm(struct se_verbs *v, bool all)
{
    /* [dma.arm] the caller looks again. Fails only with a device that has failed. */
    if (ibv_req_notify_cq(v->cq, !all) != 0)
        return;
}

int se_verbs_fd(const struct se_verbs *v) { return v->channel->fd; }

void se_verbs_heard(struct se_verbs *v)
{
    struct ibv_cq *cq;
    void *context;
    while (ibv_get_cq_event(v->channel, &cq, &context) == 0)
        ibv_ack_cq_events(cq, 1);
}

/* ---- the beginning and the end */

struct ibv_context *se_verbs_device(const struct se_verbs *v) { return v->device; }
uint32_t se_verbs_n_in(const struct se_verbs *v) { return v->shape.n_in; }
uint64_t se_verbs_pinned_b(const struct se_verbs *v) { return v->memory_b; }

void se_verbs_free(struct se_verbs *v)
{
    if (v == NULL)
        return;
    if (v->srq != NULL)
        ibv_destroy_srq(v->srq);
    if (v->cq != NULL)
        ibv_destroy_cq(v->cq);
    if (v->channel != NULL)
        ibv_destroy_comp_channel(v->channel);
    if (v->mr != NULL)
        ibv_dereg_mr(v->mr);
    if (v->slots_mr != NULL)
        ibv_dereg_mr(v->slots_mr);
    if (v->pd != NULL)
        ibv_dealloc_pd(v->pd);
    se_mem_free(v->memory);
    se_mem_free(v->slots);
    se_mem_free(v);
}

/* Why memory could not be pinned. */
static int fail_to_pin(const struct se_verbs *v, int code)
{
    struct rlimit limit;
    const char *name = ibv_get_device_name(v->device->device);
    if ((code == ENOMEM || code == EAGAIN || code == EPERM) &&
        getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < v->memory_b + (UINT64_C(1) << 20))
        return se_fail(-ENOMEM,
                       "%s: cannot pin %llu KiB of memory, the limit is %llu KiB: raise it with "
                       "'ulimit -l unlimited', LimitMEMLOCK=infinity in a unit, or memlock in "
                       "/etc/security/limits.conf",
                       name, (unsigned long long)(v->memory_b >> 10),
                       (unsigned long long)(limit.rlim_cur >> 10));
    return se_fail(-code, "%s: cannot pin %llu KiB of memory: %s", name,
                   (unsigned long long)(v->memory_b >> 10), strerror(code));
}

static int fit_to_device(struct se_verbs *v)
{
    struct ibv_device_attr has;
    const char *name = ibv_get_device_name(v->device->device);
    const int r = ibv_query_device(v->device, &has);
    if (r != 0)
        return se_fail(-r, "%s: cannot be asked what it has: %s", name, strerror(r));
    if (has.max_srq <= 0 || has.max_srq_wr < (int)v->shape.n_in_least)
        return se_fail(
            -EOPNOTSUPP,
            "%s: its shared receive queues hold %d chunks; %u are needed for so many peers", name,
            has.max_srq > 0 ? has.max_srq_wr : 0, v->shape.n_in_least);
    if ((uint32_t)has.max_srq_wr < v->shape.n_in)
        v->shape.n_in = (uint32_t)has.max_srq_wr;
    if (has.max_cqe < (int)(v->shape.n_in_least + 64))
        return se_fail(-EOPNOTSUPP, "%s: its completion queues hold %d; %u are needed", name,
                       has.max_cqe, v->shape.n_in_least + 64);
    /* All that can have been completed has room: a queue that runs over is lost. */
    const uint32_t cqe = (uint32_t)has.max_cqe;
    if (v->shape.n_in + v->shape.sends_max > cqe) {
        if (v->shape.n_in > cqe - cqe / 8)
            v->shape.n_in =
                cqe - cqe / 8 > v->shape.n_in_least ? cqe - cqe / 8 : v->shape.n_in_least;
        v->shape.sends_max = cqe - v->shape.n_in;
    }
    return 0;
}

static int make(struct se_verbs *v)
{
    const char *name = ibv_get_device_name(v->device->device);
    const struct se_verbs_shape *s = &v->shape;
    struct ibv_srq_init_attr queue = { .attr = { .max_wr = s->n_in, .max_sge = 1 } };
    const uint64_t slots_b = (uint64_t)s->n_slots * s->in_b;
    const uint64_t chunks_b = (uint64_t)s->n_in * s->in_b + (uint64_t)s->n_out * s->out_b;
    v->memory_b = chunks_b + slots_b;
    v->memory = se_mem_zero(1, chunks_b);
    if (v->memory == NULL || (slots_b > 0 && (v->slots = se_mem_zero(1, slots_b)) == NULL))
        return se_trace(-ENOMEM);
    if ((v->pd = ibv_alloc_pd(v->device)) == NULL)
        return se_fail(-errno, "%s: no protection domain: %s", name, strerror(errno));
    v->mr = ibv_reg_mr(v->pd, v->memory, chunks_b, IBV_ACCESS_LOCAL_WRITE);
    if (v->mr == NULL)
        return fail_to_pin(v, errno);
    if (slots_b > 0)
        v->slots_mr =
            ibv_reg_mr(v->pd, v->slots, slots_b, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
    if (slots_b > 0 && v->slots_mr == NULL)
        return fail_to_pin(v, errno);
    v->channel = ibv_create_comp_channel(v->device);
    if (v->channel == NULL || fcntl(v->channel->fd, F_SETFL, O_NONBLOCK) < 0)
        return se_fail(-errno, "%s: no channel for completions: %s", name, strerror(errno));
    v->cq = ibv_create_cq(v->device, (int)(s->n_in + s->sends_max), NULL, v->channel, 0);
    if (v->cq == NULL)
        return se_fail(-errno, "%s: no completion queue of %u: %s", name, s->n_in + s->sends_max,
                       strerror(errno));
    v->srq = ibv_create_srq(v->pd, &queue);
    if (v->srq == NULL)
        return se_fail(-errno, "%s: no shared receive queue of %u: %s", name, s->n_in,
                       strerror(errno));
    for (uint32_t i = 0; i < s->n_in; i++) {
        const int r = post(v, i);
        if (r < 0)
            return se_fail(r, "%s: cannot post a chunk to receive into: %s", name, strerror(-r));
    }
    for (uint32_t i = s->n_out; i-- > 0;)
        set_free(v, i);
    return 0;
}

int se_verbs_new(struct se_verbs **out, struct ibv_context *device,
                 const struct se_verbs_shape *shape)
{
    assert(shape->n_out >= 1 && shape->n_out <= SE_VERBS_OUT_MAX);
    struct se_verbs *v = se_mem_zero(1, sizeof(*v));
    if (v == NULL)
        return se_trace(-ENOMEM);
    v->device = device;
    v->shape = *shape;
    int r = fit_to_device(v);
    if (r == 0)
        r = make(v);
    if (r < 0) {
        se_verbs_free(v);
        return se_trace(r);
    }
    *out = v;
    return 0;
}

int se_verbs_join(struct se_verbs *v, struct rdma_cm_id *id, uint32_t depth, uint32_t want_b,
                  uint32_t *small_b)
{
    /* Some devices have less room in a request, and say no instead of how much. */
    for (uint32_t b = want_b;; b /= 4) {
        struct ibv_qp_init_attr pair = {
            .send_cq = v->cq,
            .recv_cq = v->cq,
            .srq = v->srq,
            .cap = { .max_send_wr = depth, .max_send_sge = 1, .max_inline_data = b },
            .qp_type = IBV_QPT_RC,
        };
        if (rdma_create_qp(id, v->pd, &pair) == 0) {
            *small_b = b;
            return 0;
        }
        if (b == 0)
            return -errno;
    }
}
