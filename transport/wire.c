/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/wire.h"

#include <string.h>

#include "transport/pack.h"
#include "transport/shape.h"

_Static_assert((int)SE_WIRE_NODES_MAX == (int)SE_SHAPE_NODES_MAX, "one limit, two names");

enum { AT_VERSION = SE_WIRE_AT_VERSION, AT_TYPE = 3, AT_LENGTH = 4, AT_SESSION = 8 };
static const uint8_t magic[2] = { 'S', 'E' };

/* ---------------------------------------------------------------- the fields, as a table */

#define HOST(member) \
    .host_b = sizeof(((struct se_wire *)0)->member), .offset = offsetof(struct se_wire, member)
/* A number of as many bytes as its member, of size bytes, of bits, and what is any 64 bits. */
#define NUMBER(text, member, low, high) \
    { \
        .name = text, .size_b = sizeof(((struct se_wire *)0)->member), HOST(member), .min = low, \
        .max = high \
    }
#define NARROW(text, member, bytes, high) \
    { \
        .name = text, .size_b = bytes, HOST(member), .min = 0, .max = high \
    }
#define FLAGS(text, member, mask) \
    { \
        .name = text, .size_b = sizeof(((struct se_wire *)0)->member), HOST(member), \
        .flags = true, .form = SE_WIRE_HEX, .max = mask \
    }
#define WORD(text, member, how) \
    { \
        .name = text, .size_b = 8, HOST(member), .form = how, .max = UINT64_MAX \
    }

static const struct se_wire_field hello_fields[] = {
    WORD("nonce", hello.nonce, SE_WIRE_HEX),
    WORD("fingerprint", hello.fingerprint, SE_WIRE_HEX),
    WORD("seed", hello.seed, SE_WIRE_NUMBER),
    WORD("temp", hello.temp, SE_WIRE_REAL),
    WORD("top_p", hello.top_p, SE_WIRE_REAL),
    WORD("min_p", hello.min_p, SE_WIRE_REAL),
    NUMBER("top_k", hello.top_k, 0, UINT32_MAX),
    NUMBER("vocab", hello.vocab, 0, SE_WIRE_LENGTH_MAX),
    NUMBER("tokens", hello.tokens, 1, SE_WIRE_LENGTH_MAX),
    NUMBER("context", hello.context, 0, SE_WIRE_LENGTH_MAX),
    FLAGS("caps", hello.caps, SE_WIRE_CAN_ALL),
    NUMBER("max_nodes", hello.max_nodes, 1, SE_WIRE_NODES_MAX),
    NUMBER("version_min", hello.version_min, 1, UINT8_MAX),
    NUMBER("version_max", hello.version_max, 1, UINT8_MAX),
    NUMBER("speculate", hello.speculate, 0, SE_WIRE_SPECULATE_OFF),
    NUMBER("n_draft", hello.n_draft, 0, SE_WIRE_DRAFT_MAX),
};

static const struct se_wire_field welcome_fields[] = {
    WORD("nonce", welcome.nonce, SE_WIRE_HEX),
    WORD("token_0", welcome.token[0], SE_WIRE_HEX),
    WORD("token_1", welcome.token[1], SE_WIRE_HEX),
    WORD("model", welcome.model, SE_WIRE_HEX),
    NUMBER("vocab", welcome.vocab, 1, SE_WIRE_LENGTH_MAX),
    NUMBER("context", welcome.context, 1, SE_WIRE_LENGTH_MAX),
    NUMBER("held", welcome.held, 0, SE_WIRE_LENGTH_MAX),
    NUMBER("park_ms", welcome.park_ms, 0, UINT32_MAX),
    FLAGS("caps", welcome.caps, SE_WIRE_CAN_ALL),
    NUMBER("max_nodes", welcome.max_nodes, 1, SE_WIRE_NODES_MAX),
    NUMBER("max_ids", welcome.max_ids, 1, SE_WIRE_IDS_MAX),
    NUMBER("version", welcome.version, 1, UINT8_MAX),
    NUMBER("cost_1", welcome.cost_us[0], 0, UINT32_MAX),
    NUMBER("cost_4", welcome.cost_us[1], 0, UINT32_MAX),
    NUMBER("cost_16", welcome.cost_us[2], 0, UINT32_MAX),
    NUMBER("cost_64", welcome.cost_us[3], 0, UINT32_MAX),
    NUMBER("cost_256", welcome.cost_us[4], 0, UINT32_MAX),
};

