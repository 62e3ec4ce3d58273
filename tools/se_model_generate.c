/* SPDX-License-Identifier: Apache-2.0 */
/* se-model generate: the model goes on with a text, token by token. */
#include <inttypes.h>
#include <stdbool.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/program.h"
#include "tools/prompt.h"
#include "tools/rig.h"
#include "tools/sampling_options.h"
#include "tools/se_model.h"

struct options {
    struct se_rig_options rig;
    struct se_prompt_options prompt;
    struct se_sampling_options sampling;
    uint64_t n;
    bool ids_out, ignore_eos, echo, stats;
};

/* One run: what it reads and where it stands. */
struct writer {
    const struct options *o;
    const char *dir;
    struct se_config config;
    struct se_tokenizer *tokenizer; /* NULL when only ids go in and out */
    struct se_prompt prompt;
    struct se_rig rig;
    struct se_seq *seq;
    struct se_decoder decoder;
    char *text;
    size_t len, cap;
    uint64_t n_new, begun_ns, fed_ns;
};

/* Everything that can be found wrong before the weights are touched. */
static int prepare(struct writer *w)
{
    const struct options *o = w->o;
    int r = se_config_read(&w->config, w->dir);
    if (r < 0)
        return se_trace(r);
    if (o->prompt.text || !o->ids_out) {
        r = se_rig_tokenizer(&w->tokenizer, w->dir, &w->config);
        if (r < 0)
            return se_trace(r);
    }
    return se_prompt_encode(&w->prompt, &o->prompt, w->tokenizer, w->dir, &w->config);
}

static int print_text(struct writer *w)
{
    if (w->len > 0)
        fwrite(w->text, 1, w->len, stdout);
    w->len = 0;
    return se_output_flush();
}

static int echo_prompt(struct writer *w)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->prompt.ids.n; i++)
        r = se_decoder_add(&w->decoder, w->prompt.ids.id[i], &w->text, &w->len, &w->cap);
    return r < 0 ? se_trace(r) : print_text(w);
}

static int emit(struct writer *w, uint32_t token)
{
    if (w->o->ids_out) {
        printf(w->n_new ? " %" PRIu32 : "%" PRIu32, token);
        w->n_new++;
        return se_output_flush();
    }
    w->n_new++;
    int r = 0;
    /* A vocabulary is often padded beyond the tokenizer's ids: those are no text. */
    if (token < se_tokenizer_size(w->tokenizer))
        r = se_decoder_add(&w->decoder, token, &w->text, &w->len, &w->cap);
    return r < 0 && r != -ERANGE ? se_trace(r) : print_text(w);
}

/* The last token goes in, the next one comes out. */
static int next_token(struct writer *w, const struct se_sampling *sampling, uint32_t *token)
{
    uint32_t path[1];
    struct se_part part = { .seq = w->seq,
                            .token = token,
                            .n_rows = 1,
                            .want = SE_WANT_VERDICT,
                            .sampling = sampling,
                            .path = path };
    int r = se_rig_step(&w->rig, &part);
    if (r < 0)
        return se_trace(r);
    *token = part.bonus;
    return 0;
}

static int write_on(struct writer *w, const struct se_sampling *sampling, uint64_t n)
{
    uint32_t token = w->prompt.ids.id[w->prompt.ids.n - 1];
    int r = n ? se_rig_feed(&w->rig, w->seq, w->prompt.ids.id, w->prompt.ids.n - 1) : 0;
    w->fed_ns = se_clock_ns();
    while (r == 0 && w->n_new < n) {
        if (se_interrupt_came())
            return SE_OUTCOME_INTERRUPTED;
        r = next_token(w, sampling, &token);
        if (r < 0)
            return r;
        bool last = !w->o->ignore_eos && se_prompt_stops(&w->prompt, token);
        if (!last || w->o->ids_out)
            r = emit(w, token);
        if (last)
            break;
    }
    return r;
}

/* However the run ended, its line ends too. */
static int finish(struct writer *w, int r)
{
    if (r == SE_OUTCOME_CLOSED)
        return r;
    if (!w->o->ids_out && se_decoder_end(&w->decoder, &w->text, &w->len, &w->cap) == 0 && w->len)
        fwrite(w->text, 1, w->len, stdout);
    putchar('\n');
    int flushed = se_output_flush();
    return r ? r : flushed;
}

