/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/conf_value.h - the value of one row: from text, beside another, its limits.
 *
 * What the command line and the file have in common. */
#ifndef SE_RUNTIME_BASE_CONF_VALUE_H
#define SE_RUNTIME_BASE_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/conf.h"

/* Reads text into the row's place in values. A SE_CONF_TEXT keeps the pointer. text NULL: a
 * flag without a value. 0, or -EINVAL, the sentence beginning with where ("--threads",
 * "server.yaml:12: threads"), and values stay as they were. */
int se_conf_value_set(const struct se_conf_row *row, void *values, const char *text,
                      const char *where);

/* Zeroes the row's place. */
void se_conf_value_zero(const struct se_conf_row *row, void *values);

/* Copies the row's value from one struct to another. */
void se_conf_value_copy(const struct se_conf_row *row, void *to, const void *from);

/* Whether the row's values in two structs say the same. */
bool se_conf_value_same(const struct se_conf_row *row, const void *a, const void *b);

/* Bytes that a struct must have to hold every row's value. */
size_t se_conf_value_span(const struct se_conf_row *rows, size_t n);

enum { SE_CONF_LIMITS_B = 96 };
/* "1 to 64", "at least 15ms", or "" when anything goes. */
const char *se_conf_limits(const struct se_conf_row *row, char text[SE_CONF_LIMITS_B]);

/* The row of this name, or NULL. */
const struct se_conf_row *se_conf_row_named(const struct se_conf_row *rows, size_t n,
                                            const char *name, size_t len);

/* The row whose name is the likeliest meant by name[0..len-1], or NULL. */
const struct se_conf_row *se_conf_row_near(const struct se_conf_row *rows, size_t n,
                                           const char *name, size_t len);

/* Whether two names are one: the same length and letters, '-' and '_' being the same. */
bool se_conf_same_name(const char *a, size_t a_len, const char *b, size_t b_len);

/* Whether a file may hold the row. */
bool se_conf_in_file(const struct se_conf_row *row);

#endif
