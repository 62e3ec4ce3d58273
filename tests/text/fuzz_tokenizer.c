/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a tokenizer.json: refused in one line, or it encodes, decodes and has a
 * fingerprint. What follows a NUL byte is the text to encode, if there is one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/buf.h"
#include "runtime/text/chat.h"
#include "runtime/text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const struct se_tokenizer *t, const struct se_ids *ids, bool skip_special)
{
    struct se_decoder decoder;
    struct se_buf out = SE_BUF_NULL;
    se_decoder_init(&decoder, t, skip_special);
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->id[i] >= se_tokenizer_size(t) ||
            se_decoder_add(&decoder, ids->id[i], &out.data, &out.n, &out.cap) < 0)
            abort(); /* an id that encoding gave has a text */
        if (!se_utf8_valid(out.data, out.n))
            abort();
    }
    if (se_decoder_end(&decoder, &out.data, &out.n, &out.cap) < 0 ||
        !se_utf8_valid(out.data, out.n))
        abort();
    se_buf_fini(&out);
}

static void encode(const struct se_tokenizer *t, const char *text, size_t len_b)
{
    for (unsigned flags = 0; flags < 8; flags++) {
        struct se_ids ids = SE_IDS_NULL;
        if (se_tokenizer_encode(t, text, len_b, flags, &ids) == 0)
            decode(t, &ids, flags & 1);
        else if (ids.n != 0)
            abort();
        se_ids_fini(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char some[] =
        "Hello  w\u00f6rld's\n\n 123 <s>\u0301 \U0001f600\xe2\x82 \u2581x\t<|e|>";
    struct se_tokenizer *t = NULL;
    const uint8_t *nul = memchr(data, 0, size);
    size_t json_b = nul ? (size_t)(nul - data) : size;
    char *text = se_mem_new(size + 1, 1); /* exactly as long, for the sanitizer to see */
    if (!text)
        return 0;
    if (se_tokenizer_parse(&t, "fuzz", data, json_b) == 0) {
        size_t len_b = nul ? size - json_b - 1 : 0;
        if (len_b > 0)
            memcpy(text, nul + 1, len_b);
        encode(t, text, len_b);
        encode(t, some, sizeof some - 1);
        (void)se_tokenizer_fingerprint(t);
        se_tokenizer_close(t);
    } else if (t || strchr(se_err_text(), '\n')) {
        abort();
    }
    se_mem_free(text);
    return 0;
}
