/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/conf_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/err.h"
#include "runtime/base/near.h"
#include "runtime/base/quote.h"

enum { LIMIT_B = 32 };

/* What a whole number may be followed by, largest first; the last one has the factor 1. */
struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit bytes_units[] = {
    { "TiB", 1ull << 40 },
    { "T", 1ull << 40 },
    { "GiB", 1ull << 30 },
    { "G", 1ull << 30 },
    { "MiB", 1ull << 20 },
    { "M", 1ull << 20 },
    { "KiB", 1ull << 10 },
    { "K", 1ull << 10 },
    { "B", 1 },
    { "", 1 },
    { NULL, 0 },
};

static const struct unit time_units[] = {
    { "h", 3600000000000ull },
    { "m", 60000000000ull },
    { "s", 1000000000ull },
    { "ms", 1000000ull },
    { "us", 1000ull },
    { "ns", 1ull },
    { NULL, 0 },
};

/* ---- limits, as a person would write them ---- */

/* A whole number in the largest unit that divides it; of two equal units the shorter name. */
static const char *in_units(uint64_t number, const struct unit *units, char text[LIMIT_B])
{
    const struct unit *best = NULL;
    for (const struct unit *u = units; u->name; u++)
        if (number % u->factor == 0 && (!best || best->factor == u->factor))
            best = u;
    if (number == 0 || !best)
        snprintf(text, LIMIT_B, "%llu", (unsigned long long)number);
    else
        snprintf(text, LIMIT_B, "%llu%s", (unsigned long long)(number / best->factor), best->name);
    return text;
}

/* Whole numbers whole, others short. */
static const char *limit_text(const struct se_conf_row *row, double limit, char text[LIMIT_B])
{
    bool whole = limit >= 0 && limit < 0x1p64;
    if (row->type == SE_CONF_BYTES && whole)
        return in_units((uint64_t)limit, bytes_units, text);
    if (row->type == SE_CONF_TIME && whole)
        return in_units((uint64_t)limit, time_units, text);
    if (limit == floor(limit) && fabs(limit) < 1e15)
        snprintf(text, LIMIT_B, "%.0f", limit);
    else
        snprintf(text, LIMIT_B, "%g", limit);
    return text;
}

static bool has_limits(const struct se_conf_row *row)
{
    return row->type == SE_CONF_UINT || row->type == SE_CONF_REAL || row->type == SE_CONF_UINTS ||
           row->type == SE_CONF_BYTES || row->type == SE_CONF_TIME;
}

/* Any number will do: such limits are not worth a word. */
static bool unlimited(const struct se_conf_row *row)
{
    return row->type == SE_CONF_REAL ? row->min <= -HUGE_VAL && row->max >= HUGE_VAL
                                     : row->min <= 0 && row->max >= 0x1p64;
}

const char *se_conf_limits(const struct se_conf_row *row, char text[SE_CONF_LIMITS_B])
{
    char low[LIMIT_B], high[LIMIT_B];
    bool open = row->type == SE_CONF_REAL ? row->max >= HUGE_VAL : row->max >= 0x1p64;
    text[0] = '\0';
    if (!has_limits(row) || unlimited(row))
        return text;
    if (open)
        snprintf(text, SE_CONF_LIMITS_B, "at least %s", limit_text(row, row->min, low));
    else
        snprintf(text, SE_CONF_LIMITS_B, "%s to %s", limit_text(row, row->min, low),
                 limit_text(row, row->max, high));
    return text;
}

/* ---- refusals ---- */

static int refuse(const struct se_conf_row *row, const char *where, const char *value,
                  const char *wanted)
{
    char range[SE_CONF_LIMITS_B], quoted[SE_QUOTE_B];
    se_conf_limits(row, range);
    return se_fail(-EINVAL, "%s: '%s' is not %s%s%s", where, se_quote(value, strlen(value), quoted),
                   wanted, range[0] ? ", " : "", range);
}

/* below: no such number can be, it is less than nothing. */
static int refuse_range(const struct se_conf_row *row, const char *where, const char *value,
                        bool below)
{
    char range[SE_CONF_LIMITS_B], quoted[SE_QUOTE_B];
    se_conf_limits(row, range);
    return se_fail(-EINVAL, "%s: '%s' is out of range, %s", where,
                   se_quote(value, strlen(value), quoted),
                   range[0] ? range
                   : below  ? "at least 0"
                            : "too large");
}

/* ---- values ---- */

/* text[0..len-1] is digits only and fits: 0, -EINVAL, or -ERANGE. */
static int parse_uint(const char *text, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    bool fits = true;
    if (len == 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            fits = false;
    }
    if (!fits)
        return -ERANGE;
    *out = value;
    return 0;
}

