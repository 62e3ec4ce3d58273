/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/chat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/text/buf.h"
#include "runtime/text/ids.h"
#include "runtime/text/read.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))

/* --- the families -------------------------------------------------------------------------- */

enum { WORDS_MAX = 6, TOKENS_MAX = 4 };

/* A family's own tokens, in the order its layout names them. */
static const char *const chatml_tokens[] = { "<|im_start|>", "<|im_end|>", NULL };
static const char *const llama3_tokens[] = { "<|begin_of_text|>", "<|start_header_id|>",
                                             "<|end_header_id|>", "<|eot_id|>", NULL };
static const char *const plain_tokens[] = { "<|bos|>", "<|user|>", "<|assistant|>", "<|end|>",
                                            NULL };
enum { IM_START, IM_END };
enum { BEGIN_OF_TEXT, START_HEADER, END_HEADER, EOT };
enum { BOS, USER, ASSISTANT, END };

struct family {
    enum se_chat_family family;
    const char *name;
    const char *const *tokens;
    const char *with[WORDS_MAX];    /* its chat_template has all of these */
    const char *without[WORDS_MAX]; /* and none of these */
    const char *system;             /* text when the conversation brings none */
};

/* The first that fits is the one, so the particular stand before the general. What a row
 * excludes are known variations that would lay out something else. */
static const struct family families[] = {
    { SE_CHAT_QWEN3,
      "chatml-qwen3",
      chatml_tokens,
      { "<|im_start|>", "<|im_end|>", "</think>", "enable_thinking" },
      { "assistant\n<think>\n'", "bos_token", "<|im_start|>system\nY", "| trim", "|trim" },
      NULL },
    { SE_CHAT_QWEN2_5,
      "chatml-qwen2.5",
      chatml_tokens,
      { "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
        "assistant.<|im_end|>\n" },
      { "think>", "bos_token", "| trim", "|trim" },
      "You are Qwen, created by Alibaba Cloud. You are a helpful assistant." },
    { SE_CHAT_QWEN2,
      "chatml-qwen2",
      chatml_tokens,
      { "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" },
      { "think>", "bos_token", "| trim", "|trim" },
      "You are a helpful assistant." },
    { SE_CHAT_CHATML,
      "chatml",
      chatml_tokens,
      { "<|im_start|>", "<|im_end|>", "<|im_start|>assistant\n" },
      { "think>", "bos_token", "| trim", "|trim", "system_message", "system_prompt" },
      NULL },
    { SE_CHAT_LLAMA3_1,
      "llama3-3.1",
      llama3_tokens,
      { "<|start_header_id|>", "<|eot_id|>", "Cutting Knowledge Date: December 2023\n",
        "Today Date: ", "26 Jul 2024" },
      { "think>" },
      NULL },
    { SE_CHAT_LLAMA3,
      "llama3",
      llama3_tokens,
      { "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", "bos_token", "trim" },
      { "think>", "Knowledge Date", "system_message", "<|start_header_id|>system" },
      NULL },
    { SE_CHAT_PLAIN,
      "plain",
      plain_tokens,
      { "<|user|>", "<|assistant|>", "<|end|>", "bos_token" },
      { "\n", "<|system|>" },
      NULL },
};

static const struct family *family_of(enum se_chat_family family)
{
    for (size_t i = 0; i < N_OF(families); i++)
        if (families[i].family == family)
            return &families[i];
    return NULL;
}

const char *se_chat_name(enum se_chat_family family)
{
    const struct family *found = family_of(family);
    return found ? found->name : "auto";
}

const char *se_chat_end(enum se_chat_family family)
{
    const struct family *found = family_of(family);
    return !found                           ? ""
           : found->tokens == chatml_tokens ? chatml_tokens[IM_END]
           : found->tokens == llama3_tokens ? llama3_tokens[EOT]
                                            : plain_tokens[END];
}

/* --- recognising --------------------------------------------------------------------------- */

static const char way_out[] = "name one with --template chatml|llama3|plain";

