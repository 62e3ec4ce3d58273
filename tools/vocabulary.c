/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/vocabulary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"

static const char *const special[SE_VOCABULARY_SPECIALS] = { "<|bos|>", "<|eos|>", "<|user|>",
                                                             "<|assistant|>", "<|end|>" };

/* A few bytes of text: a token. */
struct piece {
    unsigned char byte[3];
    int n;
};

/* Bytes in the order in which they are paired: what English uses most comes first. */
static void make_order(unsigned char order[256])
{
    static const char common[] = " etaoinshrdlucmwfgypbvk,.IT'\n";
    bool used[256] = { false };
    int n = 0;
    for (const char *c = common; *c; c++) {
        order[n++] = (unsigned char)*c;
        used[(unsigned char)*c] = true;
    }
    for (int b = 0; b < 256; b++)
        if (!used[b])
            order[n++] = (unsigned char)b;
}

/* Pair number m: shell s holds the pairs whose larger place in the order is s,
 *   (s,0) (s,1) ... (s,s) (0,s) ... (s-1,s)        2s + 1 of them, from number s * s on. */
static struct piece pair(const unsigned char order[256], uint32_t m)
{
    uint32_t s = 0;
    while ((s + 1) * (s + 1) <= m)
        s++;
    uint32_t at = m - s * s;
    if (at <= s)
        return (struct piece){ { order[s], order[at] }, 2 };
    return (struct piece){ { order[at - s - 1], order[s] }, 2 };
}

/* Merge number m, and where it parts into its two halves. */
static struct piece merged(const unsigned char order[256], uint32_t m, int *left)
{
    if (m < 65536) {
        *left = 1;
        return pair(order, m);
    }
    m -= 65536;
    struct piece piece = pair(order, m / 256);
    piece.byte[piece.n++] = order[m % 256];
    *left = 2;
    return piece;
}

/* GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for the characters
 * from U+0100 on, in order. All are below U+0800, so two bytes of UTF-8 do. */
static void put_byte(unsigned char byte, FILE *to)
{
    static uint16_t sign[256];
    if (sign['a'] == 0) {
        uint16_t next = 256;
        for (uint16_t b = 0; b < 256; b++) {
            bool itself = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
            sign[b] = itself ? b : next++;
        }
    }
    uint16_t code = sign[byte];
    if (code == '"' || code == '\\')
        putc('\\', to);
    if (code < 0x80) {
        putc(code, to);
        return;
    }
    putc(0xc0 | code >> 6, to);
    putc(0x80 | (code & 0x3f), to);
}

static void put_piece(struct piece piece, int from, int end, FILE *to)
{
    for (int i = from; i < end; i++)
        put_byte(piece.byte[i], to);
}

static void put_model(uint32_t n_merges, FILE *to)
{
    unsigned char order[256];
    int left;
    make_order(order);
    fputs(" \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null,\n"
          "  \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null,\n"
          "  \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,\n"
          "  \"vocab\": {\n",
          to);
    for (uint32_t b = 0; b < 256; b++) {
        fputs(b ? ",\n   \"" : "   \"", to);
        put_byte((unsigned char)b, to);
        fprintf(to, "\": %" PRIu32, b);
    }
    for (uint32_t m = 0; m < n_merges; m++) {
        struct piece piece = merged(order, m, &left);
        fputs(",\n   \"", to);
        put_piece(piece, 0, piece.n, to);
        fprintf(to, "\": %" PRIu32, 256 + m);
    }
    fputs("},\n  \"merges\": [", to);
    for (uint32_t m = 0; m < n_merges; m++) {
        struct piece piece = merged(order, m, &left);
        fputs(m ? ",\n   \"" : "\n   \"", to);
        put_piece(piece, 0, left, to);
        putc(' ', to);
        put_piece(piece, left, piece.n, to);
        putc('"', to);
    }
    fputs("]}\n", to);
}