static const struct se_wire_field prefill_fields[] = {
    NUMBER("base", prefill.base, 0, SE_WIRE_LENGTH_MAX),
    NUMBER("total", prefill.total, 1, SE_WIRE_LENGTH_MAX),
    NUMBER("n", prefill.n, 1, SE_WIRE_IDS_MAX),
    NUMBER("id_bits", prefill.id_bits, 1, SE_PACK_BITS_MAX),
};

static const struct se_wire_field verify_fields[] = {
    NUMBER("round", verify.round, 1, UINT32_MAX),
    NUMBER("base", verify.base, 0, SE_WIRE_LENGTH_MAX),
    NUMBER("nodes", verify.nodes, 1, SE_WIRE_NODES_MAX),
    NUMBER("ahead", verify.ahead, 0, UINT16_MAX),
    NUMBER("id_bits", verify.id_bits, 1, SE_PACK_BITS_MAX),
    FLAGS("flags", verify.flags, SE_WIRE_VERIFY_ALL),
    { .name = "check", .size_b = 4, HOST(verify.check), .form = SE_WIRE_HEX, .max = UINT32_MAX },
    NARROW("think_us", verify.think_us, 3, SE_WIRE_U24_MAX),
};

static const struct se_wire_field result_fields[] = {
    NUMBER("round", result.round, 1, UINT32_MAX),
    NUMBER("base", result.base, 0, SE_WIRE_LENGTH_MAX),
    NUMBER("bonus", result.bonus, 0, UINT32_MAX),
    NUMBER("accepted", result.accepted, 1, SE_WIRE_NODES_MAX),
    NUMBER("last", result.last, 0, SE_WIRE_NODES_MAX - 1),
    NARROW("queue_us", result.queue_us, 3, SE_WIRE_U24_MAX),
    NARROW("step_us", result.step_us, 3, SE_WIRE_U24_MAX),
    NUMBER("load", result.load, 0, UINT8_MAX),
    FLAGS("flags", result.flags, SE_WIRE_RESULT_ALL),
};

static const struct se_wire_field cancel_fields[] = {
    NUMBER("round", cancel.round, 0, UINT32_MAX),
    NUMBER("base", cancel.base, 0, SE_WIRE_LENGTH_MAX),
};

static const struct se_wire_field bye_fields[] = {
    NUMBER("retry_ms", bye.retry_ms, 0, UINT32_MAX),
    NUMBER("reason", bye.reason, 0, SE_WIRE_BYE_END - 1),
};

static const struct se_wire_field ping_fields[] = {
    WORD("stamp", ping.stamp, SE_WIRE_NUMBER),
    NUMBER("answer", ping.answer, 0, 1),
    NUMBER("load", ping.load, 0, UINT8_MAX),
};

static const struct se_wire_field stats_fields[] = {
    WORD("schema", stats.schema, SE_WIRE_HEX),   NUMBER("first", stats.first, 0, UINT16_MAX),
    NUMBER("total", stats.total, 0, UINT16_MAX), NUMBER("n", stats.n, 0, SE_WIRE_STATS_MAX),
    NUMBER("answer", stats.answer, 0, 1),
};

static const struct se_wire_field error_fields[] = {
    WORD("ref", error.ref, SE_WIRE_NUMBER),
    WORD("a", error.a, SE_WIRE_NUMBER),
    WORD("b", error.b, SE_WIRE_NUMBER),
    NUMBER("retry_ms", error.retry_ms, 0, UINT32_MAX),
    NUMBER("code", error.code, 1, SE_WIRE_E_END - 1),
    NUMBER("about", error.about, 0, SE_WIRE_TYPE_END - 1),
    NUMBER("n_text", error.n_text, 0, SE_WIRE_TEXT_MAX),
};

