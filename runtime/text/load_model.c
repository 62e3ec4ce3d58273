/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/ids.h"
#include "runtime/text/load.h"
#include "runtime/text/read.h"
#include "runtime/text/utf8.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))
#define QUOTE(text, len_b) se_utf8_quote((char[SE_UTF8_QUOTE_B]){ 0 }, text, len_b)

/* --- the vocabulary ------------------------------------------------------------------------ */

static int load_vocab(struct se_load *load, const json_t *model)
{
    struct se_tokenizer *to = load->to;
    json_t *vocab = json_object_get(model, "vocab"), *value;
    const char *text;
    if (!json_is_object(vocab))
        return se_fail(-EINVAL, "%s: model \"vocab\" must be an object", load->name);
    if (json_object_size(vocab) > SE_TOKENIZER_IDS_MAX)
        return se_fail(-EINVAL, "%s: a vocabulary of %zu tokens is too large", load->name,
                       json_object_size(vocab));
    int r = se_vocab_init(&to->bpe.vocab, (uint32_t)json_object_size(vocab));
    if (r < 0)
        return r;
    json_object_foreach(vocab, text, value) {
        size_t len_b = strlen(text); /* a key has no NUL in it: the document was refused else */
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id >= SE_TOKENIZER_IDS_MAX)
            return se_fail(-EINVAL, "%s: token %s must have an id from 0 to %d", load->name,
                           QUOTE(text, len_b), SE_TOKENIZER_IDS_MAX - 1);
        r = se_vocab_add(&to->bpe.vocab, text, len_b, (uint32_t)id);
        if (r < 0)
            return se_trace(r);
        if (id >= to->size)
            to->size = (uint32_t)id + 1;
    }
    return 0;
}

/* --- merges -------------------------------------------------------------------------------- */

/* "a b" or ["a", "b"]. */
static bool read_sides(const json_t *merge, struct se_bpe_side side[2])
{
    if (json_is_string(merge)) {
        const char *text = json_string_value(merge);
        size_t len_b = json_string_length(merge);
        const char *gap = memchr(text, ' ', len_b);
        if (!gap || memchr(gap + 1, ' ', len_b - (size_t)(gap + 1 - text)))
            return false;
        side[0] = (struct se_bpe_side){ text, (size_t)(gap - text), 0 };
        side[1] = (struct se_bpe_side){ gap + 1, len_b - side[0].len_b - 1, 0 };
    } else if (json_is_array(merge) && json_array_size(merge) == 2) {
        for (size_t i = 0; i < 2; i++) {
            const json_t *text = json_array_get(merge, i);
            if (!json_is_string(text))
                return false;
            side[i] = (struct se_bpe_side){ json_string_value(text), json_string_length(text), 0 };
        }
    } else {
        return false;
    }
    /* An empty side would make a token of itself. */
    return side[0].len_b > 0 && side[1].len_b > 0;
}

static int load_merge(struct se_load *load, const json_t *merge, uint32_t rank,
                      struct se_buf *joined)
{
    struct se_bpe *bpe = &load->to->bpe;
    struct se_bpe_side side[2];
    uint32_t id;
    if (!read_sides(merge, side))
        return se_fail(-EINVAL, "%s: merge %lu is not a pair of texts", load->name,
                       (unsigned long)rank);
    for (int i = 0; i < 2; i++)
        if (!se_vocab_find(&bpe->vocab, side[i].text, side[i].len_b, &side[i].id))
            return se_fail(-EINVAL, "%s: merge %lu: %s is not in the vocabulary", load->name,
                           (unsigned long)rank, QUOTE(side[i].text, side[i].len_b));
    joined->n = 0;
    int r = se_buf_add(joined, side[0].text, side[0].len_b);
    if (r == 0)
        r = se_buf_add(joined, side[1].text, side[1].len_b);
    if (r < 0)
        return r;
    if (!se_vocab_find(&bpe->vocab, joined->data, joined->n, &id))
        return se_fail(-EINVAL, "%s: merge %lu: %s is not in the vocabulary", load->name,
                       (unsigned long)rank, QUOTE(joined->data, joined->n));
    se_bpe_add(bpe, side, rank, id);
    return 0;
}

