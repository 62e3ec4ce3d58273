/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/read.h - values out of a JSON object, or an error that names file and key.
 *
 * name is the file's. A null is as good as no value. 0 or -EINVAL. Any thread. */
#ifndef SE_RUNTIME_TEXT_READ_H
#define SE_RUNTIME_TEXT_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole document, which must be an object; the caller's, json_decref(). */
int se_read_document(json_t **out, const char *name, const void *bytes, size_t len_b);

/* NULL when there is none. */
const json_t *se_read_get(const json_t *object, const char *key);
int se_read_text(const char *name, const json_t *object, const char *key, const char **text,
                 size_t *len_b);
/* The value when there is none: otherwise. */
int se_read_flag(const char *name, const json_t *object, const char *key, bool otherwise,
                 bool *value);
/* 0 <= *value <= max. */
int se_read_number(const char *name, const json_t *object, const char *key, uint32_t max,
                   uint32_t *value);
/* An array. */
int se_read_list(const char *name, const json_t *object, const char *key, const json_t **list);
/* A text of one character. */
int se_read_character(const char *name, const json_t *object, const char *key, char value[5]);

#endif