static const struct se_wire_field resume_fields[] = {
    WORD("nonce", resume.nonce, SE_WIRE_HEX),
    WORD("token_0", resume.token[0], SE_WIRE_HEX),
    WORD("token_1", resume.token[1], SE_WIRE_HEX),
    WORD("hash", resume.hash, SE_WIRE_HEX),
    NUMBER("base", resume.base, 0, SE_WIRE_LENGTH_MAX),
    NUMBER("round", resume.round, 0, UINT32_MAX),
};

enum { SESSION_NONE, SESSION_SET, SESSION_EITHER };
#define LAYOUT(text, fields, bytes, owner) \
    { \
        .name = text, .field = fields, .n_fields = sizeof fields / sizeof fields[0], \
        .fixed_b = bytes, .session = owner \
    }

static const struct se_wire_layout layouts[SE_WIRE_TYPE_END] = {
    [SE_WIRE_HELLO] = LAYOUT("HELLO", hello_fields, 74, SESSION_NONE),
    [SE_WIRE_WELCOME] = LAYOUT("WELCOME", welcome_fields, 77, SESSION_SET),
    [SE_WIRE_PREFILL] = LAYOUT("PREFILL", prefill_fields, 11, SESSION_SET),
    [SE_WIRE_VERIFY] = LAYOUT("VERIFY", verify_fields, 21, SESSION_SET),
    [SE_WIRE_RESULT] = LAYOUT("RESULT", result_fields, 24, SESSION_SET),
    [SE_WIRE_CANCEL] = LAYOUT("CANCEL", cancel_fields, 8, SESSION_SET),
    [SE_WIRE_BYE] = LAYOUT("BYE", bye_fields, 5, SESSION_EITHER),
    [SE_WIRE_PING] = LAYOUT("PING", ping_fields, 10, SESSION_EITHER),
    [SE_WIRE_STATS] = LAYOUT("STATS", stats_fields, 14, SESSION_EITHER),
    [SE_WIRE_ERROR] = LAYOUT("ERROR", error_fields, 31, SESSION_EITHER),
    [SE_WIRE_RESUME] = LAYOUT("RESUME", resume_fields, 40, SESSION_SET),
};

const struct se_wire_layout *se_wire_layout(uint32_t type)
{
    return type >= SE_WIRE_HELLO && type < SE_WIRE_TYPE_END ? &layouts[type] : NULL;
}

uint64_t se_wire_field_get(const struct se_wire *message, const struct se_wire_field *field)
{
    const unsigned char *at = (const unsigned char *)message + field->offset;
    uint8_t one;
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (field->host_b) {
    case 1:
        memcpy(&one, at, sizeof one);
        return one;
    case 2:
        memcpy(&two, at, sizeof two);
        return two;
    case 4:
        memcpy(&four, at, sizeof four);
        return four;
    default:
        memcpy(&eight, at, sizeof eight);
        return eight;
    }
}

static void field_set(struct se_wire *message, const struct se_wire_field *field, uint64_t value)
{
    unsigned char *at = (unsigned char *)message + field->offset;
    uint8_t one = (uint8_t)value;
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;
    switch (field->host_b) {
    case 1:
        memcpy(at, &one, sizeof one);
        break;
    case 2:
        memcpy(at, &two, sizeof two);
        break;
    case 4:
        memcpy(at, &four, sizeof four);
        break;
    default:
        memcpy(at, &value, sizeof value);
    }
}

static int check_field(const struct se_wire_field *field, uint64_t value)
{
    if (field->flags)
        return value & ~field->max ? SE_WIRE_FLAGS : 0;
    return value < field->min || value > field->max ? SE_WIRE_RANGE : 0;
}

/* ---------------------------------------------------------------- what no single field tells */

static int check_session(const struct se_wire_layout *layout, uint64_t session)
{
    if ((layout->session == SESSION_NONE && session != 0) ||
        (layout->session == SESSION_SET && session == 0))
        return SE_WIRE_OWNER;
    return 0;
}

