/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/slot.h"

#include <errno.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

int se_slots_init(struct se_slots *slots, uint32_t n, uint32_t max_nodes)
{
    *slots = (struct se_slots){ .n = n, .max_nodes = max_nodes };
    slots->free = slots->ready = slots->done = SE_SLOT_LIST_EMPTY;
    slots->slot = se_mem_zero(n, sizeof *slots->slot);
    slots->parent = se_mem_new((size_t)n * max_nodes, sizeof *slots->parent);
    slots->token = se_mem_new((size_t)n * max_nodes, sizeof *slots->token);
    slots->path = se_mem_new((size_t)n * max_nodes, sizeof *slots->path);
    if (!slots->slot || !slots->parent || !slots->token || !slots->path) {
        se_slots_fini(slots);
        return se_trace(-ENOMEM);
    }
    for (uint32_t i = 0; i < n; i++) {
        size_t at = (size_t)i * max_nodes;
        slots->slot[i].parent = slots->parent + at;
        slots->slot[i].token = slots->token + at;
        slots->slot[i].path = slots->path + at;
        se_slot_append(slots, &slots->free, i);
    }
    return 0;
}

void se_slots_fini(struct se_slots *slots)
{
    se_mem_free(slots->slot);
    se_mem_free(slots->parent);
    se_mem_free(slots->token);
    se_mem_free(slots->path);
    *slots = (struct se_slots){ .n = 0 };
}

/* The memory of the one that was used last is warm. */
uint32_t se_slot_claim(struct se_slots *slots)
{
    uint32_t at = slots->free.first;
    if (at == SE_SLOT_NONE)
        return at;
    struct se_slot *slot = &slots->slot[at];
    se_slot_unlink(slots, &slots->free, at);
    *slot = (struct se_slot){ .state = SE_SLOT_FILLING,
                              .next = SE_SLOT_NONE,
                              .prev = SE_SLOT_NONE,
                              .parent = slot->parent,
                              .token = slot->token,
                              .path = slot->path };
    return at;
}

void se_slot_release(struct se_slots *slots, uint32_t at)
{
    slots->slot[at].state = SE_SLOT_FREE;
    se_slot_prepend(slots, &slots->free, at);
}

static void join(struct se_slots *slots, struct se_slot_list *list, uint32_t before, uint32_t after)
{
    if (before == SE_SLOT_NONE)
        list->first = after;
    else
        slots->slot[before].next = after;
    if (after == SE_SLOT_NONE)
        list->last = before;
    else
        slots->slot[after].prev = before;
}

void se_slot_append(struct se_slots *slots, struct se_slot_list *list, uint32_t at)
{
    join(slots, list, list->last, at);
    join(slots, list, at, SE_SLOT_NONE);
    list->n++;
}

void se_slot_prepend(struct se_slots *slots, struct se_slot_list *list, uint32_t at)
{
    join(slots, list, at, list->first);
    join(slots, list, SE_SLOT_NONE, at);
    list->n++;
}

void se_slot_unlink(struct se_slots *slots, struct se_slot_list *list, uint32_t at)
{
    join(slots, list, slots->slot[at].prev, slots->slot[at].next);
    slots->slot[at].prev = slots->slot[at].next = SE_SLOT_NONE;
    list->n--;
}
