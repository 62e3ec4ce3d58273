/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/normalize.h - what is done to text before it is cut.
 *
 * A list of steps, read-only and shared once filled; each thread has its own work. */
#ifndef SE_RUNTIME_TEXT_NORMALIZE_H
#define SE_RUNTIME_TEXT_NORMALIZE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/text/buf.h"

enum se_normalize_kind {
    SE_NORMALIZE_NFC,
    SE_NORMALIZE_NFD,
    SE_NORMALIZE_NFKC,
    SE_NORMALIZE_NFKD,
    SE_NORMALIZE_PREPEND, /* to in front of any text */
    SE_NORMALIZE_REPLACE  /* each from by to */
};

struct se_normalize_step {
    enum se_normalize_kind kind;
    char *from, *to; /* from is not empty */
    size_t from_b, to_b;
};

enum { SE_NORMALIZE_STEPS_MAX = 16 };

struct se_normalize {
    struct se_normalize_step step[SE_NORMALIZE_STEPS_MAX];
    unsigned n;
};

void se_normalize_fini(struct se_normalize *normalize);

struct se_normalize_work {
    struct se_buf text[2]; /* a step reads one and writes the other */
    int32_t *character;
    size_t cap;
};
/* Zeroed work is ready for use. */
void se_normalize_work_fini(struct se_normalize_work *work);

/* *out is text itself or lies in work, until its next use. Valid UTF-8 in and out. */
int se_normalize_run(const struct se_normalize *normalize, struct se_normalize_work *work,
                     const char *text, size_t len_b, const char **out, size_t *out_b);

#endif
