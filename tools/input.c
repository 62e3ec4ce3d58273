/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { CHUNK_B = 64 * 1024 };

static int read_all(struct se_input *input, int fd, const char *name, size_t max_b)
{
    for (;;) {
        int r = se_mem_grow(&input->text, &input->cap, input->len + CHUNK_B + 1, 1);
        if (r < 0)
            return r;
        ssize_t got = read(fd, input->text + input->len, CHUNK_B);
        input->text[input->len + (got > 0 ? (size_t)got : 0)] = '\0';
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return se_fail(-errno, "%s: %s", name, strerror(errno));
        if (got > 0)
            input->len += (size_t)got;
        if (input->len > max_b)
            return se_fail(-EFBIG, "%s: longer than %zu MiB, which is not read", name, max_b >> 20);
    }
}

int se_input_read(struct se_input *input)
{
    return read_all(input, STDIN_FILENO, "standard input", SIZE_MAX);
}

int se_input_open(struct se_input *input, const char *path)
{
    if (strcmp(path, "-") == 0)
        return se_input_read(input);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return se_fail(-errno, "%s: %s", path, strerror(errno));
    int r = read_all(input, fd, path, SE_INPUT_MAX_B);
    close(fd);
    return r;
}

void se_input_fini(struct se_input *input)
{
    se_mem_free(input->text);
    *input = SE_INPUT_NULL;
}