static int load_merges(struct se_load *load, const json_t *model)
{
    const json_t *merges;
    struct se_buf joined = SE_BUF_NULL;
    int r = se_read_list(load->name, model, "merges", &merges);
    if (r < 0)
        return r;
    size_t n = json_array_size(merges);
    if (n > 4u * SE_TOKENIZER_IDS_MAX)
        return se_fail(-EINVAL, "%s: %zu merges are too many", load->name, n);
    r = se_bpe_init(&load->to->bpe, (uint32_t)n);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = load_merge(load, json_array_get(merges, i), (uint32_t)i, &joined);
    se_buf_fini(&joined);
    return r;
}

/* --- the model ----------------------------------------------------------------------------- */

/* Options of BPE that change the ids and that we do not have. */
static int refuse_options(struct se_load *load, const json_t *model)
{
    static const char *const affixes[] = { "continuing_subword_prefix", "end_of_word_suffix" };
    for (size_t i = 0; i < N_OF(affixes); i++) {
        const json_t *affix = se_read_get(model, affixes[i]);
        if (affix && (!json_is_string(affix) || json_string_length(affix) > 0))
            return se_fail(-ENOTSUP, "%s: model: %s is not supported", load->name, affixes[i]);
    }
    const json_t *dropout = se_read_get(model, "dropout");
    if (dropout && json_number_value(dropout) != 0.0)
        return se_fail(-ENOTSUP, "%s: model: dropout is not supported", load->name);
    return 0;
}

static int load_unknown(struct se_load *load, const json_t *model)
{
    struct se_bpe *bpe = &load->to->bpe;
    const char *text;
    size_t len_b;
    bpe->unknown = SE_BPE_NONE;
    if (!se_read_get(model, "unk_token"))
        return 0;
    int r = se_read_text(load->name, model, "unk_token", &text, &len_b);
    if (r < 0)
        return r;
    bpe->unknown_named = true;
    (void)se_vocab_find(&bpe->vocab, text, len_b, &bpe->unknown); /* else an error when needed */
    return 0;
}

static int load_bpe(struct se_load *load, const json_t *model)
{
    struct se_bpe *bpe = &load->to->bpe;
    int r = refuse_options(load, model);
    if (r == 0)
        r = se_read_flag(load->name, model, "fuse_unk", false, &bpe->fuse_unknown);
    if (r == 0)
        r = se_read_flag(load->name, model, "byte_fallback", false, &bpe->byte_fallback);
    if (r == 0)
        r = se_read_flag(load->name, model, "ignore_merges", false, &bpe->whole_first);
    if (r == 0)
        r = load_vocab(load, model);
    if (r == 0)
        r = load_merges(load, model);
    if (r == 0)
        r = load_unknown(load, model);
    if (r == 0)
        se_bpe_ready(bpe);
    return r;
}

int se_load_model(struct se_load *load, const json_t *root)
{
    static const struct se_load_row rows[] = { { "BPE", load_bpe } };
    const json_t *model = se_read_get(root, load->part = "model");
    /* Files of old leave the type out; only BPE has merges. */
    if (json_is_object(model) && !se_read_get(model, "type") && se_read_get(model, "merges"))
        return load_bpe(load, model);
    return se_load_typed(load, model, rows, N_OF(rows));
}

/* --- added tokens -------------------------------------------------------------------------- */

/* The id that the library gives a token, whatever the file says: that of the vocabulary, or
 * the next free one. */
static uint32_t id_given(const struct se_tokenizer *to, const char *text, size_t len_b,
                         uint32_t *next)
{
    uint32_t id;
    if (se_vocab_find(&to->bpe.vocab, text, len_b, &id)) {
        if (id >= *next)
            *next = id + 1;
        return id;
    }
    return (*next)++;
}

static int read_added(struct se_load *load, const json_t *object, struct se_added_token *token,
                      const char **text, size_t *len_b)
{
    const char *name = load->name;
    if (!json_is_object(object))
        return se_fail(-EINVAL, "%s: \"added_tokens\" must be a list of objects", name);
    int r = se_read_text(name, object, "content", text, len_b);
    if (r == 0)
        r = se_read_number(name, object, "id", SE_TOKENIZER_IDS_MAX - 1, &token->id);
    if (r == 0)
        r = se_read_flag(name, object, "special", false, &token->special);
    if (r == 0)
        r = se_read_flag(name, object, "single_word", false, &token->single_word);
    if (r == 0)
        r = se_read_flag(name, object, "lstrip", false, &token->lstrip);
    if (r == 0)
        r = se_read_flag(name, object, "rstrip", false, &token->rstrip);
    if (r == 0)
        r = se_read_flag(name, object, "normalized", !token->special, &token->normalized);
    return r;
}

