/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/slot.h - one round on its way through the server.
 *
 *           VERIFY              prompt computed        taken into a job
 *   FREE ───────────► FILLING ─────────────────► READY ────────────────► RUNNING
 *    ▲                                                                     │ job done
 *    └──────────────── answer sent ◄──────────── DONE ◄────────────────────┘
 *
 * The server owns a slot in every state but RUNNING, when the engine's side reads the tree and
 * writes the path. A round that nobody wants any more while it runs is marked dropped, and
 * freed when it comes back. */
#ifndef SE_SCHED_SERVER_SLOT_H
#define SE_SCHED_SERVER_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#define SE_SLOT_NONE UINT32_MAX

enum se_slot_state { SE_SLOT_FREE, SE_SLOT_FILLING, SE_SLOT_READY, SE_SLOT_RUNNING, SE_SLOT_DONE };

struct se_slot {
    enum se_slot_state state;
    uint32_t session;
    uint32_t next, prev; /* in the list of its state */

    uint32_t round, base;
    uint32_t n; /* nodes, root included */
    int32_t *parent;
    uint32_t *token;
    bool pushed;  /* a round that the server made itself */
    bool dropped; /* nobody wants the answer */
    bool alone;   /* a step with others failed: it goes by itself */

    uint32_t *path;
    uint32_t n_path, bonus;
    int failed; /* below 0: the engine's error */
    uint64_t arrived_ns, ready_ns, begun_ns, ended_ns;
    uint64_t came_ns; /* as arrived_ns, to the moment: for a timeline */
    uint64_t step;    /* number of the one that it was in */
    uint32_t passed;  /* steps that left without it while it was ready */
};

/* Lists of slots: the oldest first. */
struct se_slot_list {
    uint32_t first, last, n;
};
#define SE_SLOT_LIST_EMPTY \
    ((struct se_slot_list){ .first = SE_SLOT_NONE, .last = SE_SLOT_NONE, .n = 0 })

struct se_slots {
    struct se_slot *slot;
    uint32_t n, max_nodes;
    struct se_slot_list free, ready, done;
    int32_t *parent; /* of all slots */
    uint32_t *token, *path;
};

/* n slots for trees of up to max_nodes. 0 or -ENOMEM. */
int se_slots_init(struct se_slots *slots, uint32_t n, uint32_t max_nodes);
void se_slots_fini(struct se_slots *slots);

/* A slot in state FILLING and in no list, or SE_SLOT_NONE. */
uint32_t se_slot_claim(struct se_slots *slots);
/* Back to FREE; it is in no list. */
void se_slot_release(struct se_slots *slots, uint32_t at);

void se_slot_append(struct se_slots *slots, struct se_slot_list *list, uint32_t at);
void se_slot_prepend(struct se_slots *slots, struct se_slot_list *list, uint32_t at);
void se_slot_unlink(struct se_slots *slots, struct se_slot_list *list, uint32_t at);

#endif
