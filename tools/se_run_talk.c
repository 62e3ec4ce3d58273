/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_talk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

static const char system_role[] = "system"; /* known by its address */

static bool has_system(const struct se_run_talk *talk)
{
    return talk->n > 0 && talk->turn[0].role == system_role;
}

/* Makes room at a place and puts a turn there. */
static int put(struct se_run_talk *talk, size_t at, const char *role, const char *text, size_t len)
{
    int r = se_mem_grow(&talk->turn, &talk->cap, talk->n + 1, sizeof talk->turn[0]);
    if (r < 0)
        return r;
    char *copy = malloc(len + 1);
    if (!copy)
        return se_fail(-ENOMEM, "out of memory");
    memcpy(copy, text, len);
    copy[len] = '\0';
    memmove(talk->turn + at + 1, talk->turn + at, (talk->n - at) * sizeof talk->turn[0]);
    talk->turn[at] = (struct se_chat_turn){ .role = role, .text = copy };
    talk->n++;
    return 0;
}

static void cut(struct se_run_talk *talk, size_t at)
{
    free((void *)(uintptr_t)talk->turn[at].text);
    talk->n--;
    memmove(talk->turn + at, talk->turn + at + 1, (talk->n - at) * sizeof talk->turn[0]);
}

int se_run_talk_user(struct se_run_talk *talk, const char *text)
{
    return put(talk, talk->n, "user", text, strlen(text));
}

int se_run_talk_assistant(struct se_run_talk *talk, const char *text, size_t len)
{
    return put(talk, talk->n, "assistant", text, len);
}

int se_run_talk_system(struct se_run_talk *talk, const char *text)
{
    if (has_system(talk))
        cut(talk, 0);
    return text && text[0] ? put(talk, 0, system_role, text, strlen(text)) : 0;
}

void se_run_talk_unsay(struct se_run_talk *talk)
{
    if (talk->n > 0)
        cut(talk, talk->n - 1);
}

void se_run_talk_reset(struct se_run_talk *talk)
{
    while (talk->n > (has_system(talk) ? 1 : 0))
        cut(talk, talk->n - 1);
}

void se_run_talk_fini(struct se_run_talk *talk)
{
    while (talk->n > 0)
        cut(talk, talk->n - 1);
    se_mem_free(talk->turn);
    *talk = SE_RUN_TALK_NULL;
}