/* A whole number, but for its sign: what is wrong with it is its size. */
static bool is_negative(const char *text, size_t len)
{
    uint64_t number;
    return len > 1 && text[0] == '-' && parse_uint(text + 1, len - 1, &number) != -EINVAL;
}

/* Compared as what they are: a double holds only 53 of a limit's bits, but then the limit
 * was written as a double. */
static bool within(const struct se_conf_row *row, uint64_t value)
{
    if (row->min > 0 && (row->min >= 0x1p64 || value < (uint64_t)row->min))
        return false;
    return row->max >= 0x1p64 || (row->max >= 0 && value <= (uint64_t)row->max);
}

static int set_uint(const struct se_conf_row *row, void *to, const char *value, const char *where)
{
    uint64_t number = 0;
    int r = parse_uint(value, strlen(value), &number);
    bool below = is_negative(value, strlen(value));
    if (r == -EINVAL && !below)
        return refuse(row, where, value, "a whole number");
    if (r < 0 || !within(row, number))
        return refuse_range(row, where, value, below);
    memcpy(to, &number, sizeof number);
    return 0;
}

static int set_real(const struct se_conf_row *row, void *to, const char *value, const char *where)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end || isspace((unsigned char)*value) || isnan(number))
        return refuse(row, where, value, "a number");
    if (number < row->min || number > row->max || isinf(number))
        return refuse_range(row, where, value, number < 0);
    memcpy(to, &number, sizeof number);
    return 0;
}

static int set_choice(const struct se_conf_row *row, void *to, const char *value, const char *where)
{
    char quoted[SE_QUOTE_B];
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
    return se_fail(-EINVAL, "%s: '%s' is not one of %s", where, se_quote(value, len, quoted),
                   row->argument);
}

static int set_uints(const struct se_conf_row *row, void *to, const char *value, const char *where)
{
    struct se_conf_uints list = { 0 };
    char quoted[SE_QUOTE_B];
    for (const char *item = value; item;) {
        size_t len = strcspn(item, ",");
        uint64_t number = 0;
        int r = parse_uint(item, len, &number);
        bool below = is_negative(item, len);
        if (r == -EINVAL && !below)
            return refuse(row, where, value, "a list of whole numbers, as in 1,8,33");
        if (r < 0 || !within(row, number))
            return refuse_range(row, where, value, below);
        if (list.n == SE_CONF_UINTS_MAX)
            return se_fail(-EINVAL, "%s: '%s' has more than %d numbers", where,
                           se_quote(value, strlen(value), quoted), SE_CONF_UINTS_MAX);
        list.value[list.n++] = number;
        item = item[len] ? item + len + 1 : NULL;
    }
    memcpy(to, &list, sizeof list);
    return 0;
}

static int set_flag(const struct se_conf_row *row, void *to, const char *value, const char *where)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
    bool on = true;
    size_t i = 0;
    if (value) {
        while (i < sizeof words / sizeof *words && strcasecmp(value, words[i]))
            i++;
        if (i == sizeof words / sizeof *words)
            return refuse(row, where, value, "true or false");
        on = i % 2;
    }
    memcpy(to, &on, sizeof on);
    return 0;
}

/* A whole number of one of the units. */
static int set_measure(const struct se_conf_row *row, void *to, const char *value,
                       const char *where)
{
    bool is_time = row->type == SE_CONF_TIME;
    const struct unit *units = is_time ? time_units : bytes_units;
    const char *wanted = is_time ? "a time, as in 250us, 15ms or 2s" : "a size, as in 512M or 4G";
    size_t digits = strspn(value, "0123456789");
    uint64_t number = 0;
    int r = parse_uint(value, digits, &number);
    if (r == -EINVAL && is_negative(value, strlen(value)))
        return refuse_range(row, where, value, true);
    if (r == -EINVAL)
        return refuse(row, where, value, wanted);
    if (is_time && !value[digits] && (r < 0 || number > 0)) {
        char quoted[SE_QUOTE_B];
        return se_fail(-EINVAL, "%s: '%s' has no unit: ns, us, ms, s, m or h, as in %.20sms", where,
                       se_quote(value, strlen(value), quoted), value);
    }
    if (is_time && !value[digits])
        units += sizeof time_units / sizeof *time_units - 2; /* 0 is 0 in any unit */
    else
        while (units->name && strcasecmp(value + digits, units->name))
            units++;
    if (!units->name)
        return refuse(row, where, value, wanted);
    if (r < 0 || __builtin_mul_overflow(number, units->factor, &number) || !within(row, number))
        return refuse_range(row, where, value, false);
    memcpy(to, &number, sizeof number);
    return 0;
}

