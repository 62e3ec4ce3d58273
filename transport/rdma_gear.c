/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <rdma/rdma_cma.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/rdma_inside.h"

enum { SERVER_IN_B = 1024, SERVER_MORE = 2048, SERVER_OUT_B = 4096, SERVER_OUT = 256 };
enum { SERVER_DEPTH = 32, SERVER_SENDS = 8192, EDGE_DEPTH = 72 };
enum { EDGE_IN_B = 8192, EDGE_IN = 32, EDGE_OUT_B = 1024, EDGE_OUT = 72 };

void se_rdma_gear_plan(struct se_rdma *l)
{
    const uint32_t peers = l->options.peers_max;
    if (l->listens) {
        l->depth = SERVER_DEPTH;
        l->shape = (struct se_verbs_shape){ .in_b = SERVER_IN_B,
                                            .n_in = peers * SE_RDMA_BASE + SERVER_MORE,
                                            .n_in_least = peers * SE_RDMA_BASE,
                                            .out_b = SERVER_OUT_B,
                                            .n_out = SERVER_OUT,
                                            .sends_max = SERVER_SENDS };
    } else {
        l->depth = EDGE_DEPTH;
        l->shape = (struct se_verbs_shape){ .in_b = EDGE_IN_B,
                                            .n_in = EDGE_IN,
                                            .n_in_least = EDGE_IN,
                                            .out_b = EDGE_OUT_B,
                                            .n_out = EDGE_OUT,
                                            .sends_max = EDGE_DEPTH };
    }
}

struct se_rdma_gear *se_rdma_gear_of(struct se_rdma *l, const struct se_verbs *verbs)
{
    uint32_t i = 0;
    while (i < l->n_gears && l->gear[i].verbs != verbs)
        i++;
    return i < l->n_gears ? &l->gear[i] : NULL;
}

void se_rdma_gear_plan_slots(struct se_rdma *l) { l->shape.n_slots = l->shape.n_in; }

bool se_rdma_gear_take_slots(struct se_rdma *l, struct se_rdma_conn *c, uint32_t n)
{
    struct se_rdma_gear *gear = se_rdma_gear_of(l, c->gear);
    uint32_t free = 0;
    for (uint32_t i = 0; gear->taken != NULL && i < l->shape.n_slots; i++) {
        free = gear->taken[i] ? 0 : free + 1;
        if (free < n)
            continue;
        c->first_slot = i + 1 - n;
        c->n_slots = n;
        memset(gear->taken + c->first_slot, true, n * sizeof(*gear->taken));
        return true;
    }
    return false;
}

void se_rdma_gear_give_slots(struct se_rdma *l, struct se_rdma_conn *c)
{
    struct se_rdma_gear *gear = se_rdma_gear_of(l, c->gear);
    if (gear->taken != NULL)
        memset(gear->taken + c->first_slot, false, c->n_slots * sizeof(*gear->taken));
}

int se_rdma_gear_for(struct se_rdma *l, struct ibv_context *device, struct se_rdma_gear **out)
{
    for (uint32_t i = 0; i < l->n_gears; i++) {
        *out = &l->gear[i];
        if (se_verbs_device((*out)->verbs) == device)
            return (*out)->dead ? -ENODEV : 0;
    }
    if (l->n_gears == SE_RDMA_GEARS_MAX)
        return se_fail(-ENOSPC, "'%s': more than %d RDMA devices", l->url, SE_RDMA_GEARS_MAX);
    struct se_rdma_gear *gear = &l->gear[l->n_gears];
    *gear = (struct se_rdma_gear){ .verbs = NULL };
    if (l->shape.n_slots > 0 &&
        (gear->taken = se_mem_zero(l->shape.n_slots, sizeof(*gear->taken))) == NULL)
        return se_trace(-ENOMEM);
    const int r = se_verbs_new(&gear->verbs, device, &l->shape);
    if (r < 0) {
        se_mem_free(gear->taken);
        return se_trace(r);
    }
    l->n_gears++;
    gear->more = se_verbs_n_in(gear->verbs) - l->max_conns * SE_RDMA_BASE;
    *out = gear;
    return 0;
}

void se_rdma_gear_free(struct se_rdma_gear *gear)
{
    se_verbs_free(gear->verbs);
    se_mem_free(gear->taken);
}

void se_rdma_gear_die(struct se_rdma *l, const struct ibv_context *device)
{
    for (uint32_t i = 0; i < l->n_gears; i++)
        l->gear[i].dead |= se_verbs_device(l->gear[i].verbs) == device;
    l->stale = true;
}

void se_rdma_gear_free_dead(struct se_rdma *l)
{
    for (uint32_t i = l->n_gears; i-- > 0;) {
        if (!l->gear[i].dead || l->gear[i].users > 0)
            continue;
        se_rdma_gear_free(&l->gear[i]);
        l->gear[i] = l->gear[--l->n_gears];
    }
}

void se_rdma_gear_resync(struct se_rdma *l)
{
    for (uint32_t i = 0; i < l->n_gears; i++) {
        if (l->gear[i].dead)
            return;
    }
    if (!l->stale)
        return;
    /* It compares what it knows with what there is when it is asked for all of them, and closes what
     * is gone. Soft-RoCE lets a device go only when all have closed it: until then "rdma link
     * delete" waits. With no device at all it fails, and is asked again. */
    struct ibv_context **list = rdma_get_devices(NULL);
    if (list == NULL)
        return;
    rdma_free_devices(list);
    l->stale = false;
    l->resynced = true;
}
