/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/chat.h - a conversation laid out as the model was trained to see it.
 *
 * Families: "chatml" (<|im_start|>), "llama3" (<|start_header_id|>), "plain" (the bundled
 * pair: <|user|>...<|end|><|assistant|>). A folder's family is recognised from
 * the chat_template in tokenizer_config.json (or from chat_template.jinja); one we do not
 * know is -ENOTSUP with a sentence that names --template. Members of a family that lay out
 * something of their own (a system text when none is given, say) have a value of their own;
 * only SE_CHAT_AUTO finds those. */
#ifndef SE_RUNTIME_TEXT_CHAT_H
#define SE_RUNTIME_TEXT_CHAT_H

#include "runtime/text/tokenizer.h"

enum se_chat_family {
    SE_CHAT_AUTO,
    SE_CHAT_CHATML, /* no system text but the one given */
    SE_CHAT_LLAMA3,
    SE_CHAT_PLAIN,
    SE_CHAT_QWEN2,   /* chatml; "You are a helpful assistant." unless a system text is given */
    SE_CHAT_QWEN2_5, /* chatml; the same with "You are Qwen, created by Alibaba Cloud." */
    SE_CHAT_QWEN3,   /* chatml; what the assistant thought in earlier turns is left out */
    SE_CHAT_LLAMA3_1 /* llama3; always a system text, which begins with two dates */
};

struct se_chat_turn {
    const char *role; /* "system", "user", "assistant" */
    const char *text;
};

/* Finds the family of a model folder (AUTO), or checks that the tokenizer in it has the
 * tokens the named family needs. 0, -ENOTSUP or -errno. */
int se_chat_open(enum se_chat_family *family, const char *dir, const struct se_tokenizer *tokenizer,
                 enum se_chat_family wanted);

/* Appends the ids of the conversation, ending where the assistant begins. Text of the turns
 * never turns into special tokens. 0, -EINVAL for a role or an order of turns that the
 * family does not have, or -errno; ids is then as before. */
int se_chat_encode(enum se_chat_family family, const struct se_tokenizer *tokenizer,
                   const struct se_chat_turn *turn, size_t n, struct se_ids *ids);

/* The token with which the family's assistant ends its turn. */
const char *se_chat_end(enum se_chat_family family);

/* "chatml", "llama3", "plain"; a member of a family has a longer name: "chatml-qwen3". */
const char *se_chat_name(enum se_chat_family family);

#endif
