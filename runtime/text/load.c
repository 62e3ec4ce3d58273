/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/read.h"
#include "runtime/text/utf8.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))

int se_load_typed(struct se_load *load, const json_t *object, const struct se_load_row *rows,
                  size_t n)
{
    const char *type;
    size_t len_b, used = 0;
    char known[256] = "", quoted[SE_UTF8_QUOTE_B];
    if (!json_is_object(object))
        return se_fail(-EINVAL, "%s: \"%s\" must be an object", load->name, load->part);
    int r = se_read_text(load->name, object, "type", &type, &len_b);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (strlen(rows[i].type) == len_b && memcmp(rows[i].type, type, len_b) == 0)
            return rows[i].fn(load, object);
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 rows[i].type);
    }
    return se_fail(-ENOTSUP, "%s: %s %s is not supported (supported: %s)", load->name, load->part,
                   se_utf8_quote(quoted, type, len_b), known);
}

int se_load_each(struct se_load *load, const json_t *object, const char *key,
                 const struct se_load_row *rows, size_t n)
{
    const json_t *list;
    int r = se_read_list(load->name, object, key, &list);
    if (r < 0)
        return r;
    if (load->depth == SE_LOAD_DEPTH_MAX)
        return se_fail(-ENOTSUP, "%s: %s: more than %d Sequences within each other", load->name,
                       load->part, SE_LOAD_DEPTH_MAX);
    load->depth++;
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
        r = se_load_typed(load, json_array_get(list, i), rows, n);
    load->depth--;
    return r;
}

int se_load_string(struct se_load *load, const json_t *object, const char **text, size_t *len_b)
{
    const json_t *pattern = se_read_get(object, "pattern");
    if (json_is_object(pattern) && se_read_get(pattern, "Regex"))
        return se_fail(-ENOTSUP, "%s: %s: Replace of a Regex is not supported", load->name,
                       load->part);
    if (!json_is_object(pattern))
        return se_fail(-EINVAL, "%s: %s: \"pattern\" must be an object", load->name, load->part);
    int r = se_read_text(load->name, pattern, "String", text, len_b);
    if (r == 0 && *len_b == 0)
        return se_fail(-ENOTSUP, "%s: %s: Replace of an empty text is not supported", load->name,
                       load->part);
    return r;
}

/* A copy the tokenizer owns. */
static int keep(const char *text, size_t len_b, char **copy, size_t *copy_b)
{
    *copy = se_mem_new(len_b + 1, 1);
    if (!*copy)
        return -ENOMEM;
    memcpy(*copy, text, len_b);
    (*copy)[len_b] = '\0';
    *copy_b = len_b;
    return 0;
}

/* --- normalizer ---------------------------------------------------------------------------- */

static int add_normalize(struct se_load *load, enum se_normalize_kind kind,
                         struct se_normalize_step **step)
{
    struct se_normalize *normalize = &load->to->normalize;
    if (normalize->n == SE_NORMALIZE_STEPS_MAX)
        return se_fail(-ENOTSUP, "%s: more than %d normalizers", load->name,
                       SE_NORMALIZE_STEPS_MAX);
    *step = &normalize->step[normalize->n++];
    (*step)->kind = kind;
    return 0;
}

static int load_nfc(struct se_load *load, const json_t *object)
{
    (void)object;
    return add_normalize(load, SE_NORMALIZE_NFC, &(struct se_normalize_step *){ NULL });
}

static int load_nfd(struct se_load *load, const json_t *object)
{
    (void)object;
    return add_normalize(load, SE_NORMALIZE_NFD, &(struct se_normalize_step *){ NULL });
}

static int load_nfkc(struct se_load *load, const json_t *object)
{
    (void)object;
    return add_normalize(load, SE_NORMALIZE_NFKC, &(struct se_normalize_step *){ NULL });
}

static int load_nfkd(struct se_load *load, const json_t *object)
{
    (void)object;
    return add_normalize(load, SE_NORMALIZE_NFKD, &(struct se_normalize_step *){ NULL });
}

static int load_prepend(struct se_load *load, const json_t *object)
{
    struct se_normalize_step *step = NULL;
    const char *text;
    size_t len_b;
    int r = se_read_text(load->name, object, "prepend", &text, &len_b);
    if (r == 0)
        r = add_normalize(load, SE_NORMALIZE_PREPEND, &step);
    return r == 0 ? keep(text, len_b, &step->to, &step->to_b) : r;
}

