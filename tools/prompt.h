/* SPDX-License-Identifier: Apache-2.0 */
/* tools/prompt.h - what a model goes on from: a text, what a user says in a chat, or ids.
 *
 * In two strides: what the options alone say, then what it means to a model. */
#ifndef SE_TOOLS_PROMPT_H
#define SE_TOOLS_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/conf.h"
#include "runtime/model/config.h"
#include "runtime/text/tokenizer.h"

struct se_prompt_options {
    const char *text;   /* NULL: ids */
    const char *ids;    /* "1 2 3", or NULL: text */
    const char *system; /* of a chat, or NULL */
    int family;         /* enum se_chat_family; any but AUTO makes it a chat */
    bool chat;
};

/* Rows for options of this type, whose member is a struct se_prompt_options. */
#define SE_PROMPT_TEXT_ROW(type, member) \
    { \
        "prompt", 'p', SE_CONF_TEXT, offsetof(type, member.text), NULL, 0, 0, "TEXT", \
            "what to go on from" \
    }
#define SE_PROMPT_IDS_ROW(type, member) \
    { \
        "ids", 0, SE_CONF_TEXT, offsetof(type, member.ids), NULL, 0, 0, "IDS", \
            "the same as token ids, \"1 2 3\"; nothing is added to them" \
    }
#define SE_PROMPT_CHAT_ROW(type, member) \
    { \
        "chat", 'c', SE_CONF_FLAG, offsetof(type, member.chat), NULL, 0, 0, NULL, \
            "the prompt is what a user says; the model answers" \
    }
#define SE_PROMPT_SYSTEM_ROW(type, member) \
    { \
        "system", 0, SE_CONF_TEXT, offsetof(type, member.system), NULL, 0, 0, "TEXT", \
            "what the chat's system turn says" \
    }
#define SE_PROMPT_TEMPLATE_ROW(type, member) \
    { \
        "template", 0, SE_CONF_CHOICE, offsetof(type, member.family), "auto", 0, 0, \
            "auto|chatml|llama3|plain", "how the chat is laid out; any but auto means --chat too" \
    }

#define SE_PROMPT_CHAT_ROWS(type, member) \
    SE_PROMPT_CHAT_ROW(type, member), SE_PROMPT_SYSTEM_ROW(type, member), \
        SE_PROMPT_TEMPLATE_ROW(type, member)

enum { SE_PROMPT_STOPS_MAX = SE_CONFIG_EOS_MAX + 1 };

struct se_prompt {
    struct se_ids ids;
    uint32_t stop[SE_PROMPT_STOPS_MAX]; /* tokens that end what the model writes */
    uint32_t n_stops;
};
#define SE_PROMPT_NULL ((struct se_prompt){ 0 })

/* Whether the options make sense together, and the ids if it is they. prompt is empty before. 0,
 * SE_OUTCOME_USAGE, or -errno. */
int se_prompt_init(struct se_prompt *prompt, const struct se_prompt_options *options);
void se_prompt_fini(struct se_prompt *prompt);

/* Encodes a text or chat with the tokenizer of the folder dir, which ids do not need (NULL), and
 * finds what ends the answer. That the prompt can be sent at all is checked: before the weights
 * are touched, which may take long. 0, or -errno with the text naming dir. */
int se_prompt_encode(struct se_prompt *prompt, const struct se_prompt_options *options,
                     const struct se_tokenizer *tokenizer, const char *dir,
                     const struct se_config *config);

/* Not empty, in the vocabulary, within the context. 0 or -errno. */
int se_prompt_check(const struct se_ids *ids, const struct se_config *config, const char *dir);

/* Does this token end the text? */
bool se_prompt_stops(const struct se_prompt *prompt, uint32_t token);

#endif
