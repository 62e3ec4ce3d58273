/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/messages.h"

#include <string.h>

#include "transport/pack.h"

struct se_wire_room room_of(struct lists *lists)
{
    return (struct se_wire_room){ .parent = lists->parent,
                                  .token = lists->id,
                                  .nodes_max = SE_WIRE_NODES_MAX,
                                  .ids_max = SE_WIRE_IDS_MAX };
}

static uint64_t word(struct se_rng *rng)
{
    uint64_t high = se_rng_u32(rng);
    return high << 32 | se_rng_u32(rng);
}

/* Within [low, high], often at the ends. */
static uint64_t between(struct se_rng *rng, uint64_t low, uint64_t high)
{
    uint32_t how = se_rng_below(rng, 4);
    if (how == 0)
        return low;
    if (how == 1)
        return high;
    return high - low == UINT64_MAX ? word(rng) : low + word(rng) % (high - low + 1);
}

void tree_any(struct se_rng *rng, uint32_t n, bool ordered, int32_t *parent)
{
    uint32_t style = se_rng_below(rng, 4), low = 0;
    parent[0] = -1;
    for (uint32_t i = 1; i < n; i++) {
        if (!ordered)
            parent[i] = (int32_t)se_rng_below(rng, i);
        else if (style == 0)
            parent[i] = (int32_t)(i - 1); /* a chain */
        else if (style == 1)
            parent[i] = 0; /* a star */
        else if (se_rng_below(rng, style) == 0 && low + 1 < i)
            parent[i] = (int32_t)(low += 1 + se_rng_below(rng, i - low - 1));
        else
            parent[i] = (int32_t)low;
    }
}

static void put(struct se_wire *message, const struct se_wire_field *field, uint64_t value)
{
    /* The host that runs the tests may be of either byte order. */
    unsigned char *at = (unsigned char *)message + field->offset;
    uint8_t one = (uint8_t)value;
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;
    const void *from = field->host_b == 1   ? (const void *)&one
                       : field->host_b == 2 ? (const void *)&two
                       : field->host_b == 4 ? (const void *)&four
                                            : (const void *)&value;
    memcpy(at, from, field->host_b);
}

static uint32_t at_most(struct se_rng *rng, uint64_t limit)
{
    return (uint32_t)between(rng, 1, limit);
}

static void ids_any(struct se_rng *rng, uint32_t n, uint32_t bits, uint32_t *id)
{
    for (uint32_t i = 0; i < n; i++)
        id[i] = (uint32_t)between(rng, 0, (UINT64_C(1) << bits) - 1);
}

static void text_any(struct se_rng *rng, uint32_t n, char *text)
{
    for (uint32_t i = 0; i < n; i++)
        text[i] = (char)(0x20 + se_rng_below(rng, 0x5f));
}

/* What no field says alone. */
static void settle(struct se_rng *rng, uint32_t nodes, uint32_t ids, struct lists *lists,
                   struct se_wire *m)
{
    uint8_t swap;
    switch (m->type) {
    case SE_WIRE_HELLO:
        if (m->hello.version_min > m->hello.version_max) {
            swap = m->hello.version_min;
            m->hello.version_min = m->hello.version_max;
            m->hello.version_max = swap;
        }
        text_any(rng, m->hello.n_draft, m->hello.draft);
        break;
    case SE_WIRE_PREFILL:
        m->prefill.n = (uint16_t)at_most(rng, ids);
        m->prefill.total = (uint32_t)between(rng, m->prefill.n, SE_WIRE_LENGTH_MAX);
        m->prefill.base = (uint32_t)between(rng, 0, m->prefill.total - m->prefill.n);
        m->prefill.id = lists->id;
        ids_any(rng, m->prefill.n, m->prefill.id_bits, lists->id);
        break;
    case SE_WIRE_VERIFY:
        m->verify.nodes = (uint16_t)at_most(rng, nodes);
        m->verify.base = (uint32_t)between(rng, 0, SE_WIRE_LENGTH_MAX - (uint64_t)m->verify.nodes);
        m->verify.parent = lists->parent;
        m->verify.token = lists->id;
        tree_any(rng, m->verify.nodes, true, lists->parent);
        ids_any(rng, m->verify.nodes, m->verify.id_bits, lists->id);
        break;
    case SE_WIRE_RESULT:
        if (m->result.accepted == 1)
            m->result.last = 0;
        else
            m->result.last = (uint16_t)between(rng, m->result.accepted - 1u, SE_WIRE_NODES_MAX - 1);
        break;
    case SE_WIRE_STATS:
        if (!m->stats.answer) {
            m->stats.schema = m->stats.n = m->stats.total = 0;
            break;
        }
        m->stats.total = (uint16_t)between(rng, m->stats.n, UINT16_MAX);
        m->stats.first = (uint16_t)between(rng, 0, (uint64_t)m->stats.total - m->stats.n);
        for (uint32_t i = 0; i < m->stats.n; i++)
            m->stats.value[i] = word(rng);
        break;
    case SE_WIRE_ERROR:
        text_any(rng, m->error.n_text, m->error.text);
        break;
    default:
        break;
    }
}