static void print_stats(const struct writer *w)
{
    double fed_s = (double)(w->fed_ns - w->begun_ns) * 1e-9;
    double wrote_s = (double)(se_clock_ns() - w->fed_ns) * 1e-9;
    fprintf(stderr,
            "prompt %zu tokens in %.3f s (%.1f/s), text %" PRIu64 " tokens in %.3f s "
            "(%.1f/s), %s, weights %s\n",
            w->prompt.ids.n, fed_s, (double)w->prompt.ids.n / fed_s, w->n_new, wrote_s,
            (double)w->n_new / wrote_s, se_engine_backend(w->rig.engine),
            se_dtype_name(w->rig.model->dtype));
}

static int run_writer(struct writer *w, const struct se_sampling *sampling)
{
    int r = prepare(w);
    if (r < 0)
        return r;
    /* A token at the last place of the context still has a successor. */
    uint64_t room = (uint64_t)w->config.context - w->prompt.ids.n + 1;
    uint64_t n = w->o->n < room ? w->o->n : room;
    r = se_rig_load(&w->rig, w->dir, &w->o->rig, NULL);
    if (r == 0)
        r = se_rig_start(&w->rig, SE_RIG_ROWS, 1, (uint32_t)(w->prompt.ids.n + n));
    if (r == 0)
        r = se_seq_new(&w->seq, se_engine_kv(w->rig.engine));
    if (r < 0)
        return r;
    if (w->tokenizer)
        se_decoder_init(&w->decoder, w->tokenizer, true);
    se_interrupt_watch();
    w->begun_ns = se_clock_ns();
    r = w->o->echo && !w->o->ids_out ? echo_prompt(w) : 0;
    if (r == 0)
        r = write_on(w, sampling, n);
    r = finish(w, r);
    if (r == 0 && n < w->o->n && w->n_new == n)
        se_program_say("the context of %" PRIu32 " tokens is full", w->config.context);
    if (r == 0 && w->o->stats)
        print_stats(w);
    return r;
}

static int run(const void *values, char **argument)
{
    const struct options *o = values;
    struct writer w = { .o = o, .dir = argument[0] };
    struct se_sampling sampling;
    int r = se_prompt_init(&w.prompt, &o->prompt);
    if (r == 0)
        r = se_sampling_options_read(&o->sampling, &sampling);
    if (r == 0)
        r = run_writer(&w, &sampling);
    se_mem_free(w.text);
    se_seq_free(w.seq);
    se_rig_close(&w.rig);
    se_tokenizer_close(w.tokenizer);
    se_prompt_fini(&w.prompt);
    return r;
}

static const struct se_conf_row rows[] = {
    SE_PROMPT_TEXT_ROW(struct options, prompt),
    SE_PROMPT_IDS_ROW(struct options, prompt),
    { "tokens", 'n', SE_CONF_UINT, offsetof(struct options, n), "128", 0, 4294967295.0, "N",
      "new tokens, at most" },
    SE_SAMPLING_OPTION_ROWS(struct options, sampling),
    { "ids-out", 0, SE_CONF_FLAG, offsetof(struct options, ids_out), NULL, 0, 0, NULL,
      "write the new ids, on one line, and nothing else" },
    { "ignore-eos", 0, SE_CONF_FLAG, offsetof(struct options, ignore_eos), NULL, 0, 0, NULL,
      "go on behind a token that ends the text" },
    SE_PROMPT_CHAT_ROWS(struct options, prompt),
    { "echo", 'e', SE_CONF_FLAG, offsetof(struct options, echo), NULL, 0, 0, NULL,
      "write the prompt first" },
    { "stats", 0, SE_CONF_FLAG, offsetof(struct options, stats), NULL, 0, 0, NULL,
      "tell the speed on standard error" },
    SE_RIG_OPTION_ROWS(struct options, rig),
};
static struct options chosen;

const struct se_verb se_verb_generate = {
    .name = "generate",
    .arguments = "DIR",
    .n_arguments = 1,
    .summary = "go on with a text",
    .more =
        "Writes the new text as it comes, and a newline. It ends after N tokens, at a token that\n"
        "ends the text, or where the context of the model is full.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run,
};
