/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/conf.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"

enum { NAME_B = 64, LIMIT_B = 32, HELP_COLUMN = 8, HELP_WIDTH = 80 };

/* A limit as a person would write it: whole numbers whole, others short. */
static const char *limit_text(double limit, char text[LIMIT_B])
{
    if (limit == floor(limit) && fabs(limit) < 1e15)
        snprintf(text, LIMIT_B, "%.0f", limit);
    else
        snprintf(text, LIMIT_B, "%g", limit);
    return text;
}

/* Any number will do: such limits are not worth a word. */
static bool unlimited(const struct se_conf_row *row)
{
    return row->type == SE_CONF_REAL ? row->min <= -HUGE_VAL && row->max >= HUGE_VAL
                                     : row->min <= 0 && row->max >= 0x1p64;
}

/* "1 to 64", "at least 1", or "" when anything goes. */
static const char *range_text(const struct se_conf_row *row, char text[2 * LIMIT_B + 16])
{
    char low[LIMIT_B], high[LIMIT_B];
    bool open = row->type == SE_CONF_REAL ? row->max >= HUGE_VAL : row->max >= 0x1p64;
    text[0] = '\0';
    if (unlimited(row))
        return text;
    if (open)
        snprintf(text, 2 * LIMIT_B + 16, "at least %s", limit_text(row->min, low));
    else
        snprintf(text, 2 * LIMIT_B + 16, "%s to %s", limit_text(row->min, low),
                 limit_text(row->max, high));
    return text;
}

static int refuse(const struct se_conf_row *row, const char *value, const char *wanted)
{
    return se_fail(-EINVAL, "--%s: '%.200s' is not %s", row->name, value, wanted);
}

static int refuse_range(const struct se_conf_row *row, const char *value)
{
    char range[2 * LIMIT_B + 16];
    range_text(row, range);
    return se_fail(-EINVAL, "--%s: '%.200s' is out of range, %s", row->name, value,
                   range[0] ? range : "too large");
}

/* text[0..len-1] is digits only and fits. */
static int parse_uint(const char *text, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    if (len == 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return -ERANGE;
    }
    *out = value;
    return 0;
}

/* Compared as what they are: a double holds only 53 of a limit's bits, but then the limit
 * was written as a double. */
static bool within(const struct se_conf_row *row, uint64_t value)
{
    if (row->min > 0 && (row->min >= 0x1p64 || value < (uint64_t)row->min))
        return false;
    return row->max >= 0x1p64 || (row->max >= 0 && value <= (uint64_t)row->max);
}

static int set_uint(const struct se_conf_row *row, void *to, const char *value)
{
    uint64_t number = 0;
    int r = parse_uint(value, strlen(value), &number);
    if (r == -EINVAL)
        return refuse(row, value, "a whole number");
    if (r < 0 || !within(row, number))
        return refuse_range(row, value);
    memcpy(to, &number, sizeof number);
    return 0;
}

static int set_real(const struct se_conf_row *row, void *to, const char *value)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end || isspace((unsigned char)*value) || isnan(number))
        return refuse(row, value, "a number");
    if (number < row->min || number > row->max || isinf(number))
        return refuse_range(row, value);
    memcpy(to, &number, sizeof number);
    return 0;
}

static int set_choice(const struct se_conf_row *row, void *to, const char *value)
{
    int index = 0;
    size_t len = strlen(value);
    for (const char *word = row->argument; word; index++) {
        size_t word_len = strcspn(word, "|");
        if (word_len == len && !memcmp(word, value, len)) {
            memcpy(to, &index, sizeof index);
            return 0;
        }
        word = word[word_len] ? word + word_len + 1 : NULL;
    }
    return se_fail(-EINVAL, "--%s: '%.200s' is not one of %s", row->name, value, row->argument);
}

static int set_uints(const struct se_conf_row *row, void *to, const char *value)
{
    struct se_conf_uints list = { 0 };
    for (const char *item = value; item;) {
        size_t len = strcspn(item, ",");
        uint64_t number = 0;
        int r = parse_uint(item, len, &number);
        if (r == -EINVAL)
            return refuse(row, value, "a list of whole numbers, as in 1,8,33");
        if (r < 0 || !within(row, number))
            return refuse_range(row, value);
        if (list.n == SE_CONF_UINTS_MAX)
            return se_fail(-EINVAL, "--%s: '%.200s' has more than %d numbers", row->name, value,
                           SE_CONF_UINTS_MAX);
        list.value[list.n++] = number;
        item = item[len] ? item + len + 1 : NULL;
    }
    memcpy(to, &list, sizeof list);
    return 0;
}

static int set_flag(const struct se_conf_row *row, void *to, const char *value)
{
    bool on = true;
    if (value) {
        on = !strcmp(value, "true");
        if (!on && strcmp(value, "false"))
            return refuse(row, value, "true or false");
    }
    memcpy(to, &on, sizeof on);
    return 0;
}

