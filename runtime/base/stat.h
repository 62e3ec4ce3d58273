/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/stat.h - counters in shared memory that another process may watch.
 *
 *   page: | header | label table | counters, one cache line each |
 *
 * The writer makes the page in /dev/shm (or anonymously, for tests) from a table of
 * labels; numbers are the table's indices and never change meaning within a version. A
 * counter has one writing thread, or uses se_stat_add_shared(). A reader maps the page
 * read-only, checks it whole, and never blocks the writer. */
#ifndef SE_RUNTIME_BASE_STAT_H
#define SE_RUNTIME_BASE_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SE_STAT_MAX = 1024, SE_STAT_LABEL_B = 56 };

enum se_stat_kind { SE_STAT_COUNTER, SE_STAT_GAUGE };

struct se_stat_label {
    const char *name; /* at most SE_STAT_LABEL_B - 1 bytes */
    enum se_stat_kind kind;
};

struct se_stat;

/* Makes the page "/dev/shm/NAME" (replacing a stale one, whose process is gone; -EEXIST
 * when that process still lives). name NULL: anonymous. 0 or -errno. */
int se_stat_create(struct se_stat **out, const char *name, const struct se_stat_label *label,
                   uint32_t n);
/* Maps an existing page for reading. -EPROTO when it is not one of ours or is damaged. */
int se_stat_open(struct se_stat **out, const char *name);
/* A page as it is now, for somebody who cannot map it: its size, and its bytes. */
size_t se_stat_image_size(const struct se_stat *stat);
void se_stat_image(const struct se_stat *stat, void *image);
/* A copy of such bytes, for reading; it has no writer that could live. -EPROTO as with open; from: who
 * sent them, for the words. */
int se_stat_open_image(struct se_stat **out, const void *image, size_t size_b, const char *from);
/* Unmaps; the creator also removes the name. NULL is fine. */
void se_stat_free(struct se_stat *stat);

/* One writing thread for this counter. */
void se_stat_add(struct se_stat *stat, uint32_t number, uint64_t amount);
void se_stat_set(struct se_stat *stat, uint32_t number, uint64_t value);
/* Several writing threads. */
void se_stat_add_shared(struct se_stat *stat, uint32_t number, uint64_t amount);

uint64_t se_stat_get(const struct se_stat *stat, uint32_t number);
uint32_t se_stat_count(const struct se_stat *stat);
const char *se_stat_name(const struct se_stat *stat, uint32_t number);
enum se_stat_kind se_stat_kind(const struct se_stat *stat, uint32_t number);
/* Process id of the writer, and the monotonic time of its start. */
int64_t se_stat_writer(const struct se_stat *stat, uint64_t *started_ns);
/* Whether its writer lives: a page may stay behind one that was killed. For readers. A look at a
 * dead page holds for a moment the lock that a new writer wants: ask no more once it was false. */
bool se_stat_is_live(const struct se_stat *stat);

#endif
