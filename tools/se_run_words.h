/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_words.h - se-run's way between text and ids, as one model's folder says it.
 *
 * The target's tokenizer, or one with the same fingerprint. Read-only once it is open. */
#ifndef SE_TOOLS_SE_RUN_WORDS_H
#define SE_TOOLS_SE_RUN_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/text/chat.h"
#include "runtime/text/tokenizer.h"
#include "tools/stops.h"

struct se_run_words {
    const char *dir;
    struct se_tokenizer *tokenizer;
    enum se_chat_family family; /* AUTO: texts are not laid out as a chat */
    struct se_stops stops;
};
#define SE_RUN_WORDS_NULL ((struct se_run_words){ 0 })

/* chat: lays out texts as wanted says. 0 or -errno. */
int se_run_words_open(struct se_run_words *words, const char *dir, bool chat,
                      enum se_chat_family wanted);
void se_run_words_close(struct se_run_words *words);

/* Appends the ids of a conversation that ends where the assistant begins. Where texts are no
 * chat, there is one turn and its text is the text. */
int se_run_words_encode(const struct se_run_words *words, const struct se_chat_turn *turn, size_t n,
                        struct se_ids *ids);
/* The same for a prompt by itself. system: NULL, or what the system says first. */
int se_run_words_prompt(const struct se_run_words *words, const char *system, const char *text,
                        struct se_ids *ids);

#endif
