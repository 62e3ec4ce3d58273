/* SPDX-License-Identifier: Apache-2.0 */
/* transport/wire.h - the messages between edge and server, as bytes and back.
 *
 *   frame: | "SE" | version | type | length | session |  body of this type  |
 *             2        1       1       4         8
 *
 * Little-endian, nothing padded. docs/wire-format.md draws every byte. Coding is pure: no
 * memory is taken, no clock is read, nothing outside the arguments is touched. Decoding is
 * strict: what it takes, encoding gives back to the byte, and everything else is refused with
 * a reason. Any thread.
 *
 * Lengths of text. A session's text is a list of committed ids; the last of them is the root
 * of the next tree. base is the number of ids before the root, which is the root's position
 * and the number of ids whose keys and values the server keeps. A round that accepts k nodes,
 * root included, moves base by k, and its bonus is the next root. PREFILL carries the ids
 * before the root. */
#ifndef SE_TRANSPORT_WIRE_H
#define SE_TRANSPORT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SE_WIRE_VERSION = 2,
    SE_WIRE_HEADER_B = 16,
    SE_WIRE_AT_VERSION = 2,   /* the byte of a frame that tells it, in every version */
    SE_WIRE_NODES_MAX = 1024, /* of a tree, root included */
    SE_WIRE_IDS_MAX = 4096,   /* of one PREFILL */
    SE_WIRE_STATS_MAX = 64,   /* counters of one STATS */
    SE_WIRE_TEXT_MAX = 160,   /* bytes of an ERROR's text */
    SE_WIRE_DRAFT_MAX = 32,   /* ... and of a draft's name */
    SE_WIRE_COSTS = 5,        /* sizes of a step whose time WELCOME tells: 1, 4, 16 ... rows */
    SE_WIRE_LENGTH_MAX = 0x7fffffff,
    SE_WIRE_U24_MAX = 0xffffff,
    SE_WIRE_FRAME_MAX = SE_WIRE_HEADER_B + 11 + 4 * SE_WIRE_IDS_MAX /* bytes, of any frame */
};

enum se_wire_type {
    SE_WIRE_HELLO = 1, /* edge: opens a session */
    SE_WIRE_WELCOME,   /* server: answers HELLO and RESUME */
    SE_WIRE_PREFILL,   /* edge: ids before the root */
    SE_WIRE_VERIFY,    /* edge: a tree */
    SE_WIRE_RESULT,    /* server: what was accepted of it */
    SE_WIRE_CANCEL,    /* edge: stop this round, cut the text */
    SE_WIRE_BYE,       /* either: this session is over */
    SE_WIRE_PING,      /* either: a question and its answer */
    SE_WIRE_STATS,     /* anyone asks, a server answers */
    SE_WIRE_ERROR,     /* either: why not */
    SE_WIRE_RESUME,    /* edge: goes on behind a cut link */
    SE_WIRE_TYPE_END
};

/* Why a frame or a message is refused; the outcome of coding. */
enum se_wire_fault {
    SE_WIRE_SHORT = 1, /* fewer bytes than the frame says or its body needs */
    SE_WIRE_TRAILING,  /* more bytes than that */
    SE_WIRE_MAGIC,     /* not one of ours */
    SE_WIRE_NEWER,     /* another version of the protocol */
    SE_WIRE_UNKNOWN,   /* no such type of message */
    SE_WIRE_OWNER,     /* a session where none may be, or none where one must be */
    SE_WIRE_RANGE,     /* a field outside its limits */
    SE_WIRE_FLAGS,     /* a flag without a meaning */
    SE_WIRE_PADDING,   /* a bit that must be zero */
    SE_WIRE_SHAPE,     /* the bits are no tree of so many nodes, or not in level order */
    SE_WIRE_TOKEN,     /* an id beyond the vocabulary or its width */
    SE_WIRE_SENTENCE,  /* a text that is not printable ASCII */
    SE_WIRE_ROOM,      /* more than the receiver has room for */
    SE_WIRE_FAULT_END
};
/* A few words, for a log: "bits that are no tree". */
const char *se_wire_fault_text(int fault);

enum se_wire_speculate { SE_WIRE_SPECULATE_AUTO, SE_WIRE_SPECULATE_ON, SE_WIRE_SPECULATE_OFF };

/* What a side can do; WELCOME says what both can. */
enum {
    SE_WIRE_CAN_STREAM = 1, /* RESULTs that nobody asked for one by one */
    SE_WIRE_CAN_RESUME = 2, /* the session outlives the link */
    SE_WIRE_CAN_ALL = 3
};

struct se_wire_hello {
    uint64_t nonce;       /* of this attempt: a repeat opens no second session */
    uint64_t fingerprint; /* of the tokenizer */
    uint64_t seed;
    double temp, top_p, min_p; /* to the bit, whatever they are: the receiver judges them */
    uint32_t top_k;
    uint32_t vocab;   /* rows of the draft model's output, 0: there is no draft model */
    uint32_t tokens;  /* ids of the tokenizer; beyond them is padding */
    uint32_t context; /* ids the text may come to, 0: what the server allows */
    uint32_t caps;
    uint16_t max_nodes; /* of a tree this edge may send */
    uint8_t version_min, version_max;
    uint8_t speculate;                 /* enum se_wire_speculate */
    uint8_t n_draft;                   /* 0: nobody drafts */
    char draft[SE_WIRE_DRAFT_MAX + 1]; /* who does, for people: as ERROR's text */
};