static void put_special(uint32_t size, FILE *to)
{
    fputs(" \"added_tokens\": [", to);
    for (uint32_t i = 0; i < SE_VOCABULARY_SPECIALS; i++)
        fprintf(to,
                "%s\n  {\"id\": %" PRIu32 ", \"content\": \"%s\", \"single_word\": false, "
                "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}",
                i ? "," : "", size - SE_VOCABULARY_SPECIALS + i, special[i]);
    fputs("],\n", to);
}

static int finish(FILE *to, char **text)
{
    bool bad = ferror(to) != 0;
    if (fclose(to) == 0 && !bad)
        return 0;
    free(*text);
    *text = NULL;
    return se_fail(-ENOMEM, "out of memory for a tokenizer");
}

struct se_vocabulary_ids se_vocabulary_ids(uint32_t size)
{
    uint32_t first = size - SE_VOCABULARY_SPECIALS;
    return (struct se_vocabulary_ids){ first, first + 1, first + 2, first + 3, first + 4 };
}

int se_vocabulary_tokenizer(uint32_t size, char **text, size_t *len)
{
    FILE *to = open_memstream(text, len);
    if (!to)
        return se_fail(-ENOMEM, "out of memory for a tokenizer");
    fputs("{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n", to);
    put_special(size, to);
    fputs(" \"normalizer\": null,\n"
          " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false,\n"
          "  \"trim_offsets\": true, \"use_regex\": true},\n",
          to);
    fprintf(to,
            " \"post_processor\": {\"type\": \"TemplateProcessing\",\n"
            "  \"single\": [{\"SpecialToken\": {\"id\": \"<|bos|>\", \"type_id\": 0}},\n"
            "   {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}],\n"
            "  \"pair\": [{\"SpecialToken\": {\"id\": \"<|bos|>\", \"type_id\": 0}},\n"
            "   {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}},\n"
            "   {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}],\n"
            "  \"special_tokens\": {\"<|bos|>\": {\"id\": \"<|bos|>\", \"ids\": [%" PRIu32
            "], \"tokens\": [\"<|bos|>\"]}}},\n",
            se_vocabulary_ids(size).bos);
    fputs(" \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false,\n"
          "  \"trim_offsets\": true, \"use_regex\": true},\n",
          to);
    put_model(size - SE_VOCABULARY_MIN, to);
    fputs("}\n", to);
    return finish(to, text);
}

int se_vocabulary_config(uint32_t size, uint32_t context, char **text, size_t *len)
{
    FILE *to = open_memstream(text, len);
    if (!to)
        return se_fail(-ENOMEM, "out of memory for a tokenizer");
    fputs("{\"tokenizer_class\": \"PreTrainedTokenizerFast\",\n"
          " \"bos_token\": \"<|bos|>\", \"eos_token\": \"<|eos|>\", \"pad_token\": \"<|eos|>\",\n"
          " \"additional_special_tokens\": [\"<|user|>\", \"<|assistant|>\", \"<|end|>\"],\n"
          " \"add_bos_token\": true, \"add_eos_token\": false,\n"
          " \"clean_up_tokenization_spaces\": false,\n",
          to);
    fprintf(to, " \"model_max_length\": %" PRIu32 ",\n \"added_tokens_decoder\": {", context);
    for (uint32_t i = 0; i < SE_VOCABULARY_SPECIALS; i++)
        fprintf(to,
                "%s\n  \"%" PRIu32 "\": {\"content\": \"%s\", \"single_word\": false, "
                "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}",
                i ? "," : "", size - SE_VOCABULARY_SPECIALS + i, special[i]);
    /* The bundled pair's template: a user's turn, then the assistant's. */
    fputs("},\n \"chat_template\": \"{{ bos_token }}{% for m in messages %}"
          "{% if m['role'] == 'assistant' %}"
          "{{ '<|assistant|>' + m['content'] + '<|end|>' }}{% else %}"
          "{{ '<|user|>' + m['content'] + '<|end|>' }}{% endif %}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}\"}\n",
          to);
    return finish(to, text);
}