/* A literal system text that the row does not know would be left out. */
static bool other_system(const struct family *family, const char *template)
{
    static const char begins[] = "<|im_start|>system\n";
    for (const char *at = template; (at = strstr(at, begins)); at += sizeof begins - 1) {
        const char *text = at + sizeof begins - 1;
        if (*text == '\'' || *text == '"' || *text == '{')
            continue;
        if (!family->system || strncmp(text, family->system, strlen(family->system)) != 0)
            return true;
    }
    return false;
}

static bool fits(const struct family *family, const char *template)
{
    for (size_t i = 0; i < WORDS_MAX; i++) {
        if (family->with[i] && !strstr(template, family->with[i]))
            return false;
        if (family->without[i] && strstr(template, family->without[i]))
            return false;
    }
    return !other_system(family, template);
}

/* Templates write a line's end as itself or as \n: made the same here, for the search. */
static int flatten(struct se_buf *to, const char *template, size_t len_b)
{
    int r = 0;
    to->n = 0;
    for (size_t at = 0; r == 0 && at < len_b; at++) {
        bool escape = template[at] == '\\' && at + 1 < len_b && template[at + 1] == 'n';
        r = se_buf_add(to, escape ? "\n" : template + at, 1);
        at += escape;
    }
    return r == 0 ? se_buf_add(to, "", 1) : r;
}

static int recognise(enum se_chat_family *family, const char *path, const char *template,
                     size_t len_b)
{
    struct se_buf flat = SE_BUF_NULL;
    int r = flatten(&flat, template, len_b);
    if (r == 0) {
        r = -ENOTSUP;
        for (size_t i = 0; r < 0 && i < N_OF(families); i++) {
            if (!fits(&families[i], flat.data))
                continue;
            *family = families[i].family;
            r = 0;
        }
        if (r < 0)
            se_fail(r, "%s: its chat_template is none that is known; %s", path, way_out);
    }
    se_buf_fini(&flat);
    return r;
}

/* The template in a tokenizer_config.json: a text, or a list with one named "default". */
static const json_t *template_of(const json_t *root)
{
    const json_t *found = se_read_get(root, "chat_template");
    if (!json_is_array(found))
        return json_is_string(found) ? found : NULL;
    for (size_t i = 0; i < json_array_size(found); i++) {
        const json_t *one = json_array_get(found, i);
        const char *name = json_string_value(se_read_get(one, "name"));
        const json_t *text = se_read_get(one, "template");
        if (name && strcmp(name, "default") == 0 && json_is_string(text))
            return text;
    }
    return NULL;
}

static int recognise_config(enum se_chat_family *family, const char *path,
                            const struct se_file *file)
{
    json_t *root = NULL;
    int r = se_read_document(&root, path, file->data, file->len_b);
    if (r < 0)
        return r;
    const json_t *template = template_of(root);
    if (template)
        r = recognise(family, path, json_string_value(template), json_string_length(template));
    else
        r = se_fail(-ENOTSUP, "%s: it has no chat_template; %s", path, way_out);
    json_decref(root);
    return r;
}

static int recognise_folder(enum se_chat_family *family, const char *dir)
{
    struct se_file file = SE_FILE_NULL;
    char *path = NULL;
    int r;
    if (asprintf(&path, "%s/chat_template.jinja", dir) < 0)
        return se_fail(-ENOMEM, "out of memory");
    r = se_file_open(&file, path);
    if (r == 0) {
        r = recognise(family, path, (const char *)file.data, file.len_b);
        goto out;
    }
    if (r != -ENOENT)
        goto out;
    free(path);
    if (asprintf(&path, "%s/tokenizer_config.json", dir) < 0) {
        path = NULL;
        r = se_fail(-ENOMEM, "out of memory");
        goto out;
    }
    r = se_file_open(&file, path);
    if (r == 0)
        r = recognise_config(family, path, &file);
    else if (r == -ENOENT)
        r = se_fail(-ENOTSUP, "%s: there is no such file to say how to chat; %s", path, way_out);
out:
    se_file_close(&file);
    free(path);
    return r;
}