struct se_wire_welcome {
    uint64_t nonce;    /* of the HELLO or RESUME */
    uint64_t token[2]; /* proves to be this session's edge, in RESUME */
    uint64_t model;    /* identity of weights and precision; 0: not told */
    uint32_t vocab;    /* of the target */
    uint32_t context;
    uint32_t held;    /* base at the server: what PREFILL has to go on from */
    uint32_t park_ms; /* silence after which the session may lose its place, 0: never */
    uint32_t caps;
    uint16_t max_nodes;
    uint16_t max_ids;                /* of a PREFILL */
    uint8_t version;                 /* spoken from now on */
    uint32_t cost_us[SE_WIRE_COSTS]; /* of a step of 1, 4, 16, 64, 256 rows; 0: not known */
};

struct se_wire_prefill {
    uint32_t base;  /* position of the first id */
    uint32_t total; /* ids before the root, when all have come */
    uint16_t n;     /* ids in this message */
    uint8_t id_bits;
    const uint32_t *id;
};

enum {
    SE_WIRE_VERIFY_BET = 1, /* the tree grew from a bet that came true */
    SE_WIRE_VERIFY_ALL = 1
};

struct se_wire_verify {
    uint32_t round; /* 1, 2, ... */
    uint32_t base;
    uint16_t nodes; /* root included */
    uint16_t ahead; /* tokens the server may decode on by itself, see SE_WIRE_RESULT_PUSHED */
    uint8_t id_bits;
    uint8_t flags;
    uint32_t check;        /* low half of se_wire_hash() of the ids before the root */
    uint32_t think_us;     /* at the edge, from the answer it follows to its first sending; 24 bits,
                            * SE_WIRE_U24_MAX: longer, or it did not go out straight behind one */
    const int32_t *parent; /* nodes of them, in level order: transport/shape.h */
    const uint32_t *token;
};

enum {
    SE_WIRE_RESULT_REPEAT = 1, /* the stored answer of a round that came again */
    SE_WIRE_RESULT_PUSHED = 2, /* of a round the server made itself: the bare root */
    SE_WIRE_RESULT_DRAIN = 4,  /* the server is about to leave */
    SE_WIRE_RESULT_ALL = 7
};

/* The path is that from the root to node last, which the edge knows: se_shape_path(). */
struct se_wire_result {
    uint32_t round;
    uint32_t base; /* of that round's VERIFY */
    uint32_t bonus;
    uint16_t accepted; /* nodes, root included; accepted - 1 steps lead from the root to last */
    uint16_t last;     /* as the tree travelled */
    uint32_t queue_us; /* from the frame's arrival to the start of the step; 24 bits, */
    uint32_t step_us;  /* the step; both stay at SE_WIRE_U24_MAX when they are longer */
    uint8_t load;      /* sessions at work at the server, this one included; 255: or more */
    uint8_t flags;
};

struct se_wire_cancel {
    uint32_t round; /* no answer up to this round is wanted any more; the next VERIFY is one more */
    uint32_t base;  /* ids the server shall keep */
};

enum se_wire_reason { SE_WIRE_BYE_DONE, SE_WIRE_BYE_DRAIN, SE_WIRE_BYE_EVICTED, SE_WIRE_BYE_END };

struct se_wire_bye {
    uint32_t retry_ms; /* come back after so long, 0: not told */
    uint8_t reason;
};

struct se_wire_ping {
    uint64_t stamp; /* the asker's, given back as it is */
    uint8_t answer; /* 0 question, 1 answer */
    uint8_t load;   /* as in RESULT */
};

struct se_wire_stats {
    uint64_t schema; /* identity of the label table, 0 in a question */
    uint16_t first;  /* number of the first counter */
    uint16_t total;  /* counters there are, 0 in a question */
    uint8_t n;       /* counters in this message, 0 in a question */
    uint8_t answer;
    uint64_t value[SE_WIRE_STATS_MAX];
};

/* Codes of ERROR, and what its numbers a and b are: the sender's and the other side's. */
enum se_wire_code {
    SE_WIRE_E_MALFORMED = 1, /* a: enum se_wire_fault */
    SE_WIRE_E_VERSION,       /* highest version of each */
    SE_WIRE_E_TOKENIZER,     /* fingerprints */
    SE_WIRE_E_VOCAB,         /* ids of the tokenizers */
    SE_WIRE_E_SAMPLING,      /* parameters that make no sense */
    SE_WIRE_E_SESSION,       /* no such session: say HELLO */
    SE_WIRE_E_DENIED,        /* not this edge's session, or a wrong resume token */
    SE_WIRE_E_GAP,           /* bases: what is held, what was named */
    SE_WIRE_E_ROUND,         /* rounds: the next expected, the one that came */
    SE_WIRE_E_HASH,          /* hashes of the text before the root: say RESUME */
    SE_WIRE_E_LIMIT,         /* more nodes or ids than WELCOME allows: limit, asked */
    SE_WIRE_E_CONTEXT,       /* no more room for text: limit, wanted */
    SE_WIRE_E_BUSY,          /* full; retry_ms tells when to come again */
    SE_WIRE_E_DRAIN,         /* leaving; retry_ms as well */
    SE_WIRE_E_CUT,           /* too many faults or too fast: this peer is heard no more */
    SE_WIRE_E_INTERNAL,      /* the sender's own trouble */
    SE_WIRE_E_END
};

