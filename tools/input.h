/* SPDX-License-Identifier: Apache-2.0 */
/* tools/input.h - standard input, read to its end. */
#ifndef SE_TOOLS_INPUT_H
#define SE_TOOLS_INPUT_H

#include <stddef.h>

struct se_input {
    char *text;
    size_t len, cap;
};
#define SE_INPUT_NULL ((struct se_input){ 0 })

int se_input_read(struct se_input *input);
void se_input_fini(struct se_input *input);

#endif
