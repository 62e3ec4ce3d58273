/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/pretoken.h - cutting normalised text into the pieces that are merged apart.
 *
 * A list of steps; the pieces of one are the texts of the next, depth first:
 *
 *   "It's 42" ─ Split ─► "It" "'s" " " "42" ─ ByteLevel ─► bytes of each ─► fn()
 *
 * The steps are read-only and may be shared; each thread runs them with its own work. */
#ifndef SE_RUNTIME_TEXT_PRETOKEN_H
#define SE_RUNTIME_TEXT_PRETOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/text/buf.h"
#include "runtime/text/pattern.h"

enum se_pretoken_kind { SE_PRETOKEN_SPLIT, SE_PRETOKEN_SPACE, SE_PRETOKEN_METASPACE };

enum se_pretoken_keep { /* what becomes of a match of the pattern */
                        SE_PRETOKEN_ISOLATED,
                        SE_PRETOKEN_REMOVED,
                        SE_PRETOKEN_WITH_PREVIOUS,
                        SE_PRETOKEN_WITH_NEXT,
                        SE_PRETOKEN_CONTIGUOUS
};

enum se_pretoken_scheme { SE_PRETOKEN_FIRST, SE_PRETOKEN_ALWAYS, SE_PRETOKEN_NEVER };

struct se_pretoken_step {
    enum se_pretoken_kind kind;
    struct se_pattern *pattern;     /* SPLIT; METASPACE that splits: the replacement */
    enum se_pretoken_keep keep;     /* SPLIT */
    bool invert;                    /* SPLIT: what lies between the matches is the match */
    enum se_pretoken_scheme scheme; /* METASPACE: where the replacement is put in front */
    char replacement[5];            /* METASPACE: one character */
};

enum { SE_PRETOKEN_STEPS_MAX = 16 };

struct se_pretoken {
    struct se_pretoken_step step[SE_PRETOKEN_STEPS_MAX];
    unsigned n;
    bool byte_level; /* the pieces are merged as bytes, not as characters */
};

void se_pretoken_fini(struct se_pretoken *pretoken);

struct se_pretoken_work {
    struct se_match *match;
    struct se_buf text[SE_PRETOKEN_STEPS_MAX];   /* of a step that changes it */
    struct se_buf shadow[SE_PRETOKEN_STEPS_MAX]; /* the same with stand-ins, to be matched */
};
/* Zeroed work is ready for use. */
void se_pretoken_work_fini(struct se_pretoken_work *work);

/* One piece, never empty. 0 or -errno, which ends the run. */
typedef int se_pretoken_fn(void *context, const char *piece, size_t len_b);

/* first: nothing stands before this text. */
int se_pretoken_run(const struct se_pretoken *pretoken, struct se_pretoken_work *work,
                    const char *text, size_t len_b, bool first, se_pretoken_fn *fn, void *context);

#endif