int se_conf_value_set(const struct se_conf_row *row, void *values, const char *text,
                      const char *where)
{
    void *to = (unsigned char *)values + row->offset;
    switch (row->type) {
    case SE_CONF_FLAG:
        return set_flag(row, to, text, where);
    case SE_CONF_UINT:
        return set_uint(row, to, text, where);
    case SE_CONF_REAL:
        return set_real(row, to, text, where);
    case SE_CONF_TEXT:
        memcpy(to, &text, sizeof text);
        return 0;
    case SE_CONF_CHOICE:
        return set_choice(row, to, text, where);
    case SE_CONF_UINTS:
        return set_uints(row, to, text, where);
    case SE_CONF_BYTES:
    case SE_CONF_TIME:
        return set_measure(row, to, text, where);
    }
    return se_fail(-EINVAL, "%s: a setting of no known type", where);
}

static size_t size_of(enum se_conf_type type)
{
    static const size_t size_b[] = {
        [SE_CONF_FLAG] = sizeof(bool),      [SE_CONF_UINT] = sizeof(uint64_t),
        [SE_CONF_REAL] = sizeof(double),    [SE_CONF_TEXT] = sizeof(const char *),
        [SE_CONF_CHOICE] = sizeof(int),     [SE_CONF_UINTS] = sizeof(struct se_conf_uints),
        [SE_CONF_BYTES] = sizeof(uint64_t), [SE_CONF_TIME] = sizeof(uint64_t),
    };
    return size_b[type];
}

void se_conf_value_zero(const struct se_conf_row *row, void *values)
{
    memset((unsigned char *)values + row->offset, 0, size_of(row->type));
}

void se_conf_value_copy(const struct se_conf_row *row, void *to, const void *from)
{
    memcpy((unsigned char *)to + row->offset, (const unsigned char *)from + row->offset,
           size_of(row->type));
}

bool se_conf_value_same(const struct se_conf_row *row, const void *a, const void *b)
{
    const unsigned char *at_a = (const unsigned char *)a + row->offset;
    const unsigned char *at_b = (const unsigned char *)b + row->offset;
    struct se_conf_uints list_a, list_b;
    const char *text_a, *text_b;
    switch (row->type) {
    case SE_CONF_TEXT:
        memcpy(&text_a, at_a, sizeof text_a);
        memcpy(&text_b, at_b, sizeof text_b);
        return text_a && text_b ? !strcmp(text_a, text_b) : text_a == text_b;
    case SE_CONF_UINTS: /* what lies behind the list's end says nothing */
        memcpy(&list_a, at_a, sizeof list_a);
        memcpy(&list_b, at_b, sizeof list_b);
        return list_a.n == list_b.n &&
               !memcmp(list_a.value, list_b.value, list_a.n * sizeof *list_a.value);
    default:
        return !memcmp(at_a, at_b, size_of(row->type));
    }
}

size_t se_conf_value_span(const struct se_conf_row *rows, size_t n)
{
    size_t span_b = 0;
    for (size_t i = 0; i < n; i++) {
        size_t end_b = rows[i].offset + size_of(rows[i].type);
        span_b = end_b > span_b ? end_b : span_b;
    }
    return span_b;
}

/* ---- rows by name ---- */

bool se_conf_same_name(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++)
        if ((a[i] == '_' ? '-' : a[i]) != (b[i] == '_' ? '-' : b[i]))
            return false;
    return true;
}

const struct se_conf_row *se_conf_row_named(const struct se_conf_row *rows, size_t n,
                                            const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (se_conf_same_name(rows[i].name, strlen(rows[i].name), name, len))
            return &rows[i];
    return NULL;
}

const struct se_conf_row *se_conf_row_near(const struct se_conf_row *rows, size_t n,
                                           const char *name, size_t len)
{
    const struct se_conf_row *nearest = NULL;
    unsigned least = SE_NEAR_FAR;
    for (size_t i = 0; i < n; i++) {
        unsigned distance = se_near(name, len, rows[i].name);
        if (distance < least && !(rows[i].flags & SE_CONF_HIDDEN)) {
            least = distance;
            nearest = &rows[i];
        }
    }
    return nearest;
}

bool se_conf_in_file(const struct se_conf_row *row)
{
    return !(row->flags & (SE_CONF_ARGS_ONLY | SE_CONF_HIDDEN)) &&
           strcmp(row->name, SE_CONF_FILE_ROW) != 0;
}
