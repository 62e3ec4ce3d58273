/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/edge/seen.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { GONE = -2 };

void se_seen_fini(struct se_seen *seen)
{
    se_mem_free(seen->text);
    se_mem_free(seen->row);
    se_mem_free(seen->number);
    *seen = SE_SEEN_NULL;
}

int se_seen_check(const uint32_t *id, uint32_t n, uint32_t vocab)
{
    for (uint32_t i = 0; i < n; i++)
        if (id[i] >= vocab)
            return se_fail(-EINVAL, "token %u is beyond the draft's vocabulary of %u", id[i],
                           vocab);
    return 0;
}

/* Room for n more ids of text. */
static int reserve_text(struct se_seen *seen, uint32_t n)
{
    if (n > INT32_MAX - seen->len)
        return se_fail(-ENOMEM, "a text of %llu ids is too long",
                       (unsigned long long)seen->len + n);
    return se_trace(
        se_mem_grow(&seen->text, &seen->text_cap, (size_t)seen->len + n, sizeof *seen->text));
}

int se_seen_feed(struct se_seen *seen, const uint32_t *id, uint32_t n)
{
    if (seen->n > 0)
        return se_fail(-EINVAL, "text cannot follow a tree of %u rows that is open", seen->n);
    int r = reserve_text(seen, n);
    if (r < 0)
        return se_trace(r);
    if (n > 0)
        memcpy(seen->text + seen->len, id, n * sizeof *id);
    seen->len += n;
    return 0;
}

int se_seen_open(struct se_seen *seen, const uint32_t *token, const int32_t *parent, uint32_t n)
{
    if (n > INT32_MAX - seen->n)
        return se_fail(-ENOMEM, "%u rows more than %u are too many", n, seen->n);
    for (uint32_t i = 0; i < n; i++)
        if (parent[i] < -1 || (parent[i] >= 0 && (uint32_t)parent[i] >= seen->n + i))
            return se_fail(-EINVAL, "row %u: parent %d is no earlier row", seen->n + i, parent[i]);
    int r = se_mem_grow(&seen->row, &seen->row_cap, (size_t)seen->n + n, sizeof *seen->row);
    if (r < 0)
        return se_trace(r);
    for (uint32_t i = 0; i < n; i++)
        seen->row[seen->n++] = (struct se_seen_row){
            .token = token[i],
            .parent = parent[i],
            .depth = parent[i] < 0 ? 0 : seen->row[parent[i]].depth + 1,
        };
    return 0;
}

void se_seen_drop(struct se_seen *seen, uint32_t n)
{
    if (n < seen->n)
        seen->n = n;
}

static int check_path(const struct se_seen *seen, const uint32_t *path, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int32_t above = i > 0 ? (int32_t)path[i - 1] : -1;
        if (path[i] >= seen->n || seen->row[path[i]].parent != above)
            return se_fail(-EINVAL, "row %u does not follow row %d", path[i], above);
    }
    return 0;
}

/* The new number of every row that stays, and of the path's end, which is the text now. */
static int number_rows(struct se_seen *seen, int32_t end, const uint32_t *keep, uint32_t n_keep)
{
    int r =
        se_mem_grow(&seen->number, &seen->number_cap, (size_t)seen->n + 1, sizeof *seen->number);
    if (r < 0)
        return se_trace(r);
    int32_t *number = seen->number + 1; /* number[-1]: what hangs on the text */
    for (int32_t i = -1; i < (int32_t)seen->n; i++)
        number[i] = i == end ? -1 : GONE;
    for (uint32_t i = 0; i < n_keep; i++) {
        if (keep[i] >= seen->n || (i > 0 && keep[i] <= keep[i - 1]))
            return se_fail(-EINVAL, "row %u cannot stay: numbers ascend and are below %u", keep[i],
                           seen->n);
        if ((int32_t)keep[i] == end || number[seen->row[keep[i]].parent] == GONE)
            return se_fail(-EINVAL, "row %u cannot stay: row %d does not", keep[i],
                           seen->row[keep[i]].parent);
        number[keep[i]] = (int32_t)i;
    }
    return 0;
}

int se_seen_prepare(struct se_seen *seen, const uint32_t *path, uint32_t n, const uint32_t *keep,
                    uint32_t n_keep)
{
    int r = check_path(seen, path, n);
    if (r == 0)
        r = reserve_text(seen, n);
    if (r == 0)
        r = number_rows(seen, n > 0 ? (int32_t)path[n - 1] : -1, keep, n_keep);
    return se_trace(r);
}

void se_seen_commit(struct se_seen *seen, const uint32_t *path, uint32_t n, const uint32_t *keep,
                    uint32_t n_keep)
{
    for (uint32_t i = 0; i < n; i++)
        seen->text[seen->len++] = seen->row[path[i]].token;
    for (uint32_t i = 0; i < n_keep; i++) {
        struct se_seen_row row = seen->row[keep[i]];
        row.parent = seen->number[row.parent + 1];
        row.depth -= n;
        seen->row[i] = row;
    }
    seen->n = n_keep;
}

void se_seen_rewind(struct se_seen *seen, uint32_t len)
{
    seen->n = 0;
    if (len < seen->len)
        seen->len = len;
}