/* value NULL: only for a flag. */
static int set(const struct se_conf_row *row, void *values, const char *value)
{
    void *to = (unsigned char *)values + row->offset;
    switch (row->type) {
    case SE_CONF_FLAG:
        return set_flag(row, to, value);
    case SE_CONF_UINT:
        return set_uint(row, to, value);
    case SE_CONF_REAL:
        return set_real(row, to, value);
    case SE_CONF_TEXT:
        memcpy(to, &value, sizeof value);
        return 0;
    case SE_CONF_CHOICE:
        return set_choice(row, to, value);
    case SE_CONF_UINTS:
        return set_uints(row, to, value);
    }
    return se_fail(-EINVAL, "--%s: a setting of no known type", row->name);
}

static size_t size_of(enum se_conf_type type)
{
    static const size_t size_b[] = {
        [SE_CONF_FLAG] = sizeof(bool),   [SE_CONF_UINT] = sizeof(uint64_t),
        [SE_CONF_REAL] = sizeof(double), [SE_CONF_TEXT] = sizeof(const char *),
        [SE_CONF_CHOICE] = sizeof(int),  [SE_CONF_UINTS] = sizeof(struct se_conf_uints),
    };
    return size_b[type];
}

int se_conf_defaults(const struct se_conf_row *rows, size_t n, void *values)
{
    for (size_t i = 0; i < n; i++) {
        memset((unsigned char *)values + rows[i].offset, 0, size_of(rows[i].type));
        int r = rows[i].initial ? set(&rows[i], values, rows[i].initial) : 0;
        if (r < 0)
            return se_trace(r);
    }
    return 0;
}

static const struct se_conf_row *by_name(const struct se_conf_row *rows, size_t n, const char *name,
                                         size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
            return &rows[i];
    return NULL;
}

static const struct se_conf_row *by_letter(const struct se_conf_row *rows, size_t n, char letter)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

/* An option as it stands on the command line. */
struct given {
    const struct se_conf_row *row;
    const char *value; /* behind "=" or the letter; NULL: none there */
};

/* A word that names no option: which ones there are is the first thing to know. */
static int refuse_option(const struct se_conf_row *rows, size_t n, const char *word, size_t len)
{
    char known[512];
    size_t at = 0;
    for (size_t i = 0; i < n && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, " --%s", rows[i].name);
    return se_fail(-EINVAL, "'%.*s': no such option; there are%s --help",
                   (int)(len < NAME_B ? len : NAME_B), word, n ? known : "");
}

/* Reads "--name", "--name=value", "-x" or "-xvalue". */
static int find(const struct se_conf_row *rows, size_t n, const char *word, struct given *given)
{
    if (word[1] == '-') {
        const char *name = word + 2;
        size_t len = strcspn(name, "=");
        given->row = by_name(rows, n, name, len);
        given->value = name[len] ? name + len + 1 : NULL;
        if (!given->row && len == 4 && !memcmp(name, "help", len) && !given->value)
            return SE_CONF_HELP;
        if (!given->row)
            return refuse_option(rows, n, word, len + 2);
        return 0;
    }
    given->row = by_letter(rows, n, word[1]);
    given->value = word[2] ? word + 2 : NULL;
    if (!given->row && !strcmp(word, "-h"))
        return SE_CONF_HELP;
    if (!given->row)
        return refuse_option(rows, n, word, strlen(word));
    if (given->row->type == SE_CONF_FLAG && given->value)
        return se_fail(-EINVAL, "'%.200s': --%s takes no value", word, given->row->name);
    return 0;
}

int se_conf_args(const struct se_conf_row *rows, size_t n, void *values, int argc, char **argv,
                 char **rest, int *n_rest)
{
    bool options = true;
    *n_rest = 0;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        struct given given = { 0 };
        if (!options || word[0] != '-' || word[1] == '\0') { /* "-" alone is a file's name */
            rest[(*n_rest)++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            options = false;
            continue;
        }
        int r = find(rows, n, word, &given);
        if (r == SE_CONF_HELP)
            return SE_CONF_HELP;
        if (r < 0)
            return se_trace(r);
        if (!given.value && given.row->type != SE_CONF_FLAG) {
            if (i + 1 >= argc)
                return se_fail(-EINVAL, "--%s: its value is missing", given.row->name);
            given.value = argv[++i];
        }
        r = set(given.row, values, given.value);
        if (r < 0)
            return se_trace(r);
    }
    return 0;
}

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
    char range[2 * LIMIT_B + 16] = "";
    bool number =
        row->type == SE_CONF_UINT || row->type == SE_CONF_REAL || row->type == SE_CONF_UINTS;
    if (row->letter)
        fprintf(to, "  -%c, --%s", row->letter, row->name);
    else
        fprintf(to, "      --%s", row->name);
    if (row->type != SE_CONF_FLAG)
        fprintf(to, " %s", row->argument ? row->argument : "VALUE");
    if (number)
        range_text(row, range);
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
        print_row(&rows[i], to);
    fprintf(to, "  -h, --help\n");
    print_filled("Print this and leave.", to);
}