static int load_added(struct se_load *load, const json_t *object, uint32_t *next)
{
    struct se_tokenizer *to = load->to;
    uint32_t number = to->added_vocab.n;
    struct se_added_token *token = &to->added[number];
    const char *text;
    size_t len_b;
    int r = read_added(load, object, token, &text, &len_b);
    if (r < 0)
        return r;
    if (len_b == 0 || len_b > SE_ADDED_MAX_B)
        return se_fail(-ENOTSUP, "%s: an added token of %zu bytes is not supported (1 to %d are)",
                       load->name, len_b, SE_ADDED_MAX_B);
    uint32_t given = id_given(to, text, len_b, next);
    if (given != token->id)
        return se_fail(-EINVAL, "%s: added token %s has the id %lu, which the vocabulary makes %lu",
                       load->name, QUOTE(text, len_b), (unsigned long)token->id,
                       (unsigned long)given);
    r = se_vocab_add(&to->added_vocab, text, len_b, token->id);
    if (r == -EEXIST)
        return se_fail(-EINVAL, "%s: added token %s is there twice", load->name,
                       QUOTE(text, len_b));
    if (token->id >= to->size)
        to->size = token->id + 1;
    return r;
}

/* Special tokens first: of two that are normalised to the same text, the first is found. */
static int fill_sets(struct se_load *load, bool special)
{
    struct se_tokenizer *to = load->to;
    struct se_normalize_work work = { .cap = 0 };
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < to->added_vocab.n; i++) {
        const char *text = se_vocab_text(&to->added_vocab, i);
        size_t len_b = to->added_vocab.entry[i].len;
        if (to->added[i].special != special)
            continue;
        if (!to->added[i].normalized) {
            r = se_added_add(&to->raw, text, len_b, i);
            continue;
        }
        r = se_normalize_run(&to->normalize, &work, text, len_b, &text, &len_b);
        if (r == 0 && (len_b == 0 || len_b > SE_ADDED_MAX_B))
            r = se_fail(-ENOTSUP,
                        "%s: an added token of which %zu bytes are left when it is "
                        "normalised is not supported",
                        load->name, len_b);
        if (r == 0)
            r = se_added_add(&to->normal, text, len_b, i);
    }
    se_normalize_work_fini(&work);
    return r;
}

static int fill_decode(struct se_load *load)
{
    struct se_tokenizer *to = load->to;
    int r = se_decode_init(&to->decode, to->size);
    for (uint32_t i = 0; r == 0 && i < to->added_vocab.n; i++) {
        const struct se_vocab_entry *entry = &to->added_vocab.entry[i];
        r = se_decode_add(&to->decode, entry->id, se_vocab_text(&to->added_vocab, i), entry->len);
        if (r == 0)
            to->decode.entry[entry->id].special = to->added[i].special;
        if (r == -EEXIST)
            r = se_fail(-EINVAL, "%s: id %lu belongs to two tokens", load->name,
                        (unsigned long)entry->id);
    }
    for (uint32_t i = 0, id; r == 0 && i < to->bpe.vocab.n; i++) {
        const struct se_vocab_entry *entry = &to->bpe.vocab.entry[i];
        const char *text = se_vocab_text(&to->bpe.vocab, i);
        r = se_decode_add(&to->decode, entry->id, text, entry->len);
        if (r == -EEXIST && se_vocab_find(&to->added_vocab, text, entry->len, &id))
            r = 0; /* the same token, which was made an added one */
        if (r == -EEXIST)
            r = se_fail(-EINVAL, "%s: id %lu belongs to two tokens", load->name,
                        (unsigned long)entry->id);
    }
    return r;
}

