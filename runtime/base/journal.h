/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/journal.h - entries with fields, by the native protocol of systemd's journal.
 *
 * No library: an entry is one datagram of lines KEY=VALUE, or of KEY, a length and the bytes for a
 * value that has newlines. Errors come without a sentence: se_err_text() stays that of whoever is
 * about to log it. Any thread. */
#ifndef SE_RUNTIME_BASE_JOURNAL_H
#define SE_RUNTIME_BASE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define SE_JOURNAL_SOCKET "/run/systemd/journal/socket"

struct se_journal_field {
    const char *name;  /* capitals, digits, _ */
    const char *value; /* NULL: left out */
};

/* Whether what is written to descriptor fd goes to the journal: a program may inherit
 * JOURNAL_STREAM though its standard error went elsewhere since. */
bool se_journal_is(int fd);
/* A descriptor to send to, closed in children that are other programs; or -errno. */
int se_journal_open(const char *path);
/* 0 or -errno. Never waits: -EAGAIN when the journal does not keep up, and then, as with any
 * other error, nothing was sent. */
int se_journal_send(int fd, const struct se_journal_field *field, size_t n);

#endif