static bool stats_agree(const struct se_wire_stats *s)
{
    if (s->answer)
        return (uint32_t)s->first + s->n <= s->total;
    return s->n == 0 && s->total == 0 && s->schema == 0;
}

/* Fields against each other; called when each is within its own limits. */
static int check_together(const struct se_wire *m)
{
    bool agree = true;
    switch (m->type) {
    case SE_WIRE_HELLO:
        agree = m->hello.version_min <= m->hello.version_max;
        break;
    case SE_WIRE_PREFILL:
        agree = (uint64_t)m->prefill.base + m->prefill.n <= m->prefill.total;
        break;
    case SE_WIRE_VERIFY:
        agree = (uint64_t)m->verify.base + m->verify.nodes <= SE_WIRE_LENGTH_MAX;
        break;
    case SE_WIRE_RESULT: /* each node of the path has a higher number than its parent */
        agree = m->result.accepted == 1 ? m->result.last == 0
                                        : m->result.last >= m->result.accepted - 1;
        break;
    case SE_WIRE_STATS:
        agree = stats_agree(&m->stats);
        break;
    default:
        break;
    }
    return agree ? 0 : SE_WIRE_RANGE;
}

static int put_text(const char *text, uint32_t n, uint8_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return SE_WIRE_SENTENCE;
    memcpy(out, text, n);
    return 0;
}

static int get_text(const uint8_t *in, uint32_t n, char *text)
{
    text[n] = '\0';
    return put_text((const char *)in, n, (uint8_t *)text);
}

static int check_ids(const uint32_t *id, uint32_t n, uint64_t limit)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n; i++)
        largest = id[i] > largest ? id[i] : largest;
    return largest >= limit ? SE_WIRE_TOKEN : 0;
}

/* Bytes behind the fixed part; the fields that count them are within their limits. */
static size_t lists_size(const struct se_wire *m)
{
    switch (m->type) {
    case SE_WIRE_HELLO:
        return m->hello.n_draft;
    case SE_WIRE_PREFILL:
        return se_pack_size(m->prefill.n, m->prefill.id_bits);
    case SE_WIRE_VERIFY:
        return se_shape_size(m->verify.nodes) + se_pack_size(m->verify.nodes, m->verify.id_bits);
    case SE_WIRE_STATS:
        return 8 * (size_t)m->stats.n;
    case SE_WIRE_ERROR:
        return m->error.n_text;
    default:
        return 0;
    }
}

/* ---------------------------------------------------------------- sizes */

size_t se_wire_size(const struct se_wire *message)
{
    const struct se_wire_layout *layout = se_wire_layout(message->type);
    return layout ? SE_WIRE_HEADER_B + layout->fixed_b + lists_size(message) : 0;
}

size_t se_wire_verify_size(uint32_t nodes, uint32_t id_bits)
{
    return SE_WIRE_HEADER_B + layouts[SE_WIRE_VERIFY].fixed_b + se_shape_size(nodes) +
           se_pack_size(nodes, id_bits);
}

size_t se_wire_prefill_size(uint32_t n, uint32_t id_bits)
{
    return SE_WIRE_HEADER_B + layouts[SE_WIRE_PREFILL].fixed_b + se_pack_size(n, id_bits);
}

/* ---------------------------------------------------------------- to bytes */

static int put_verify(const struct se_wire_verify *v, uint8_t *out)
{
    if (!se_shape_ordered(v->parent, v->nodes))
        return SE_WIRE_SHAPE;
    if (check_ids(v->token, v->nodes, UINT64_C(1) << v->id_bits))
        return SE_WIRE_TOKEN;
    se_shape_put(v->parent, v->nodes, out);
    se_pack_ids(v->token, v->nodes, v->id_bits, out + se_shape_size(v->nodes));
    return 0;
}

