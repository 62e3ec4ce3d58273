/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "runtime/text/ids.h"
#include "runtime/text/load.h"
#include "runtime/text/parts.h"
#include "runtime/text/read.h"
#include "runtime/text/utf8.h"

/* --- opening ------------------------------------------------------------------------------- */

static int load_parts(struct se_tokenizer *tokenizer, const char *name, const json_t *root)
{
    static int (*const parts[])(struct se_load *, const json_t *) = {
        se_load_normalizer, se_load_pre_tokenizer, se_load_decoder,
        se_load_model,      se_load_added_tokens,  se_load_post_processor,
    };
    struct se_load load = { .name = name, .to = tokenizer };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof parts / sizeof *parts; i++)
        r = parts[i](&load, root);
    return r;
}

int se_tokenizer_parse(struct se_tokenizer **out, const char *name, const void *json, size_t len_b)
{
    json_t *root = NULL;
    struct se_tokenizer *tokenizer = se_mem_zero(1, sizeof *tokenizer);
    int r = tokenizer ? se_read_document(&root, name, json, len_b) : -ENOMEM;
    if (r == 0)
        r = load_parts(tokenizer, name, root);
    if (r < 0) {
        r = se_trace(r);
        goto out;
    }
    *out = tokenizer;
    tokenizer = NULL;
out:
    json_decref(root);
    se_tokenizer_close(tokenizer);
    return r;
}

int se_tokenizer_open(struct se_tokenizer **out, const char *dir)
{
    struct se_file file = SE_FILE_NULL;
    char *path = NULL;
    if (asprintf(&path, "%s/tokenizer.json", dir) < 0)
        return se_fail(-ENOMEM, "out of memory");
    int r = se_file_open(&file, path);
    if (r == 0)
        r = se_tokenizer_parse(out, path, file.data, file.len_b);
    se_file_close(&file);
    free(path);
    return r;
}

void se_tokenizer_close(struct se_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    se_normalize_fini(&tokenizer->normalize);
    se_pretoken_fini(&tokenizer->pretoken);
    se_bpe_fini(&tokenizer->bpe);
    se_mem_free(tokenizer->added);
    se_vocab_fini(&tokenizer->added_vocab);
    se_added_fini(&tokenizer->raw);
    se_added_fini(&tokenizer->normal);
    se_decode_fini(&tokenizer->decode);
    se_ids_fini(&tokenizer->prefix);
    se_ids_fini(&tokenizer->suffix);
    se_mem_free(tokenizer);
}

uint32_t se_tokenizer_size(const struct se_tokenizer *tokenizer) { return tokenizer->size; }

int se_tokenizer_find(const struct se_tokenizer *tokenizer, const char *token, uint32_t *id)
{
    size_t len_b = strlen(token);
    if (se_vocab_find(&tokenizer->added_vocab, token, len_b, id) ||
        se_vocab_find(&tokenizer->bpe.vocab, token, len_b, id))
        return 0;
    return se_fail(-ENOENT, "token %s is not in the vocabulary",
                   se_utf8_quote((char[SE_UTF8_QUOTE_B]){ 0 }, token, len_b));
}

/* --- encoding ------------------------------------------------------------------------------ */

struct encode {
    const struct se_tokenizer *tokenizer;
    struct se_ids *ids;
    bool plain;
    struct se_normalize_work normalize;
    struct se_pretoken_work pretoken;
    struct se_bpe_work bpe;
};

static int put_piece(void *context, const char *piece, size_t len_b)
{
    struct encode *e = context;
    const struct se_tokenizer *t = e->tokenizer;
    return se_bpe_encode(&t->bpe, &e->bpe, piece, len_b, t->pretoken.byte_level, e->ids);
}

/* What to do with text between the tokens of a set. */
typedef int put_fn(struct encode *e, const char *text, size_t len_b, bool first);

static int put_cut(struct encode *e, const char *text, size_t len_b, bool first)
{
    return se_pretoken_run(&e->tokenizer->pretoken, &e->pretoken, text, len_b, first, put_piece, e);
}

/* The ids of the set's tokens in a text, and what is between them to put. */
static int put_between(struct encode *e, const struct se_added_set *set, const char *text,
                       size_t len_b, bool first, put_fn *put)
{
    struct se_added_search search = { 0, 0 };
    size_t start, end;
    int number, r = 0;
    while ((number = se_added_next(set, &search, text, len_b, e->plain, &start, &end)) >= 0) {
        if (search.covered < start)
            r = put(e, text + search.covered, start - search.covered, first && search.covered == 0);
        if (r == 0)
            r = se_ids_add(e->ids, &set->token[number].id, 1);
        if (r < 0)
            return r;
        search.covered = end;
    }
    if (search.covered < len_b)
        r = put(e, text + search.covered, len_b - search.covered, first && search.covered == 0);
    return r;
}

static int put_raw(struct encode *e, const char *text, size_t len_b, bool first)
{
    int r = se_normalize_run(&e->tokenizer->normalize, &e->normalize, text, len_b, &text, &len_b);
    return r < 0 ? r : put_between(e, &e->tokenizer->normal, text, len_b, first, put_cut);
}

static int encode_all(struct encode *e, const char *text, size_t len_b, unsigned flags)
{
    const struct se_tokenizer *t = e->tokenizer;
    bool around = flags & SE_ENCODE_SPECIAL;
    int r = around ? se_ids_add(e->ids, t->prefix.id, t->prefix.n) : 0;
    if (r == 0)
        r = put_between(e, &t->raw, text, len_b, !(flags & SE_ENCODE_INSIDE), put_raw);
    if (r == 0 && around)
        r = se_ids_add(e->ids, t->suffix.id, t->suffix.n);
    return r;
}

int se_tokenizer_encode(const struct se_tokenizer *tokenizer, const char *text, size_t len_b,
                        unsigned flags, struct se_ids *ids)
{
    struct encode e = { .tokenizer = tokenizer, .ids = ids, .plain = flags & SE_ENCODE_PLAIN };
    struct se_buf repaired = SE_BUF_NULL;
    size_t n = ids->n;
    int r = 0;
    if (!se_utf8_valid(text, len_b)) {
        r = se_utf8_repair(text, len_b, &repaired);
        text = repaired.data;
        len_b = repaired.n;
    }
    if (r == 0)
        r = encode_all(&e, text, len_b, flags);
    if (r < 0)
        ids->n = n;
    se_buf_fini(&repaired);
    se_normalize_work_fini(&e.normalize);
    se_pretoken_work_fini(&e.pretoken);
    se_bpe_work_fini(&e.bpe);
    return r;
}
