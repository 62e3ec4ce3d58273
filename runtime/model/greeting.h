/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/greeting.h - the first words between rank 0 and a machine, or a rank, that comes.
 *
 *   hello   "this is what I am, and that is what I want"   ───►
 *   reply                        ◄───   "here is what you need", or a refusal with the reason
 *
 * Both begin with sixteen bytes that no version will change; the rest is as it lies in memory,
 * which is why the layout is compared. What comes is checked before anything of it is used. */
#ifndef SE_RUNTIME_MODEL_GREETING_H
#define SE_RUNTIME_MODEL_GREETING_H

#include <stdint.h>

enum { SE_GREETING_VERSION = 1, SE_GREETING_WHY_B = 320, SE_GREETING_BACKEND_B = 16 };

struct se_greeting_head {
    char magic[8];
    uint32_t version, size_b; /* of the whole */
};

enum se_hello_kind {
    SE_HELLO_JOIN, /* a machine that wants ranks */
    SE_HELLO_SIT,  /* a rank that has loaded its model */
    SE_HELLO_KINDS
};

struct se_hello {
    struct se_greeting_head head;
    uint32_t kind;
    uint32_t layout; /* se_orders_layout() */
    uint64_t model;  /* JOIN: se_identity_shape(); SIT: se_identity() */
    uint64_t ticket; /* SIT: as the machine was told */
    uint32_t rank, spare;
    char backend[SE_GREETING_BACKEND_B]; /* SIT: what computes, "cpu" */
};

/* What a machine that joins is told. */
struct se_nodes_terms {
    uint32_t first, n, size; /* its ranks are first .. first + n - 1 of size */
    uint32_t max_rows, n_pages, kv_dtype;
    uint32_t weights; /* enum se_weights: what to load */
    uint32_t spare;
    uint64_t wait_ns; /* ranks wait for each other no longer */
    uint64_t ticket;  /* to be shown by its ranks */
};

struct se_reply {
    struct se_greeting_head head;
    uint32_t refused, spare;
    char why[SE_GREETING_WHY_B]; /* of a refusal */
    struct se_nodes_terms terms;
};

void se_hello_init(struct se_hello *hello, enum se_hello_kind kind, uint64_t model);
void se_reply_init(struct se_reply *reply);
/* A refusal, with the text of the last failure. */
void se_reply_refuse(struct se_reply *reply);

/* The first sixteen bytes of a hello: 0; -EBADMSG: no hello of ours; -EPROTO: another version's. */
int se_hello_check_head(const struct se_greeting_head *head);
/* All of it, but for what the listener knows: model, ticket, rank, backend. */
int se_hello_check(struct se_hello *hello);

/* Of a reply: -EBADMSG: it is none; -EPROTO: another version's; -EACCES: a refusal, with its reason;
 * and terms that cannot be, where they count. */
int se_reply_check(struct se_reply *reply);
int se_nodes_terms_check(const struct se_nodes_terms *terms);

#endif