static int put_lists(const struct se_wire *m, uint8_t *out)
{
    switch (m->type) {
    case SE_WIRE_HELLO:
        return put_text(m->hello.draft, m->hello.n_draft, out);
    case SE_WIRE_PREFILL:
        if (check_ids(m->prefill.id, m->prefill.n, UINT64_C(1) << m->prefill.id_bits))
            return SE_WIRE_TOKEN;
        se_pack_ids(m->prefill.id, m->prefill.n, m->prefill.id_bits, out);
        return 0;
    case SE_WIRE_VERIFY:
        return put_verify(&m->verify, out);
    case SE_WIRE_STATS:
        for (uint32_t i = 0; i < m->stats.n; i++)
            se_pack_put(out + 8 * i, m->stats.value[i], 8);
        return 0;
    case SE_WIRE_ERROR:
        return put_text(m->error.text, m->error.n_text, out);
    default:
        return 0;
    }
}

/* All that does not depend on the buffer. */
static int check_message(const struct se_wire_layout *layout, const struct se_wire *message)
{
    int r = check_session(layout, message->session);
    for (uint32_t i = 0; i < layout->n_fields && r == 0; i++)
        r = check_field(&layout->field[i], se_wire_field_get(message, &layout->field[i]));
    return r ? r : check_together(message);
}

int se_wire_encode(const struct se_wire *message, void *buffer, size_t cap_b, size_t *len_b)
{
    const struct se_wire_layout *layout = se_wire_layout(message->type);
    uint8_t *out = buffer;
    if (!layout)
        return SE_WIRE_UNKNOWN;
    int r = check_message(layout, message);
    if (r)
        return r;
    size_t size_b = se_wire_size(message);
    if (size_b > cap_b)
        return SE_WIRE_ROOM;
    memcpy(out, magic, sizeof magic);
    out[AT_VERSION] = SE_WIRE_VERSION;
    out[AT_TYPE] = (uint8_t)message->type;
    se_pack_put(out + AT_LENGTH, size_b, 4);
    se_pack_put(out + AT_SESSION, message->session, 8);
    out += SE_WIRE_HEADER_B;
    for (uint32_t i = 0; i < layout->n_fields; i++) {
        const struct se_wire_field *field = &layout->field[i];
        se_pack_put(out, se_wire_field_get(message, field), field->size_b);
        out += field->size_b;
    }
    r = put_lists(message, out);
    if (r == 0)
        *len_b = size_b;
    return r;
}

/* ---------------------------------------------------------------- from bytes */

static int get_ids(const uint8_t *in, uint32_t n, uint32_t bits, const struct se_wire_room *room)
{
    if (!se_unpack_ids(in, n, bits, room->token))
        return SE_WIRE_PADDING;
    return room->vocab ? check_ids(room->token, n, room->vocab) : 0;
}

static int get_prefill(const uint8_t *in, const struct se_wire_room *room,
                       struct se_wire_prefill *p)
{
    if (!room || p->n > room->ids_max)
        return SE_WIRE_ROOM;
    p->id = room->token;
    return get_ids(in, p->n, p->id_bits, room);
}

static int get_verify(const uint8_t *in, const struct se_wire_room *room, struct se_wire_verify *v)
{
    if (!room || v->nodes > room->nodes_max)
        return SE_WIRE_ROOM;
    if (!se_shape_get(in, v->nodes, room->parent))
        return SE_WIRE_SHAPE;
    v->parent = room->parent;
    v->token = room->token;
    return get_ids(in + se_shape_size(v->nodes), v->nodes, v->id_bits, room);
}

static int get_lists(const uint8_t *in, const struct se_wire_room *room, struct se_wire *m)
{
    switch (m->type) {
    case SE_WIRE_HELLO:
        return get_text(in, m->hello.n_draft, m->hello.draft);
    case SE_WIRE_PREFILL:
        return get_prefill(in, room, &m->prefill);
    case SE_WIRE_VERIFY:
        return get_verify(in, room, &m->verify);
    case SE_WIRE_STATS:
        for (uint32_t i = 0; i < m->stats.n; i++)
            m->stats.value[i] = se_pack_get(in + 8 * i, 8);
        return 0;
    case SE_WIRE_RESULT:
        return room && room->vocab && m->result.bonus >= room->vocab ? SE_WIRE_TOKEN : 0;
    case SE_WIRE_ERROR:
        return get_text(in, m->error.n_text, m->error.text);
    default:
        return 0;
    }
}

