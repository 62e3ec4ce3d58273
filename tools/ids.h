/* SPDX-License-Identifier: Apache-2.0 */
/* tools/ids.h - lists of token ids as text: "1 2 3". */
#ifndef SE_TOOLS_IDS_H
#define SE_TOOLS_IDS_H

#include <stdio.h>

#include "runtime/text/tokenizer.h"

/* Appends the numbers of a text of len bytes, parted by blanks or commas. -EINVAL quotes what
 * is no id. */
int se_ids_parse(struct se_ids *ids, const char *text, size_t len);

/* All in [0, vocab), or -ERANGE naming the first that is not. */
int se_ids_check(const struct se_ids *ids, uint32_t vocab, const char *dir);

/* On one line. */
void se_ids_print(const uint32_t *id, size_t n, FILE *to);

#endif
