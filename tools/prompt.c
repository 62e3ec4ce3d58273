/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/prompt.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/text/chat.h"
#include "tools/ids.h"
#include "tools/outcome.h"

static bool is_chat(const struct se_prompt_options *o)
{
    return o->chat || o->family != SE_CHAT_AUTO;
}

int se_prompt_init(struct se_prompt *prompt, const struct se_prompt_options *options)
{
    *prompt = SE_PROMPT_NULL;
    if (!options->text == !options->ids)
        return se_usage(options->text ? "a prompt or ids: not both"
                                      : "from what? Say -p TEXT or --ids \"1 2 3\"");
    if (options->ids && is_chat(options))
        return se_usage("a chat begins with a text (-p), not with ids");
    if (options->system && !is_chat(options))
        return se_usage("--system is for a chat (--chat)");
    int r = options->ids ? se_ids_parse(&prompt->ids, options->ids, strlen(options->ids)) : 0;
    return r == -EINVAL ? SE_OUTCOME_USAGE : r;
}

void se_prompt_fini(struct se_prompt *prompt)
{
    se_ids_fini(&prompt->ids);
    *prompt = SE_PROMPT_NULL;
}

static int encode_chat(struct se_prompt *prompt, const struct se_prompt_options *o,
                       const struct se_tokenizer *tokenizer, const char *dir)
{
    enum se_chat_family family;
    int r = se_chat_open(&family, dir, tokenizer, (enum se_chat_family)o->family);
    if (r < 0)
        return se_trace(r);
    const struct se_chat_turn turn[] = { { "system", o->system }, { "user", o->text } };
    bool system = o->system != NULL;
    r = se_chat_encode(family, tokenizer, system ? turn : turn + 1, system ? 2 : 1, &prompt->ids);
    if (r < 0)
        return se_trace(r);
    /* The token that ends the assistant's turn, should generation_config.json not name it. */
    if (se_tokenizer_find(tokenizer, se_chat_end(family), &prompt->stop[prompt->n_stops]) == 0)
        prompt->n_stops++;
    return 0;
}

int se_prompt_encode(struct se_prompt *prompt, const struct se_prompt_options *options,
                     const struct se_tokenizer *tokenizer, const char *dir,
                     const struct se_config *config)
{
    int r = 0;
    prompt->n_stops = 0;
    for (uint32_t i = 0; i < config->n_eos; i++)
        prompt->stop[prompt->n_stops++] = config->eos[i];
    if (options->text && is_chat(options))
        r = encode_chat(prompt, options, tokenizer, dir);
    else if (options->text)
        r = se_tokenizer_encode(tokenizer, options->text, strlen(options->text), SE_ENCODE_SPECIAL,
                                &prompt->ids);
    if (r < 0)
        return se_trace(r);
    return se_prompt_check(&prompt->ids, config, dir);
}

int se_prompt_check(const struct se_ids *ids, const struct se_config *config, const char *dir)
{
    if (ids->n == 0)
        return se_fail(-EINVAL, "the prompt is empty: there is nothing to go on from");
    if (ids->n > config->context)
        return se_fail(-ERANGE,
                       "the prompt of %zu tokens is longer than the context of %s: %" PRIu32
                       " tokens",
                       ids->n, dir, config->context);
    return se_ids_check(ids, config->vocab, dir);
}

bool se_prompt_stops(const struct se_prompt *prompt, uint32_t token)
{
    for (uint32_t i = 0; i < prompt->n_stops; i++)
        if (prompt->stop[i] == token)
            return true;
    return false;
}
