/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/interrupt.h"
#include "tools/line_editor.h"

enum { CHUNK_B = 4096 };

struct se_line {
    struct se_editor *editor; /* NULL: lines as they come */
    bool typed;
    char *text; /* what was read, of which used bytes were handed out */
    size_t used, len, cap;
    bool ended;
};

int se_line_open(struct se_line **out, const char *history)
{
    struct se_line *line = se_mem_zero(1, sizeof *line);
    if (!line)
        return -ENOMEM;
    line->typed = isatty(STDIN_FILENO) == 1;
    int r = line->typed ? se_editor_open(&line->editor, history) : 0;
    if (r < 0) {
        se_line_close(line);
        return se_trace(r);
    }
    *out = line;
    return 0;
}

void se_line_close(struct se_line *line)
{
    if (!line)
        return;
    se_editor_close(line->editor);
    se_mem_free(line->text);
    se_mem_free(line);
}

bool se_line_typed(const struct se_line *line) { return line->typed; }

/* 0, or an outcome; what was typed so far stays in front. */
static int read_more(struct se_line *line)
{
    int r = se_mem_grow(&line->text, &line->cap, line->len + CHUNK_B + 1, 1);
    if (r < 0)
        return r;
    ssize_t got = read(STDIN_FILENO, line->text + line->len, CHUNK_B);
    if (got < 0 && errno == EINTR)
        return se_interrupt_came() ? SE_LINE_BROKEN : 0;
    if (got < 0)
        return se_fail(-errno, "standard input: %s", strerror(errno));
    line->len += (size_t)got;
    line->ended = got == 0;
    return 0;
}

/* Hands out len bytes, and the line's end with them. */
static int hand_out(struct se_line *line, size_t len, const char **text)
{
    char *begin = line->text + line->used;
    line->used += len < line->len - line->used ? len + 1 : len;
    begin[len] = '\0';
    if (len > 0 && begin[len - 1] == '\r')
        begin[--len] = '\0';
    *text = begin;
    if (len > SE_LINE_MAX_B)
        return se_fail(-EFBIG, "a line of more than %d bytes is too long", SE_LINE_MAX_B);
    return strlen(begin) == len ? 0 : se_fail(-EILSEQ, "there is a zero byte in the line");
}

static int read_plain(struct se_line *line, const char **text)
{
    memmove(line->text, line->text + line->used, line->len - line->used);
    line->len -= line->used;
    line->used = 0;
    size_t looked = 0; /* no end of line before */
    for (;;) {
        const char *end = memchr(line->text + looked, '\n', line->len - looked);
        if (end)
            return hand_out(line, (size_t)(end - line->text), text);
        if (line->ended)
            return line->len > 0 ? hand_out(line, line->len, text) : SE_LINE_END;
        looked = line->len;
        /* Of what is too long nothing but the fact is kept. */
        if (looked > SE_LINE_MAX_B)
            looked = line->len = SE_LINE_MAX_B + 1;
        int r = read_more(line);
        if (r == SE_LINE_BROKEN)
            line->len = 0;
        if (r != 0)
            return r;
    }
}

static int read_edited(struct se_line *line, const char *prompt, const char **text)
{
    const char *typed;
    int r = se_editor_read(line->editor, prompt, &typed);
    if (r != 0)
        return r;
    size_t len = strcspn(typed, "\n");
    r = se_mem_grow(&line->text, &line->cap, len + 1, 1);
    if (r < 0)
        return r;
    memcpy(line->text, typed, len);
    line->used = 0;
    line->len = len;
    return hand_out(line, len, text);
}

int se_line_read(struct se_line *line, const char *prompt, const char **text)
{
    if (line->editor)
        return read_edited(line, prompt, text);
    int r = se_mem_grow(&line->text, &line->cap, 1, 1);
    if (r < 0)
        return r;
    if (line->typed) {
        fputs(prompt, stderr);
        fflush(stderr);
    }
    return read_plain(line, text);
}
