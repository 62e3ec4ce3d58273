/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/buf.h - bytes that grow. One thread at a time. */
#ifndef SE_RUNTIME_TEXT_BUF_H
#define SE_RUNTIME_TEXT_BUF_H

#include <stddef.h>

struct se_buf {
    char *data;
    size_t n, cap;
};
#define SE_BUF_NULL ((struct se_buf){ 0 })

/* 0 or -ENOMEM. */
int se_buf_add(struct se_buf *buf, const void *bytes, size_t n);
int se_buf_reserve(struct se_buf *buf, size_t more);
void se_buf_fini(struct se_buf *buf);

#endif
