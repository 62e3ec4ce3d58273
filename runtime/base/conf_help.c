/* SPDX-License-Identifier: Apache-2.0 */
/* The rows as --help shows them. */
#include "runtime/base/conf.h"

#include <string.h>

#include "runtime/base/conf_value.h"

enum { HELP_COLUMN = 8, HELP_WIDTH = 80 };

/* Words of text, filled into lines. */
static void print_filled(const char *text, FILE *to)
{
    int column = HELP_COLUMN;
    fprintf(to, "%*s", HELP_COLUMN, "");
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
            fprintf(to, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        column += fprintf(to, "%s%.*s", column > HELP_COLUMN ? " " : "", len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

static void print_row(const struct se_conf_row *row, FILE *to)
{
    char range[SE_CONF_LIMITS_B];
    if (row->letter)
        fprintf(to, "  -%c, --%s", row->letter, row->name);
    else
        fprintf(to, "      --%s", row->name);
    if (row->type != SE_CONF_FLAG)
        fprintf(to, " %s", row->argument ? row->argument : "VALUE");
    se_conf_limits(row, range);
    if (row->initial && range[0])
        fprintf(to, "  (default %s; %s)", row->initial, range);
    else if (row->initial)
        fprintf(to, "  (default %s)", row->initial);
    else if (range[0])
        fprintf(to, "  (%s)", range);
    fputc('\n', to);
    print_filled(row->help ? row->help : "", to);
}

void se_conf_help(const struct se_conf_row *rows, size_t n, FILE *to)
{
    for (size_t i = 0; i < n; i++)
        if (!(rows[i].flags & SE_CONF_HIDDEN))
            print_row(&rows[i], to);
    fprintf(to, "  -h, --help\n");
    print_filled("Print this and leave.", to);
}
