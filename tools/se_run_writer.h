/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_writer.h - shows an answer of se-run as it comes: as text or as ids.
 *
 * Text that ends in the middle of a character is held back until the rest is there. All of the
 * answer's text is also kept, for whoever shows it when it is whole. One thread. */
#ifndef SE_TOOLS_SE_RUN_WRITER_H
#define SE_TOOLS_SE_RUN_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/tokenizer.h"

enum se_run_form {
    SE_RUN_TEXT,
    SE_RUN_IDS,   /* on one line, and nothing else */
    SE_RUN_SILENT /* nothing is written, only kept */
};

struct se_run_writer {
    const struct se_tokenizer *tokenizer;
    enum se_run_form form;
    bool color; /* what was drafted is marked */
    struct se_decoder decoder;
    char *text; /* len bytes of the answer, of which shown are written */
    size_t len, shown, cap;
    uint32_t n;    /* ids taken */
    bool mid_line; /* a line on standard output waits for its end */
};
#define SE_RUN_WRITER_NULL ((struct se_run_writer){ 0 })

void se_run_writer_fini(struct se_run_writer *writer);

/* A new answer, behind the n ids of a prompt that is written first. */
int se_run_writer_begin(struct se_run_writer *writer, const uint32_t *prompt, uint32_t n);

/* id[0..n-1] is the answer so far, from[] where each came from (edge.h): writes what is new.
 * last_ends: the last id ends the text and is none of it. 0, SE_OUTCOME_CLOSED or -errno. */
int se_run_writer_add(struct se_run_writer *writer, const uint32_t *id, const uint8_t *from,
                      uint32_t n, bool last_ends);

/* The answer is over, as far as it came: ends the line. */
int se_run_writer_end(struct se_run_writer *writer);

#endif
