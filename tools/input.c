/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { CHUNK_B = 64 * 1024 };

int se_input_read(struct se_input *input)
{
    for (;;) {
        int r = se_mem_grow(&input->text, &input->cap, input->len + CHUNK_B, 1);
        if (r < 0)
            return r;
        ssize_t got = read(STDIN_FILENO, input->text + input->len, CHUNK_B);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return se_fail(-errno, "standard input: %s", strerror(errno));
        if (got > 0)
            input->len += (size_t)got;
    }
}

void se_input_fini(struct se_input *input)
{
    se_mem_free(input->text);
    *input = SE_INPUT_NULL;
}
