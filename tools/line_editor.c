/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/line_editor.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/interrupt.h"
#include "tools/line.h"

struct se_editor {
    EditLine *el;
    History *history;
    char *file; /* of the history, or NULL */
    char prompt[64];
};

static char *show_prompt(EditLine *el)
{
    struct se_editor *editor = NULL;
    el_get(el, EL_CLIENTDATA, &editor);
    return editor->prompt;
}

static int start(struct se_editor *editor)
{
    HistEvent event;
    setlocale(LC_CTYPE, ""); /* it counts columns, and must know how wide a character is */
    editor->history = history_init();
    editor->el = el_init(program_invocation_short_name, stdin,
                         isatty(STDOUT_FILENO) == 1 ? stdout : stderr, stderr);
    if (!editor->history || !editor->el)
        return SE_EDITOR_ABSENT;
    el_set(editor->el, EL_CLIENTDATA, editor);
    el_set(editor->el, EL_PROMPT, show_prompt);
    el_set(editor->el, EL_EDITOR, "emacs");
    /* While it reads, signals first set the terminal right, then reach their handlers. */
    el_set(editor->el, EL_SIGNAL, 1);
    el_set(editor->el, EL_HIST, history, editor->history);
    history(editor->history, &event, H_SETSIZE, SE_LINE_HISTORY);
    history(editor->history, &event, H_SETUNIQUE, 1);
    el_source(editor->el, NULL); /* the user's ~/.editrc */
    if (editor->file) /* one that is not there yet is no fault, and neither is one we cannot read */
        history(editor->history, &event, H_LOAD, editor->file);
    return 0;
}

int se_editor_open(struct se_editor **out, const char *history)
{
    struct se_editor *editor = se_mem_zero(1, sizeof *editor);
    if (!editor)
        return -ENOMEM;
    int r = 0;
    if (history && !(editor->file = strdup(history)))
        r = se_fail(-ENOMEM, "out of memory");
    if (r == 0)
        r = start(editor);
    if (r == 0) {
        *out = editor;
        editor = NULL;
    }
    se_editor_close(editor);
    return r;
}

void se_editor_close(struct se_editor *editor)
{
    if (!editor)
        return;
    if (editor->el)
        el_end(editor->el);
    if (editor->history)
        history_end(editor->history);
    free(editor->file);
    se_mem_free(editor);
}

/* Saved at once: a program that is killed has remembered what was typed. */
static void remember(struct se_editor *editor, const char *text)
{
    HistEvent event;
    if (text[strspn(text, " \t\r\n")] == '\0')
        return;
    history(editor->history, &event, H_ENTER, text);
    if (editor->file)
        history(editor->history, &event, H_SAVE, editor->file);
}

int se_editor_read(struct se_editor *editor, const char *prompt, const char **text)
{
    int n = 0;
    snprintf(editor->prompt, sizeof editor->prompt, "%s", prompt);
    *text = el_gets(editor->el, &n);
    if (*text) {
        remember(editor, *text);
        return 0;
    }
    if (!se_interrupt_came())
        return SE_LINE_END;
    el_reset(editor->el);
    return SE_LINE_BROKEN;
}
