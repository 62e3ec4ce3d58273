/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_B = 1024, TRAIL_B = 512 };

static _Thread_local char text[TEXT_B];
static _Thread_local char trail[TRAIL_B];

static void trail_add(const char *file, int line)
{
    size_t used = strlen(trail);
    if (used >= sizeof trail - 1)
        return;
    snprintf(trail + used, sizeof trail - used, "%s%s:%d", used ? " < " : "", file, line);
}

int se_err_set(int code, const char *file, int line, const char *format, ...)
{
    char sentence[TEXT_B]; /* an argument may be se_err_text() itself */
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    memcpy(text, sentence, sizeof text);
    trail[0] = '\0';
    trail_add(file, line);
    return code;
}

int se_err_pass(int code, const char *file, int line)
{
    trail_add(file, line);
    return code;
}

const char *se_err_text(void) { return text; }

const char *se_err_trail(void) { return trail; }

void se_err_clear(void)
{
    text[0] = '\0';
    trail[0] = '\0';
}