/* The ids of a family's tokens, which are not part of any text. */
static int find_tokens(const struct family *family, const struct se_tokenizer *tokenizer,
                       uint32_t id[TOKENS_MAX])
{
    for (size_t i = 0; family->tokens[i]; i++)
        if (se_tokenizer_find(tokenizer, family->tokens[i], &id[i]) < 0)
            return se_fail(-ENOTSUP,
                           "template %s needs the token %s, which the tokenizer does "
                           "not have",
                           family->name, family->tokens[i]);
    return 0;
}

int se_chat_open(enum se_chat_family *family, const char *dir, const struct se_tokenizer *tokenizer,
                 enum se_chat_family wanted)
{
    uint32_t id[TOKENS_MAX];
    enum se_chat_family found = wanted;
    int r = wanted == SE_CHAT_AUTO ? recognise_folder(&found, dir) : 0;
    const struct family *row = r == 0 ? family_of(found) : NULL;
    if (r == 0 && !row)
        r = se_fail(-EINVAL, "there is no template number %d", (int)wanted);
    if (r == 0)
        r = find_tokens(row, tokenizer, id);
    if (r == 0)
        *family = found;
    return r;
}

/* --- laying out ---------------------------------------------------------------------------- */

struct chat {
    const struct family *family;
    const struct se_tokenizer *tokenizer;
    struct se_ids *ids;
    uint32_t id[TOKENS_MAX];
    struct se_buf text; /* since the last token of the family */
    int r;              /* the first failure; nothing is put after it */
};

static void put_bytes(struct chat *chat, const char *text, size_t len_b)
{
    if (chat->r == 0)
        chat->r = se_utf8_repair(text, len_b, &chat->text);
}

static void put_text(struct chat *chat, const char *text) { put_bytes(chat, text, strlen(text)); }

/* What Python's strip() takes off: white space and the four separators. */
static bool blank(uint32_t character)
{
    return se_unicode_space(character) || (character >= 0x1c && character <= 0x1f);
}

static void put_trimmed(struct chat *chat, const char *text)
{
    struct se_buf whole = SE_BUF_NULL;
    if (chat->r == 0)
        chat->r = se_utf8_repair(text, strlen(text), &whole);
    size_t begin = 0, end = whole.n;
    while (begin < end && blank(se_utf8_get(whole.data + begin)))
        begin += se_utf8_len((unsigned char)whole.data[begin]);
    while (end > begin) {
        size_t last = end - 1;
        while (((unsigned char)whole.data[last] & 0xc0) == 0x80)
            last--;
        if (!blank(se_utf8_get(whole.data + last)))
            break;
        end = last;
    }
    if (begin < end)
        put_bytes(chat, whole.data + begin, end - begin);
    se_buf_fini(&whole);
}

/* The text so far becomes ids; it is between tokens, so it is never the beginning. */
static void flush(struct chat *chat)
{
    if (chat->r == 0 && chat->text.n > 0)
        chat->r = se_tokenizer_encode(chat->tokenizer, chat->text.data, chat->text.n,
                                      SE_ENCODE_PLAIN | SE_ENCODE_INSIDE, chat->ids);
    chat->text.n = 0;
}

static void put_token(struct chat *chat, unsigned number)
{
    flush(chat);
    if (chat->r == 0)
        chat->r = se_ids_add(chat->ids, &chat->id[number], 1);
}

static bool is(const struct se_chat_turn *turn, const char *role)
{
    return strcmp(turn->role, role) == 0;
}

/* What Qwen3 repeats of an earlier answer: what follows the thinking. */
static const char *after_thinking(const char *text)
{
    static const char mark[] = "</think>";
    const char *found;
    if (!strstr(text, mark))
        return text;
    while ((found = strstr(text, mark)))
        text = found + sizeof mark - 1;
    return text + strspn(text, "\n");
}

