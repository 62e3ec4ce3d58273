/* SPDX-License-Identifier: Apache-2.0 */
/* tools/dump.h - a frame of the wire, read from text or file and shown to people. */
#ifndef SE_TOOLS_DUMP_H
#define SE_TOOLS_DUMP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct se_dump {
    uint8_t *data;
    size_t len_b;
};
#define SE_DUMP_NULL ((struct se_dump){ 0 })

/* source: hexadecimal digits, with blanks between them or not; or a file that holds such digits
 * or the frame itself. 0, or -errno with the text saying what is wrong. */
int se_dump_read(struct se_dump *bytes, const char *source);
void se_dump_fini(struct se_dump *bytes);

/* Every field on a line of its own. -EPROTO with the reason when the frame is refused. */
int se_dump_show(const struct se_dump *bytes, FILE *to);

#endif