static int load_replace(struct se_load *load, const json_t *object)
{
    struct se_normalize_step *step = NULL;
    const char *from, *to;
    size_t from_b, to_b;
    int r = se_load_string(load, object, &from, &from_b);
    if (r == 0)
        r = se_read_text(load->name, object, "content", &to, &to_b);
    if (r == 0)
        r = add_normalize(load, SE_NORMALIZE_REPLACE, &step);
    if (r == 0)
        r = keep(from, from_b, &step->from, &step->from_b);
    return r == 0 ? keep(to, to_b, &step->to, &step->to_b) : r;
}

static int load_normalizers(struct se_load *load, const json_t *object);

static const struct se_load_row normalizer_rows[] = {
    { "NFC", load_nfc },
    { "NFD", load_nfd },
    { "NFKC", load_nfkc },
    { "NFKD", load_nfkd },
    { "Prepend", load_prepend },
    { "Replace", load_replace },
    { "Sequence", load_normalizers },
};

static int load_normalizers(struct se_load *load, const json_t *object)
{
    return se_load_each(load, object, "normalizers", normalizer_rows, N_OF(normalizer_rows));
}

int se_load_normalizer(struct se_load *load, const json_t *root)
{
    const json_t *object = se_read_get(root, load->part = "normalizer");
    return object ? se_load_typed(load, object, normalizer_rows, N_OF(normalizer_rows)) : 0;
}

/* --- pre_tokenizer ------------------------------------------------------------------------- */

/* What ByteLevel cuts by: contractions, then letters, numbers and the rest with the space
 * before them, then spaces less the one that belongs to what follows. */
static const char byte_level_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Digits go by Rust's own tables, which are of Unicode 17: 13 numbers more. */
static const char digits_pattern[] =
    "[\\p{N}\xf0\x91\xb7\xa0-\xf0\x91\xb7\xa9\xf0\x96\xbf\xb4-\xf0\x96\xbf\xb6]";

static int add_pretoken(struct se_load *load, enum se_pretoken_kind kind,
                        struct se_pretoken_step **step)
{
    struct se_pretoken *pretoken = &load->to->pretoken;
    if (pretoken->byte_level)
        return se_fail(-ENOTSUP, "%s: a pre_tokenizer after ByteLevel is not supported",
                       load->name);
    if (pretoken->n == SE_PRETOKEN_STEPS_MAX)
        return se_fail(-ENOTSUP, "%s: more than %d pre_tokenizers", load->name,
                       SE_PRETOKEN_STEPS_MAX);
    *step = &pretoken->step[pretoken->n++];
    (*step)->kind = kind;
    return 0;
}

static int load_byte_level(struct se_load *load, const json_t *object)
{
    struct se_pretoken_step *step = NULL;
    bool space, cut;
    int r = se_read_flag(load->name, object, "add_prefix_space", true, &space);
    if (r == 0)
        r = se_read_flag(load->name, object, "use_regex", true, &cut);
    if (r == 0 && (space || load->to->pretoken.byte_level))
        r = add_pretoken(load, SE_PRETOKEN_SPACE, &step);
    if (r == 0 && cut) {
        r = add_pretoken(load, SE_PRETOKEN_SPLIT, &step);
        if (r == 0)
            r = se_pattern_new(&step->pattern, load->name, byte_level_pattern,
                               sizeof byte_level_pattern - 1);
    }
    load->to->pretoken.byte_level = true;
    return r;
}

static int read_keep(struct se_load *load, const json_t *object, enum se_pretoken_keep *keep_as)
{
    static const char *const names[] = {
        [SE_PRETOKEN_ISOLATED] = "Isolated",
        [SE_PRETOKEN_REMOVED] = "Removed",
        [SE_PRETOKEN_WITH_PREVIOUS] = "MergedWithPrevious",
        [SE_PRETOKEN_WITH_NEXT] = "MergedWithNext",
        [SE_PRETOKEN_CONTIGUOUS] = "Contiguous",
    };
    const char *text;
    size_t len_b;
    int r = se_read_text(load->name, object, "behavior", &text, &len_b);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < N_OF(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *keep_as = i;
            return 0;
        }
    }
    return se_fail(-ENOTSUP, "%s: Split behavior %s is not supported", load->name,
                   se_utf8_quote((char[SE_UTF8_QUOTE_B]){ 0 }, text, len_b));
}