int se_wire_peek(const void *frame, size_t len_b, enum se_wire_type *type, uint64_t *session)
{
    const uint8_t *in = frame;
    if (len_b < SE_WIRE_HEADER_B)
        return SE_WIRE_SHORT;
    if (memcmp(in, magic, sizeof magic) != 0)
        return SE_WIRE_MAGIC;
    *type = (enum se_wire_type)in[AT_TYPE];
    *session = se_pack_get(in + AT_SESSION, 8);
    if (in[AT_VERSION] != SE_WIRE_VERSION)
        return SE_WIRE_NEWER;
    if (!se_wire_layout(in[AT_TYPE]))
        return SE_WIRE_UNKNOWN;
    uint64_t said_b = se_pack_get(in + AT_LENGTH, 4);
    if (len_b != said_b)
        return len_b < said_b ? SE_WIRE_SHORT : SE_WIRE_TRAILING;
    return check_session(se_wire_layout(in[AT_TYPE]), *session);
}

int se_wire_decode(const void *frame, size_t len_b, const struct se_wire_room *room,
                   struct se_wire *message)
{
    const uint8_t *in = frame;
    int r = se_wire_peek(frame, len_b, &message->type, &message->session);
    if (r)
        return r;
    const struct se_wire_layout *layout = se_wire_layout(message->type);
    in += SE_WIRE_HEADER_B;
    len_b -= SE_WIRE_HEADER_B;
    if (len_b < layout->fixed_b)
        return SE_WIRE_SHORT;
    for (uint32_t i = 0; i < layout->n_fields; i++) {
        const struct se_wire_field *field = &layout->field[i];
        uint64_t value = se_pack_get(in, field->size_b);
        r = check_field(field, value);
        if (r)
            return r;
        field_set(message, field, value);
        in += field->size_b;
    }
    r = check_together(message);
    if (r)
        return r;
    len_b -= layout->fixed_b;
    size_t wanted_b = lists_size(message);
    if (len_b != wanted_b)
        return len_b < wanted_b ? SE_WIRE_SHORT : SE_WIRE_TRAILING;
    return get_lists(in, room, message);
}

/* ---------------------------------------------------------------- and beside them */

const char *se_wire_fault_text(int fault)
{
    static const char *const text[SE_WIRE_FAULT_END] = {
        [0] = "no fault",
        [SE_WIRE_SHORT] = "cut short",
        [SE_WIRE_TRAILING] = "bytes behind the end",
        [SE_WIRE_MAGIC] = "not a frame of this protocol",
        [SE_WIRE_NEWER] = "another version of the protocol",
        [SE_WIRE_UNKNOWN] = "no such type of message",
        [SE_WIRE_OWNER] = "a session where none may be, or none where one must be",
        [SE_WIRE_RANGE] = "a number outside its limits",
        [SE_WIRE_FLAGS] = "a flag without a meaning",
        [SE_WIRE_PADDING] = "a bit that must be zero",
        [SE_WIRE_SHAPE] = "bits that are no tree",
        [SE_WIRE_TOKEN] = "an id beyond the vocabulary",
        [SE_WIRE_SENTENCE] = "a text that is not printable",
        [SE_WIRE_ROOM] = "more than there is room for",
    };
    return fault >= 0 && fault < SE_WIRE_FAULT_END ? text[fault] : "no such fault";
}

uint64_t se_wire_hash(uint64_t hash, const uint32_t *id, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ id[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

static uint8_t set_text(char *to, uint32_t max, const char *text)
{
    uint32_t n = 0;
    for (; n < max && text[n]; n++)
        to[n] = text[n] < 0x20 || text[n] > 0x7e ? '?' : text[n];
    to[n] = '\0';
    return (uint8_t)n;
}

void se_wire_set_text(struct se_wire_error *error, const char *text)
{
    error->n_text = set_text(error->text, SE_WIRE_TEXT_MAX, text);
}

void se_wire_set_draft(struct se_wire_hello *hello, const char *name)
{
    hello->n_draft = set_text(hello->draft, SE_WIRE_DRAFT_MAX, name);
}
