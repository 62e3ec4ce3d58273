/* SPDX-License-Identifier: Apache-2.0 */
/* No libedit in this build. */
#include "tools/line_editor.h"

#include <stddef.h>

int se_editor_open(struct se_editor **out, const char *history)
{
    (void)history;
    *out = NULL;
    return SE_EDITOR_ABSENT;
}

void se_editor_close(struct se_editor *editor) { (void)editor; }

int se_editor_read(struct se_editor *editor, const char *prompt, const char **text)
{
    (void)editor;
    (void)prompt;
    *text = NULL;
    return SE_EDITOR_ABSENT;
}