static int load_split(struct se_load *load, const json_t *object)
{
    const json_t *pattern = se_read_get(object, "pattern");
    struct se_pretoken_step *step = NULL;
    const char *text;
    size_t len_b;
    if (!json_is_object(pattern))
        return se_fail(-EINVAL, "%s: Split: \"pattern\" must be an object", load->name);
    bool literal = se_read_get(pattern, "Regex") == NULL;
    int r = se_read_text(load->name, pattern, literal ? "String" : "Regex", &text, &len_b);
    if (r == 0)
        r = add_pretoken(load, SE_PRETOKEN_SPLIT, &step);
    if (r == 0)
        r = read_keep(load, object, &step->keep);
    if (r == 0)
        r = se_read_flag(load->name, object, "invert", false, &step->invert);
    if (r < 0)
        return r;
    return literal ? se_pattern_new_literal(&step->pattern, load->name, text, len_b)
                   : se_pattern_new(&step->pattern, load->name, text, len_b);
}

static int load_digits(struct se_load *load, const json_t *object)
{
    struct se_pretoken_step *step = NULL;
    bool each;
    int r = se_read_flag(load->name, object, "individual_digits", false, &each);
    if (r == 0)
        r = add_pretoken(load, SE_PRETOKEN_SPLIT, &step);
    if (r < 0)
        return r;
    step->keep = each ? SE_PRETOKEN_ISOLATED : SE_PRETOKEN_CONTIGUOUS;
    return se_pattern_new(&step->pattern, load->name, digits_pattern, sizeof digits_pattern - 1);
}

/* prepend_scheme, or what stood for it in older files: add_prefix_space. */
static int read_scheme(struct se_load *load, const json_t *object, enum se_pretoken_scheme *scheme)
{
    static const char *const names[] = {
        [SE_PRETOKEN_FIRST] = "first",
        [SE_PRETOKEN_ALWAYS] = "always",
        [SE_PRETOKEN_NEVER] = "never",
    };
    const char *text;
    size_t len_b;
    bool space;
    int r = se_read_flag(load->name, object, "add_prefix_space", true, &space);
    if (r < 0)
        return r;
    *scheme = space ? SE_PRETOKEN_ALWAYS : SE_PRETOKEN_NEVER;
    if (!se_read_get(object, "prepend_scheme"))
        return 0;
    r = se_read_text(load->name, object, "prepend_scheme", &text, &len_b);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < N_OF(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *scheme = i;
            return 0;
        }
    }
    return se_fail(-ENOTSUP, "%s: prepend_scheme %s is not supported", load->name,
                   se_utf8_quote((char[SE_UTF8_QUOTE_B]){ 0 }, text, len_b));
}

static int load_metaspace(struct se_load *load, const json_t *object)
{
    struct se_pretoken_step *step = NULL;
    bool cut;
    int r = add_pretoken(load, SE_PRETOKEN_METASPACE, &step);
    if (r == 0)
        r = se_read_character(load->name, object, "replacement", step->replacement);
    if (r == 0)
        r = read_scheme(load, object, &step->scheme);
    if (r == 0)
        r = se_read_flag(load->name, object, "split", true, &cut);
    step->keep = SE_PRETOKEN_WITH_NEXT;
    if (r < 0 || !cut)
        return r;
    return se_pattern_new_literal(&step->pattern, load->name, step->replacement,
                                  strlen(step->replacement));
}

static int load_pre_tokenizers(struct se_load *load, const json_t *object);

static const struct se_load_row pre_tokenizer_rows[] = {
    { "ByteLevel", load_byte_level },    { "Split", load_split },
    { "Digits", load_digits },           { "Metaspace", load_metaspace },
    { "Sequence", load_pre_tokenizers },
};

static int load_pre_tokenizers(struct se_load *load, const json_t *object)
{
    return se_load_each(load, object, "pretokenizers", pre_tokenizer_rows,
                        N_OF(pre_tokenizer_rows));
}

int se_load_pre_tokenizer(struct se_load *load, const json_t *root)
{
    const json_t *object = se_read_get(root, load->part = "pre_tokenizer");
    return object ? se_load_typed(load, object, pre_tokenizer_rows, N_OF(pre_tokenizer_rows)) : 0;
}

/* --- decoder ------------------------------------------------------------------------------- */

