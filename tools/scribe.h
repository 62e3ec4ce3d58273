/* SPDX-License-Identifier: Apache-2.0 */
/* tools/scribe.h - a thread that writes into a file what another one puts: a line for each item.
 *
 *   put ─► ring ─► compose ─► FILE
 *
 * Whoever puts never waits: when the file is slower than that for long, items are dropped, counted,
 * and the count is told in the file where they are missing. Lines are there within a tenth of a
 * second, so that the file of a program that is killed can be used up to then. */
#ifndef SE_TOOLS_SCRIBE_H
#define SE_TOOLS_SCRIBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct se_scribe;

enum { SE_SCRIBE_LINE_B = 1024 };

struct se_scribe_options {
    const char *path; /* a file, or a named pipe that somebody reads; outlives the scribe */
    bool append;      /* behind what the file holds; otherwise it is emptied first */
    const char *head; /* the first line, with its end; or NULL */
    size_t item_b;
    uint32_t room; /* items that may wait */
    /* The line of an item, with its end; returns its length. The scribe's thread. */
    int (*compose)(char line[SE_SCRIBE_LINE_B], const void *item);
    /* The line where items are missing: dropped of them so far. last: the file ends, and there were
     * so many lines of items. Returns its length, 0: none. Or NULL. */
    int (*count)(char line[SE_SCRIBE_LINE_B], uint64_t lines, uint64_t dropped, bool last);
};

/* 0 or -errno, the text names the file. */
int se_scribe_open(struct se_scribe **out, const struct se_scribe_options *options);

/* One thread. Copies the item, or drops it. */
void se_scribe_put(struct se_scribe *scribe, const void *item);

/* The putting thread: 0, or -errno with the sentence, once, when the file could not be written; all
 * that is put from then on is dropped. */
int se_scribe_check(struct se_scribe *scribe);

/* Writes what waits, as long as somebody takes it; returns how many are not in the file. NULL is fine. */
uint64_t se_scribe_close(struct se_scribe *scribe);

#endif
