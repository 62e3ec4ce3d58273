/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/buf.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

int se_buf_reserve(struct se_buf *buf, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(buf->n, more, &need))
        return se_fail(-ENOMEM, "out of memory: a text of more bytes than can be counted");
    return se_mem_grow(&buf->data, &buf->cap, need, 1);
}

int se_buf_add(struct se_buf *buf, const void *bytes, size_t n)
{
    int r = se_buf_reserve(buf, n);
    if (r < 0)
        return r;
    if (n > 0)
        memcpy(buf->data + buf->n, bytes, n);
    buf->n += n;
    return 0;
}

void se_buf_fini(struct se_buf *buf)
{
    se_mem_free(buf->data);
    *buf = SE_BUF_NULL;
}