static void put_chatml_turn(struct chat *chat, const char *role, const char *text)
{
    put_token(chat, IM_START);
    put_text(chat, role);
    put_text(chat, "\n");
    put_text(chat, text);
    put_token(chat, IM_END);
    put_text(chat, "\n");
}

static void put_chatml(struct chat *chat, const struct se_chat_turn *turn, size_t n)
{
    bool thinks = chat->family->family == SE_CHAT_QWEN3;
    if (chat->family->system && (n == 0 || !is(&turn[0], "system")))
        put_chatml_turn(chat, "system", chat->family->system);
    for (size_t i = 0; i < n; i++) {
        bool answer = is(&turn[i], "assistant");
        put_chatml_turn(chat, turn[i].role,
                        thinks && answer ? after_thinking(turn[i].text) : turn[i].text);
    }
    put_token(chat, IM_START);
    put_text(chat, "assistant\n");
}

static void put_llama3_header(struct chat *chat, const char *role)
{
    put_token(chat, START_HEADER);
    put_text(chat, role);
    put_token(chat, END_HEADER);
    put_text(chat, "\n\n");
}

static void put_llama3(struct chat *chat, const struct se_chat_turn *turn, size_t n)
{
    size_t i = 0;
    put_token(chat, BEGIN_OF_TEXT);
    if (chat->family->family == SE_CHAT_LLAMA3_1) {
        put_llama3_header(chat, "system");
        put_text(chat, "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n");
        if (n > 0 && is(&turn[0], "system"))
            put_trimmed(chat, turn[i++].text);
        put_token(chat, EOT);
    }
    for (; i < n; i++) {
        put_llama3_header(chat, turn[i].role);
        put_trimmed(chat, turn[i].text);
        put_token(chat, EOT);
    }
    put_llama3_header(chat, "assistant");
}

static void put_plain(struct chat *chat, const struct se_chat_turn *turn, size_t n)
{
    put_token(chat, BOS);
    for (size_t i = 0; i < n; i++) {
        put_token(chat, is(&turn[i], "assistant") ? ASSISTANT : USER);
        put_text(chat, turn[i].text);
        put_token(chat, END);
    }
    put_token(chat, ASSISTANT);
}

static int check_turns(const struct family *family, const struct se_chat_turn *turn, size_t n)
{
    bool answered = false, asked = false;
    for (size_t i = 0; i < n; i++) {
        if (!is(&turn[i], "system") && !is(&turn[i], "user") && !is(&turn[i], "assistant"))
            return se_fail(
                -EINVAL, "a turn's role is system, user or assistant, not %s",
                se_utf8_quote((char[SE_UTF8_QUOTE_B]){ 0 }, turn[i].role, strlen(turn[i].role)));
        asked = asked || is(&turn[i], "user");
        answered = !is(&turn[i], "user") && (answered || is(&turn[i], "assistant"));
    }
    /* Qwen3 lays out an answer to the last question with its thinking, empty or not. */
    if (family->family == SE_CHAT_QWEN3 && asked && answered)
        return se_fail(-EINVAL, "template %s: the last question must not have an answer yet",
                       family->name);
    return 0;
}

int se_chat_encode(enum se_chat_family family, const struct se_tokenizer *tokenizer,
                   const struct se_chat_turn *turn, size_t n, struct se_ids *ids)
{
    struct chat chat = { .family = family_of(family), .tokenizer = tokenizer, .ids = ids };
    size_t before = ids->n;
    if (!chat.family)
        return se_fail(-EINVAL, "no template was chosen");
    chat.r = check_turns(chat.family, turn, n);
    if (chat.r == 0)
        chat.r = find_tokens(chat.family, tokenizer, chat.id);
    if (chat.r < 0)
        return chat.r;
    if (chat.family->tokens == chatml_tokens)
        put_chatml(&chat, turn, n);
    else if (chat.family->tokens == llama3_tokens)
        put_llama3(&chat, turn, n);
    else
        put_plain(&chat, turn, n);
    flush(&chat);
    if (chat.r < 0)
        ids->n = before;
    se_buf_fini(&chat.text);
    return chat.r;
}
