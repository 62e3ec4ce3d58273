/* SPDX-License-Identifier: Apache-2.0 */
/* se-model tokenize and detokenize: text to ids, and back. */
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/mem.h"
#include "runtime/text/tokenizer.h"
#include "tools/ids.h"
#include "tools/input.h"
#include "tools/rig_options.h"
#include "tools/se_model.h"

struct tokenize {
    struct se_rig_options rig;
    const char *text;
    bool bare, plain;
};

struct detokenize {
    struct se_rig_options rig;
    const char *ids;
    bool special;
};

static int tokenize_run(const void *values, char **argument)
{
    const struct tokenize *o = values;
    struct se_input input = SE_INPUT_NULL;
    struct se_ids ids = SE_IDS_NULL;
    struct se_tokenizer *tokenizer = NULL;
    int r = se_tokenizer_open(&tokenizer, argument[0]);
    if (r < 0)
        goto out;
    if (!o->text) {
        r = se_input_read(&input);
        if (r < 0)
            goto out;
    }
    unsigned flags = (o->bare ? 0u : SE_ENCODE_SPECIAL) | (o->plain ? SE_ENCODE_PLAIN : 0u);
    r = se_tokenizer_encode(tokenizer, o->text ? o->text : input.text,
                            o->text ? strlen(o->text) : input.len, flags, &ids);
    if (r < 0)
        goto out;
    se_ids_print(ids.id, ids.n, stdout);
out:
    se_ids_fini(&ids);
    se_input_fini(&input);
    se_tokenizer_close(tokenizer);
    return r;
}

/* Writes as it goes: the list may be long. */
static int write_text(const struct se_tokenizer *tokenizer, const struct se_ids *ids,
                      bool skip_special)
{
    struct se_decoder decoder;
    char *text = NULL, last = '\n';
    size_t len = 0, cap = 0;
    int r = 0;
    se_decoder_init(&decoder, tokenizer, skip_special);
    for (size_t i = 0; r == 0 && i <= ids->n; i++) {
        r = i < ids->n ? se_decoder_add(&decoder, ids->id[i], &text, &len, &cap)
                       : se_decoder_end(&decoder, &text, &len, &cap);
        if (r < 0 || len == 0)
            continue;
        fwrite(text, 1, len, stdout);
        last = text[len - 1];
        len = 0;
    }
    /* Exactly the text, but a terminal's prompt wants a line of its own. */
    if (last != '\n' && isatty(STDOUT_FILENO) == 1)
        putchar('\n');
    se_mem_free(text);
    return r;
}

static int detokenize_run(const void *values, char **argument)
{
    const struct detokenize *o = values;
    struct se_input input = SE_INPUT_NULL;
    struct se_ids ids = SE_IDS_NULL;
    struct se_tokenizer *tokenizer = NULL;
    int r = se_tokenizer_open(&tokenizer, argument[0]);
    if (r < 0)
        goto out;
    if (!o->ids) {
        r = se_input_read(&input);
        if (r < 0)
            goto out;
    }
    r = se_ids_parse(&ids, o->ids ? o->ids : input.text, o->ids ? strlen(o->ids) : input.len);
    if (r == -EINVAL && o->ids)
        r = SE_OUTCOME_USAGE;
    if (r == 0)
        r = se_ids_check(&ids, se_tokenizer_size(tokenizer), argument[0]);
    if (r == 0)
        r = write_text(tokenizer, &ids, !o->special);
out:
    se_ids_fini(&ids);
    se_input_fini(&input);
    se_tokenizer_close(tokenizer);
    return r;
}

static const struct se_conf_row tokenize_rows[] = {
    { "text", 0, SE_CONF_TEXT, offsetof(struct tokenize, text), NULL, 0, 0, "TEXT",
      "the text; without it, standard input to its end" },
    { "bare", 0, SE_CONF_FLAG, offsetof(struct tokenize, bare), NULL, 0, 0, NULL,
      "add nothing (no token that opens a text)" },
    { "plain", 0, SE_CONF_FLAG, offsetof(struct tokenize, plain), NULL, 0, 0, NULL,
      "the text of special tokens is text like any other" },
    SE_RIG_OPTION_ROWS(struct tokenize, rig),
};
static struct tokenize tokenize_values;

const struct se_verb se_verb_tokenize = {
    .name = "tokenize",
    .arguments = "DIR",
    .n_arguments = 1,
    .summary = "text to token ids, on one line",
    .rows = tokenize_rows,
    .n_rows = sizeof tokenize_rows / sizeof tokenize_rows[0],
    .values = &tokenize_values,
    .run = tokenize_run,
};

static const struct se_conf_row detokenize_rows[] = {
    { "ids", 0, SE_CONF_TEXT, offsetof(struct detokenize, ids), NULL, 0, 0, "IDS",
      "the ids, \"1 2 3\"; without it, standard input to its end" },
    { "special", 0, SE_CONF_FLAG, offsetof(struct detokenize, special), NULL, 0, 0, NULL,
      "show special tokens too" },
    SE_RIG_OPTION_ROWS(struct detokenize, rig),
};
static struct detokenize detokenize_values;

const struct se_verb se_verb_detokenize = {
    .name = "detokenize",
    .arguments = "DIR",
    .n_arguments = 1,
    .summary = "token ids to text",
    .rows = detokenize_rows,
    .n_rows = sizeof detokenize_rows / sizeof detokenize_rows[0],
    .values = &detokenize_values,
    .run = detokenize_run,
};