struct se_wire_error {
    uint64_t ref; /* round or nonce of what it answers, 0: none */
    uint64_t a, b;
    uint32_t retry_ms; /* 0: trying again does not help */
    uint8_t code;
    uint8_t about; /* type of what it answers, 0: none */
    uint8_t n_text;
    char text[SE_WIRE_TEXT_MAX + 1]; /* printable ASCII; decoding ends it with a zero */
};

struct se_wire_resume {
    uint64_t nonce;
    uint64_t token[2]; /* from WELCOME */
    uint64_t hash;     /* se_wire_hash() of the ids before the root */
    uint32_t base;
    uint32_t round; /* the last one that was sent; the next VERIFY is this one or one more */
};

struct se_wire {
    uint64_t session; /* 0 in HELLO; may be 0 in PING, STATS, BYE and ERROR; set elsewhere */
    enum se_wire_type type;
    union {
        struct se_wire_hello hello;
        struct se_wire_welcome welcome;
        struct se_wire_prefill prefill;
        struct se_wire_verify verify;
        struct se_wire_result result;
        struct se_wire_cancel cancel;
        struct se_wire_bye bye;
        struct se_wire_ping ping;
        struct se_wire_stats stats;
        struct se_wire_error error;
        struct se_wire_resume resume;
    };
};

/* Where decoding puts lists, and what else the receiver will not exceed. */
struct se_wire_room {
    int32_t *parent; /* room for nodes_max */
    uint32_t *token; /* room for both nodes_max and ids_max; PREFILL's ids too */
    uint32_t nodes_max;
    uint32_t ids_max;
    uint32_t vocab; /* ids must lie below, a bonus too; 0: any id that its bits can hold */
};

/* Bytes of the frame; right for a message that encodes. */
size_t se_wire_size(const struct se_wire *message);
size_t se_wire_verify_size(uint32_t nodes, uint32_t id_bits);
size_t se_wire_prefill_size(uint32_t n, uint32_t id_bits);

/* Writes the frame, *len_b bytes. SE_WIRE_ROOM when cap_b is less than se_wire_size(), any
 * other fault when the message is one that decoding would refuse; then buffer holds anything. */
int se_wire_encode(const struct se_wire *message, void *buffer, size_t cap_b, size_t *len_b);

/* Lists in *message point into room and last as long as it does. On a fault *message holds
 * anything. room NULL: PREFILL and VERIFY are refused with SE_WIRE_ROOM,
 * the others need none. */
int se_wire_decode(const void *frame, size_t len_b, const struct se_wire_room *room,
                   struct se_wire *message);

/* Type and session alone, to route a frame. Also filled, as far as they can be trusted, on
 * SE_WIRE_NEWER: header and HELLO's nonce stay where they are in every version. */
int se_wire_peek(const void *frame, size_t len_b, enum se_wire_type *type, uint64_t *session);

/* Hash of a text that goes on: start with SE_WIRE_HASH_START. It finds accidents, not fraud. */
#define SE_WIRE_HASH_START UINT64_C(0x7370656365646765)
uint64_t se_wire_hash(uint64_t hash, const uint32_t *id, size_t n);

/* Copies a sentence into an ERROR, or a draft's name into a HELLO: cut to length, what is not
 * printable ASCII becomes '?'. */
void se_wire_set_text(struct se_wire_error *error, const char *text);
void se_wire_set_draft(struct se_wire_hello *hello, const char *name);

/* The table that coding goes by, for whoever shows messages to people. */
enum se_wire_form { SE_WIRE_NUMBER, SE_WIRE_HEX, SE_WIRE_REAL };

struct se_wire_field {
    const char *name;
    uint8_t size_b;    /* on the wire */
    uint8_t host_b;    /* in the struct: 1, 2, 4 or 8 */
    uint8_t form;      /* enum se_wire_form */
    bool flags;        /* bits outside max are SE_WIRE_FLAGS, not SE_WIRE_RANGE */
    uint16_t offset;   /* in struct se_wire */
    uint64_t min, max; /* of the value; flags: max is the mask */
};
struct se_wire_layout {
    const char *name;
    const struct se_wire_field *field; /* in the order of the wire, behind the header */
    uint8_t n_fields;
    uint8_t fixed_b; /* their sum: the body without its lists */
    uint8_t session; /* 0: must be 0, 1: must not be 0, 2: either */
};
/* NULL when there is no such type. */
const struct se_wire_layout *se_wire_layout(uint32_t type);
uint64_t se_wire_field_get(const struct se_wire *message, const struct se_wire_field *field);

#endif
