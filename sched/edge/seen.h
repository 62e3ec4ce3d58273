/* SPDX-License-Identifier: Apache-2.0 */
/* sched/edge/seen.h - what a drafter has seen, as ids: a text, and the open rows behind it.
 *
 *   text 0 ........... len-1 │ rows 0 ............ n-1
 *                            │ row i hangs on an earlier row, or (-1) on the text
 *
 * The books of a drafter: the text that its answers are to be about, whatever else it remembers.
 * One thread at a time. */
#ifndef SE_SCHED_EDGE_SEEN_H
#define SE_SCHED_EDGE_SEEN_H

#include <stddef.h>
#include <stdint.h>

struct se_seen_row {
    uint32_t token;
    int32_t parent;
    uint32_t depth; /* 0: it follows the text */
};

struct se_seen {
    uint32_t *text;
    uint32_t len;
    struct se_seen_row *row;
    uint32_t n;
    int32_t *number; /* of a commit: 1 + the old row to the new one */
    size_t text_cap, row_cap, number_cap;
};
#define SE_SEEN_NULL ((struct se_seen){ 0 })

void se_seen_fini(struct se_seen *seen);

/* Every id is below vocab: 0, or -EINVAL and the text names the first that is not. */
int se_seen_check(const uint32_t *id, uint32_t n, uint32_t vocab);

/* Appends text. 0; -EINVAL (a row is open), -ENOMEM. */
int se_seen_feed(struct se_seen *seen, const uint32_t *id, uint32_t n);

/* Opens rows; parent[i] is a row (of those opened before, these included) or -1. 0; -EINVAL with
 * nothing changed, -ENOMEM. */
int se_seen_open(struct se_seen *seen, const uint32_t *token, const int32_t *parent, uint32_t n);
/* Closes the rows from number n on. */
void se_seen_drop(struct se_seen *seen, uint32_t n);

/* Rows path[], a way down from the text, become text; of the others keep[] (ascending, below the
 * end of the path, each with its parent) stay and are numbered from 0 on. In two strides, so that
 * whoever remembers more can do his part between them: a commit that was prepared cannot fail.
 * 0; -EINVAL, -ENOMEM with nothing changed. */
int se_seen_prepare(struct se_seen *seen, const uint32_t *path, uint32_t n, const uint32_t *keep,
                    uint32_t n_keep);
void se_seen_commit(struct se_seen *seen, const uint32_t *path, uint32_t n, const uint32_t *keep,
                    uint32_t n_keep);

/* Closes all rows and forgets the text from position len on. */
void se_seen_rewind(struct se_seen *seen, uint32_t len);

#endif
