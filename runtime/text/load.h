/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/load.h - a tokenizer.json's parts, each by a table of the kinds supported.
 *
 * A kind that is in no table is -ENOTSUP, by name. Each function fills its part of a zeroed
 * tokenizer; what is half filled se_tokenizer_close() frees. */
#ifndef SE_RUNTIME_TEXT_LOAD_H
#define SE_RUNTIME_TEXT_LOAD_H

#include <jansson.h>

#include "runtime/text/parts.h"

struct se_load {
    const char *name; /* of the file, for errors */
    struct se_tokenizer *to;
    const char *part; /* "normalizer" and so on, while it is read */
    unsigned depth;   /* Sequences within each other */
};

/* A row of a table: what to do with an object {"type": type, ...}. */
typedef int se_load_fn(struct se_load *load, const json_t *object);
struct se_load_row {
    const char *type;
    se_load_fn *fn;
};
enum { SE_LOAD_DEPTH_MAX = 8 };

/* Looks the object's type up in the table and runs its row. */
int se_load_typed(struct se_load *load, const json_t *object, const struct se_load_row *rows,
                  size_t n);
/* The same with each object of the list under key. */
int se_load_each(struct se_load *load, const json_t *object, const char *key,
                 const struct se_load_row *rows, size_t n);

/* The parts, in this order. */
int se_load_normalizer(struct se_load *load, const json_t *root);
int se_load_pre_tokenizer(struct se_load *load, const json_t *root);
int se_load_decoder(struct se_load *load, const json_t *root);
int se_load_model(struct se_load *load, const json_t *root);
int se_load_added_tokens(struct se_load *load, const json_t *root);
int se_load_post_processor(struct se_load *load, const json_t *root);

/* A {"String": text} pattern; a {"Regex": text} one is -ENOTSUP. */
int se_load_string(struct se_load *load, const json_t *object, const char **text, size_t *len_b);

#endif
