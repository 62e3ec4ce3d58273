/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "sched/edge/edge.h"
#include "tools/output.h"

/* Drafted text is green. It is switched off again before anything else may write. */
static const char shade_on[] = "\033[32m", shade_off[] = "\033[0m";

void se_run_writer_fini(struct se_run_writer *writer)
{
    se_mem_free(writer->text);
    *writer = SE_RUN_WRITER_NULL;
}

static int decode(struct se_run_writer *w, uint32_t id)
{
    /* A vocabulary is often padded beyond the tokenizer's ids: those are no text. */
    if (id >= se_tokenizer_size(w->tokenizer))
        return 0;
    int r = se_decoder_add(&w->decoder, id, &w->text, &w->len, &w->cap);
    return r < 0 && r != -ERANGE ? se_trace(r) : 0;
}

static void write_text(struct se_run_writer *w)
{
    if (w->form == SE_RUN_TEXT && w->len > w->shown) {
        fwrite(w->text + w->shown, 1, w->len - w->shown, stdout);
        w->mid_line = w->text[w->len - 1] != '\n';
    }
    w->shown = w->len;
}

int se_run_writer_begin(struct se_run_writer *w, const uint32_t *prompt, uint32_t n)
{
    int r = 0;
    w->len = w->shown = 0;
    w->n = 0;
    w->mid_line = false;
    se_decoder_init(&w->decoder, w->tokenizer, true);
    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = decode(w, prompt[i]);
    if (r < 0)
        return r;
    write_text(w);
    w->len = w->shown = 0; /* the prompt's text is not the answer's */
    return w->form == SE_RUN_SILENT ? 0 : se_output_flush();
}

static int add_text(struct se_run_writer *w, uint32_t id, bool drafted, bool *shaded)
{
    int r = decode(w, id);
    if (w->color && w->form == SE_RUN_TEXT && w->len > w->shown && drafted != *shaded) {
        fputs(drafted ? shade_on : shade_off, stdout);
        *shaded = drafted;
    }
    write_text(w);
    return r;
}

int se_run_writer_add(struct se_run_writer *w, const uint32_t *id, const uint8_t *from, uint32_t n,
                      bool last_ends)
{
    int r = 0;
    bool shaded = false;
    if (w->n == n)
        return 0;
    for (; r == 0 && w->n < n; w->n++) {
        if (w->form == SE_RUN_IDS) {
            printf(w->n ? " %" PRIu32 : "%" PRIu32, id[w->n]);
            w->mid_line = true;
        }
        if (!(last_ends && w->n + 1 == n))
            r = add_text(w, id[w->n], from[w->n] == SE_EDGE_DRAFTED, &shaded);
    }
    if (shaded)
        fputs(shade_off, stdout);
    if (r < 0)
        return r;
    return w->form == SE_RUN_SILENT ? 0 : se_output_flush();
}

int se_run_writer_end(struct se_run_writer *w)
{
    int r = se_decoder_end(&w->decoder, &w->text, &w->len, &w->cap);
    if (r < 0)
        return se_trace(r);
    write_text(w);
    if (w->form == SE_RUN_SILENT)
        return 0;
    putchar('\n');
    w->mid_line = false;
    return se_output_flush();
}
