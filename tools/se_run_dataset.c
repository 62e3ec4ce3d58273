/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_dataset.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/input.h"

/* The text of "prompt", or the first of "turns". */
static const json_t *find_text(const json_t *object)
{
    const json_t *turns = json_object_get(object, "turns");
    const json_t *text =
        json_is_array(turns) ? json_array_get(turns, 0) : json_object_get(object, "prompt");
    return json_is_string(text) ? text : NULL;
}

static const json_t *find_id(const json_t *object)
{
    const json_t *id = json_object_get(object, "question_id");
    return id ? id : json_object_get(object, "id");
}

static int read_line(struct se_run_prompt *prompt, const char *path, const char *text, size_t len)
{
    json_error_t error;
    prompt->object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!prompt->object)
        return se_fail(-EINVAL, "%s:%zu: no JSON object: %s (column %d)", path, prompt->line,
                       error.text, error.column);
    const json_t *found = find_text(prompt->object);
    if (!found)
        return se_fail(-EINVAL, "%s:%zu: neither a text \"prompt\" nor a list of texts \"turns\"",
                       path, prompt->line);
    const char *category = json_string_value(json_object_get(prompt->object, "category"));
    prompt->text = json_string_value(found);
    prompt->category = category ? category : "";
    prompt->id = find_id(prompt->object);
    return 0;
}

static int add_line(struct se_run_dataset *set, size_t line, const char *text, size_t len)
{
    int r = se_mem_grow(&set->prompt, &set->cap, set->n + 1, sizeof set->prompt[0]);
    if (r < 0)
        return r;
    struct se_run_prompt prompt = { .number = set->n, .line = line };
    r = read_line(&prompt, set->path, text, len);
    if (r < 0)
        json_decref(prompt.object);
    else
        set->prompt[set->n++] = prompt;
    return r;
}

static int add_lines(struct se_run_dataset *set, const struct se_input *input)
{
    int r = 0;
    size_t line = 1;
    for (size_t at = 0; r == 0 && at < input->len; line++) {
        const char *begin = input->text + at;
        const char *end = memchr(begin, '\n', input->len - at);
        size_t len = end ? (size_t)(end - begin) : input->len - at;
        bool empty = strspn(begin, " \t\r") >= len;
        if (!empty)
            r = add_line(set, line, begin, len);
        at += len + 1;
    }
    return r;
}

/* Keeps what is asked for, in place. */
static void choose(struct se_run_dataset *set, uint64_t offset, uint64_t stride, uint64_t max)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->n; i++) {
        bool wanted = i >= offset && (i - offset) % stride == 0 && (max == 0 || kept < max);
        if (wanted)
            set->prompt[kept++] = set->prompt[i];
        else
            json_decref(set->prompt[i].object);
    }
    set->n = kept;
}

int se_run_dataset_open(struct se_run_dataset *set, const char *path, uint64_t offset,
                        uint64_t stride, uint64_t max)
{
    struct se_input input = SE_INPUT_NULL;
    *set = (struct se_run_dataset){ .path = path };
    int r = se_input_open(&input, path);
    if (r == 0)
        r = add_lines(set, &input);
    size_t all = set->n;
    if (r == 0)
        choose(set, offset, stride, max);
    if (r == 0 && set->n == 0)
        r = all == 0 ? se_fail(-ENODATA, "%s: there is no prompt in it", path)
                     : se_fail(-ENODATA, "%s: no prompt from number %" PRIu64 " on, of %zu", path,
                               offset, all);
    se_input_fini(&input);
    if (r < 0)
        se_run_dataset_close(set);
    return r;
}

void se_run_dataset_close(struct se_run_dataset *set)
{
    for (size_t i = 0; i < set->n; i++)
        json_decref(set->prompt[i].object);
    se_mem_free(set->prompt);
    *set = SE_RUN_DATASET_NULL;
}