int se_load_added_tokens(struct se_load *load, const json_t *root)
{
    struct se_tokenizer *to = load->to;
    const json_t *list = se_read_get(root, load->part = "added_tokens");
    size_t n = json_array_size(list);
    if (list && !json_is_array(list))
        return se_fail(-EINVAL, "%s: \"added_tokens\" must be a list", load->name);
    if (n > SE_TOKENIZER_IDS_MAX)
        return se_fail(-EINVAL, "%s: %zu added tokens are too many", load->name, n);
    int r = se_vocab_init(&to->added_vocab, (uint32_t)n);
    if (r < 0)
        return r;
    to->added = se_mem_zero(n, sizeof *to->added);
    if (!to->added)
        return -ENOMEM;
    se_added_init(&to->raw, to->added);
    se_added_init(&to->normal, to->added);
    uint32_t next = to->bpe.vocab.n;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = load_added(load, json_array_get(list, i), &next);
    if (r == 0)
        r = fill_sets(load, true);
    if (r == 0)
        r = fill_sets(load, false);
    return r == 0 ? fill_decode(load) : r;
}

/* --- post_processor ------------------------------------------------------------------------ */

/* The ids of a SpecialToken of a template. */
static int put_template_ids(struct se_load *load, const json_t *object, const json_t *piece,
                            struct se_ids *ids)
{
    const json_t *list;
    const char *text;
    size_t len_b;
    int r = se_read_text(load->name, piece, "id", &text, &len_b);
    if (r < 0)
        return r;
    const json_t *special = json_object_get(se_read_get(object, "special_tokens"), text);
    if (!json_is_object(special))
        return se_fail(-EINVAL, "%s: post_processor: %s is not among its special_tokens",
                       load->name, QUOTE(text, len_b));
    r = se_read_list(load->name, special, "ids", &list);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value) || id < 0 || id >= load->to->size ||
            !load->to->decode.entry[id].there)
            return se_fail(-EINVAL, "%s: post_processor: an id of %s is not in the vocabulary",
                           load->name, QUOTE(text, len_b));
        r = se_ids_add(ids, &(uint32_t){ (uint32_t)id }, 1);
    }
    return r;
}

static int read_template(struct se_load *load, const json_t *object, struct se_ids side[2])
{
    const json_t *list;
    bool text_seen = false;
    int r = se_read_list(load->name, object, "single", &list);
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *special = se_read_get(one, "SpecialToken");
        const json_t *text = se_read_get(one, "Sequence");
        const char *name;
        size_t name_b;
        if (special) {
            r = put_template_ids(load, object, special, &side[text_seen]);
            continue;
        }
        if (text)
            r = se_read_text(load->name, text, "id", &name, &name_b);
        if (r == 0 && (!text || text_seen || strcmp(name, "A") != 0))
            r = se_fail(-ENOTSUP,
                        "%s: a template of other pieces than special tokens around one "
                        "text is not supported",
                        load->name);
        text_seen = true;
    }
    if (r == 0 && !text_seen)
        r = se_fail(-ENOTSUP, "%s: a template without the text is not supported", load->name);
    return r;
}

/* A template around what the ones before it made. */
static int load_template(struct se_load *load, const json_t *object)
{
    struct se_tokenizer *to = load->to;
    struct se_ids side[2] = { SE_IDS_NULL, SE_IDS_NULL };
    int r = read_template(load, object, side);
    if (r == 0)
        r = se_ids_add(&side[0], to->prefix.id, to->prefix.n);
    if (r == 0)
        r = se_ids_add(&to->suffix, side[1].id, side[1].n);
    if (r == 0) {
        struct se_ids old = to->prefix;
        to->prefix = side[0];
        side[0] = old;
    }
    se_ids_fini(&side[0]);
    se_ids_fini(&side[1]);
    return r;
}

static int load_nothing(struct se_load *load, const json_t *object)
{
    (void)load, (void)object; /* ByteLevel changes offsets only */
    return 0;
}

static int load_processors(struct se_load *load, const json_t *object);

static const struct se_load_row processor_rows[] = {
    { "ByteLevel", load_nothing },
    { "TemplateProcessing", load_template },
    { "Sequence", load_processors },
};

static int load_processors(struct se_load *load, const json_t *object)
{
    return se_load_each(load, object, "processors", processor_rows, N_OF(processor_rows));
}

int se_load_post_processor(struct se_load *load, const json_t *root)
{
    const json_t *object = se_read_get(root, load->part = "post_processor");
    return object ? se_load_typed(load, object, processor_rows, N_OF(processor_rows)) : 0;
}
