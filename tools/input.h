/* SPDX-License-Identifier: Apache-2.0 */
/* tools/input.h - a text from standard input or from any kind of file, read to its end. */
#ifndef SE_TOOLS_INPUT_H
#define SE_TOOLS_INPUT_H

#include <stddef.h>

struct se_input {
    char *text; /* len bytes and a zero, which is not one of them */
    size_t len, cap;
};
#define SE_INPUT_NULL ((struct se_input){ 0 })

enum { SE_INPUT_MAX_B = 64 << 20 }; /* of a file by name; one without end must end somewhere */

/* Standard input. */
int se_input_read(struct se_input *input);
/* A file, a pipe too; "-" is standard input. 0, or -errno with the text naming path. */
int se_input_open(struct se_input *input, const char *path);
void se_input_fini(struct se_input *input);

#endif
