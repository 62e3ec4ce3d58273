/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_words.h"

#include <string.h>

#include "runtime/base/err.h"

/* The token that ends the assistant's turn, should the folder's files not name it. */
static int open_chat(struct se_run_words *words, enum se_chat_family wanted)
{
    uint32_t end;
    int r = se_chat_open(&words->family, words->dir, words->tokenizer, wanted);
    if (r == 0 && se_tokenizer_find(words->tokenizer, se_chat_end(words->family), &end) == 0)
        r = se_stops_add(&words->stops, end);
    return r;
}

int se_run_words_open(struct se_run_words *words, const char *dir, bool chat,
                      enum se_chat_family wanted)
{
    *words = (struct se_run_words){ .dir = dir };
    int r = se_tokenizer_open(&words->tokenizer, dir);
    if (r == 0)
        r = se_stops_read(&words->stops, dir, words->tokenizer);
    if (r == 0 && chat)
        r = open_chat(words, wanted);
    if (r < 0)
        se_run_words_close(words);
    return r < 0 ? se_trace(r) : 0;
}

void se_run_words_close(struct se_run_words *words)
{
    se_tokenizer_close(words->tokenizer);
    *words = SE_RUN_WORDS_NULL;
}

int se_run_words_encode(const struct se_run_words *words, const struct se_chat_turn *turn, size_t n,
                        struct se_ids *ids)
{
    int r = words->family == SE_CHAT_AUTO
                ? se_tokenizer_encode(words->tokenizer, turn[0].text, strlen(turn[0].text),
                                      SE_ENCODE_SPECIAL, ids)
                : se_chat_encode(words->family, words->tokenizer, turn, n, ids);
    return r < 0 ? se_trace(r) : 0;
}

int se_run_words_prompt(const struct se_run_words *words, const char *system, const char *text,
                        struct se_ids *ids)
{
    const struct se_chat_turn turn[] = { { "system", system }, { "user", text } };
    size_t first = system ? 0 : 1;
    return se_run_words_encode(words, turn + first, 2 - first, ids);
}