/* One kind of decoder only: PARTS are those that may stand side by side. */
static int set_decode(struct se_load *load, enum se_decode_kind kind)
{
    struct se_decode *decode = &load->to->decode;
    if (decode->kind != SE_DECODE_JOIN && (decode->kind != kind || kind != SE_DECODE_PARTS))
        return se_fail(-ENOTSUP,
                       "%s: ByteLevel or Metaspace beside another decoder is not supported",
                       load->name);
    decode->kind = kind;
    return 0;
}

static int load_decode_bytes(struct se_load *load, const json_t *object)
{
    (void)object;
    return set_decode(load, SE_DECODE_BYTES);
}

static int out_of_order(struct se_load *load, const char *type)
{
    return se_fail(-ENOTSUP,
                   "%s: decoder %s in this place is not supported (Replace, ByteFallback, Fuse, "
                   "Strip, in this order, are)",
                   load->name, type);
}

static int load_decode_replace(struct se_load *load, const json_t *object)
{
    struct se_decode *decode = &load->to->decode;
    const char *from, *to;
    size_t from_b, to_b;
    int r = set_decode(load, SE_DECODE_PARTS);
    if (r == 0 && (decode->fallback || decode->fused || decode->strip[0] ||
                   decode->n_replace == SE_DECODE_REPLACES_MAX))
        return out_of_order(load, "Replace");
    if (r == 0)
        r = se_load_string(load, object, &from, &from_b);
    if (r == 0)
        r = se_read_text(load->name, object, "content", &to, &to_b);
    if (r < 0)
        return r;
    struct se_decode_replace *one = &decode->replace[decode->n_replace++];
    r = keep(from, from_b, &one->from, &one->from_b);
    return r == 0 ? keep(to, to_b, &one->to, &one->to_b) : r;
}

static int load_decode_fallback(struct se_load *load, const json_t *object)
{
    struct se_decode *decode = &load->to->decode;
    (void)object;
    if (decode->fused || decode->strip[0])
        return out_of_order(load, "ByteFallback");
    decode->fallback = true;
    return set_decode(load, SE_DECODE_PARTS);
}

static int load_decode_fuse(struct se_load *load, const json_t *object)
{
    (void)object;
    load->to->decode.fused = true;
    return set_decode(load, SE_DECODE_PARTS);
}

static int load_decode_strip(struct se_load *load, const json_t *object)
{
    struct se_decode *decode = &load->to->decode;
    uint32_t start, stop;
    int r = set_decode(load, SE_DECODE_PARTS);
    if (r == 0 && (!decode->fused || decode->strip[0]))
        return out_of_order(load, "Strip");
    if (r == 0)
        r = se_read_number(load->name, object, "start", INT32_MAX, &start);
    if (r == 0)
        r = se_read_number(load->name, object, "stop", INT32_MAX, &stop);
    if (r < 0)
        return r;
    if (start > 1 || stop > 0)
        return se_fail(-ENOTSUP,
                       "%s: decoder Strip of more than one character at the start is not supported",
                       load->name);
    return start == 0 ? 0 : se_read_character(load->name, object, "content", decode->strip);
}

static int load_decode_metaspace(struct se_load *load, const json_t *object)
{
    struct se_decode *decode = &load->to->decode;
    enum se_pretoken_scheme scheme;
    int r = set_decode(load, SE_DECODE_METASPACE);
    if (r == 0)
        r = se_read_character(load->name, object, "replacement", decode->mark);
    if (r == 0)
        r = read_scheme(load, object, &scheme);
    if (r == 0)
        decode->mark_in_front = scheme != SE_PRETOKEN_NEVER;
    return r;
}

static int load_decoders(struct se_load *load, const json_t *object);

static const struct se_load_row decoder_rows[] = {
    { "ByteLevel", load_decode_bytes },
    { "Replace", load_decode_replace },
    { "ByteFallback", load_decode_fallback },
    { "Fuse", load_decode_fuse },
    { "Strip", load_decode_strip },
    { "Metaspace", load_decode_metaspace },
    { "Sequence", load_decoders },
};

static int load_decoders(struct se_load *load, const json_t *object)
{
    int r = se_load_each(load, object, "decoders", decoder_rows, N_OF(decoder_rows));
    if (r == 0 && load->to->decode.kind == SE_DECODE_JOIN)
        load->to->decode.kind = SE_DECODE_PARTS; /* of nothing: the texts, side by side */
    return r;
}

int se_load_decoder(struct se_load *load, const json_t *root)
{
    const json_t *object = se_read_get(root, load->part = "decoder");
    return object ? se_load_typed(load, object, decoder_rows, N_OF(decoder_rows)) : 0;
}
