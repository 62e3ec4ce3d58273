/* SPDX-License-Identifier: Apache-2.0 */
/* The rows as a commented configuration file. */
#include "runtime/base/conf.h"

#include <string.h>
#include <strings.h>

#include "runtime/base/conf_value.h"

enum { WIDTH = 80 };

/* Words of text, filled into comment lines. */
static void print_comment(const char *text, FILE *to)
{
    int column = 0;
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (column == 0 || column + 1 + len > WIDTH) {
            fputs(column ? "\n#" : "#", to);
            column = 1;
        }
        column += fprintf(to, " %.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    if (column)
        fputc('\n', to);
}

/* Reads as the text it is without quotes: letters and harmless signs, no word that YAML has
 * another use for. */
static bool is_plain(const char *text)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";
    return text[0] != '\0' && text[0] != '-' && text[strspn(text, safe)] == '\0' &&
           strcasecmp(text, "null") != 0;
}

static void print_quoted(const char *text, FILE *to)
{
    fputc('"', to);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(to, "\\x%02x", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

/* "1,8,33" as [1, 8, 33] */
static void print_list(const char *text, FILE *to)
{
    fputc('[', to);
    for (; *text; text++)
        fprintf(to, *text == ',' ? ", " : "%c", *text);
    fputc(']', to);
}

/* What the row holds when nobody sets it. */
static void print_default(const struct se_conf_row *row, FILE *to)
{
    static const char *const zero[] = {
        [SE_CONF_FLAG] = "false", [SE_CONF_UINT] = "0",  [SE_CONF_REAL] = "0",
        [SE_CONF_UINTS] = "",     [SE_CONF_BYTES] = "0", [SE_CONF_TIME] = "0",
    };
    const char *text = row->initial;
    fprintf(to, "# %s:", row->name);
    if (!text && row->type == SE_CONF_CHOICE) {
        fprintf(to, " %.*s\n", (int)strcspn(row->argument, "|"), row->argument);
        return;
    }
    if (!text && row->type != SE_CONF_TEXT)
        text = zero[row->type];
    if (text) {
        fputc(' ', to);
        if (row->type == SE_CONF_UINTS)
            print_list(text, to);
        else if (is_plain(text) || row->type == SE_CONF_REAL)
            fputs(text, to);
        else
            print_quoted(text, to);
    }
    fputc('\n', to);
}

static void print_row(const struct se_conf_row *row, FILE *to)
{
    char limits[SE_CONF_LIMITS_B], line[512];
    fputc('\n', to);
    print_comment(row->help ? row->help : "", to);
    se_conf_limits(row, limits);
    if (row->type == SE_CONF_FLAG)
        snprintf(line, sizeof line, "true or false");
    else if (row->type == SE_CONF_CHOICE)
        snprintf(line, sizeof line, "one of %s", row->argument);
    else
        snprintf(line, sizeof line, "%s", limits);
    if (row->flags & SE_CONF_LIVE)
        snprintf(line + strlen(line), sizeof line - strlen(line), "%smay change while it runs",
                 line[0] ? "; " : "");
    print_comment(line, to);
    print_default(row, to);
}

void se_conf_yaml(const struct se_conf_row *rows, size_t n, FILE *to, const char *title)
{
    print_comment(title, to);
    print_comment("Every setting stands here at its default, commented out.", to);
    for (size_t i = 0; i < n; i++)
        if (se_conf_in_file(&rows[i]))
            print_row(&rows[i], to);
}