void message_any(struct se_rng *rng, enum se_wire_type type, uint32_t nodes, uint32_t ids,
                 struct lists *lists, struct se_wire *message)
{
    const struct se_wire_layout *layout = se_wire_layout(type);
    memset(message, 0, sizeof *message);
    message->type = type;
    message->session = layout->session == 0 ? 0 : between(rng, layout->session == 1, UINT64_MAX);
    for (uint32_t i = 0; i < layout->n_fields; i++) {
        const struct se_wire_field *field = &layout->field[i];
        put(message, field,
            field->flags ? word(rng) & field->max : between(rng, field->min, field->max));
    }
    settle(rng, nodes, ids, lists, message);
}

/* The pictures of docs/wire-format.md. */
void message_fixed(enum se_wire_type type, struct lists *lists, struct se_wire *m)
{
    static const int32_t parent[] = { -1, 0, 0, 1, 1, 2 };
    static const uint32_t id[] = { 151643, 17, 151935, 0, 1, 65536 };
    *m =
        (struct se_wire){ .type = type, .session = type == SE_WIRE_HELLO ? 0 : 0x1122334455667788 };
    memcpy(lists->parent, parent, sizeof parent);
    memcpy(lists->id, id, sizeof id);
    switch (type) {
    case SE_WIRE_HELLO:
        m->hello = (struct se_wire_hello){ .nonce = 0x0102030405060708,
                                           .fingerprint = 0xfedcba9876543210,
                                           .seed = 42,
                                           .temp = 0.75,
                                           .top_p = 1,
                                           .min_p = 0,
                                           .top_k = 50,
                                           .vocab = 151936,
                                           .tokens = 151669,
                                           .context = 4096,
                                           .caps = SE_WIRE_CAN_ALL,
                                           .max_nodes = 33,
                                           .version_min = 2,
                                           .version_max = 2,
                                           .speculate = SE_WIRE_SPECULATE_ON };
        se_wire_set_draft(&m->hello, "tales-draft");
        break;
    case SE_WIRE_WELCOME:
        m->welcome = (struct se_wire_welcome){ .nonce = 0x0102030405060708,
                                               .token = { 0xa1a2a3a4a5a6a7a8, 0xb1b2b3b4b5b6b7b8 },
                                               .model = 0xc1c2c3c4c5c6c7c8,
                                               .vocab = 151936,
                                               .context = 40960,
                                               .held = 0,
                                               .park_ms = 30000,
                                               .caps = SE_WIRE_CAN_RESUME,
                                               .max_nodes = 65,
                                               .max_ids = 1024,
                                               .version = 2,
                                               .cost_us = { 21000, 21500, 22000, 25000, 60000 } };
        break;
    case SE_WIRE_PREFILL:
        m->prefill = (struct se_wire_prefill){
            .base = 256, .total = 262, .n = 6, .id_bits = 18, .id = lists->id
        };
        break;
    case SE_WIRE_VERIFY:
        m->verify = (struct se_wire_verify){ .round = 7,
                                             .base = 262,
                                             .nodes = 6,
                                             .ahead = 0,
                                             .id_bits = 18,
                                             .flags = SE_WIRE_VERIFY_BET,
                                             .check = 0x5d3a1c02,
                                             .think_us = 4200,
                                             .parent = lists->parent,
                                             .token = lists->id };
        break;
    case SE_WIRE_RESULT:
        m->result = (struct se_wire_result){ .round = 7,
                                             .base = 262,
                                             .bonus = 151935,
                                             .accepted = 3,
                                             .last = 4,
                                             .queue_us = 1500,
                                             .step_us = 20000,
                                             .load = 12,
                                             .flags = SE_WIRE_RESULT_REPEAT };
        break;
    case SE_WIRE_CANCEL:
        m->cancel = (struct se_wire_cancel){ .round = 8, .base = 265 };
        break;
    case SE_WIRE_BYE:
        m->bye = (struct se_wire_bye){ .retry_ms = 5000, .reason = SE_WIRE_BYE_DRAIN };
        break;
    case SE_WIRE_PING:
        m->ping = (struct se_wire_ping){ .stamp = 123456789, .answer = 1, .load = 3 };
        break;
    case SE_WIRE_STATS:
        m->stats = (struct se_wire_stats){ .schema = 0xd1d2d3d4d5d6d7d8,
                                           .first = 2,
                                           .total = 40,
                                           .n = 2,
                                           .answer = 1,
                                           .value = { 1000, 7 } };
        break;
    case SE_WIRE_ERROR:
        m->error = (struct se_wire_error){ .ref = 9,
                                           .a = 265,
                                           .b = 270,
                                           .retry_ms = 0,
                                           .code = SE_WIRE_E_GAP,
                                           .about = SE_WIRE_VERIFY };
        se_wire_set_text(&m->error, "ids are missing");
        break;
    default:
        m->resume = (struct se_wire_resume){ .nonce = 0x0102030405060709,
                                             .token = { 0xa1a2a3a4a5a6a7a8, 0xb1b2b3b4b5b6b7b8 },
                                             .hash = se_wire_hash(SE_WIRE_HASH_START, id, 6),
                                             .base = 265,
                                             .round = 7 };
        break;
    }
}
