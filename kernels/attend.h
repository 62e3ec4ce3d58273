/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/attend.h - attention of the rows of one sequence over its pages, one kv head.
 *
 * Keys and values lie in pages of 16 slots. In a page, for one layer and one kv head:
 *     keys   [dim][16]   one value of all 16 slots side by side
 *     values [16][dim]
 * both of float32 or f16 (SE_DTYPE_F32, SE_DTYPE_F16). Slot s of the sequence is slot s % 16
 * of its page number s / 16.
 *
 * A row sees the positions 0 .. n_seen-1. Position p < plain lies in slot p. The later ones,
 * ancestors that still lie in the tree, are in slots tail[0 .. n_seen-plain-1], in the order
 * of their positions. The result is
 *     out = sum over p of softmax(scale * q . k)[p] * v[p]
 * with every sum running over positions in ascending order (in lanes by p % 16 where the
 * implementation does so), so that the bits do not depend on where a position is stored, on
 * the other rows of the call, or on how many heads are computed together.
 *
 * Memory of slots beyond n_seen, and of slots of other branches, may hold anything, NaN
 * too, and must not leak into a result. Thread safe. */
#ifndef SE_KERNELS_ATTEND_H
#define SE_KERNELS_ATTEND_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/matmul.h"

enum { SE_PAGE_SLOTS = 16 };

struct se_attend_row {
    const float *q;       /* n_q heads of dim floats each, q heads that share this kv head */
    float *out;           /* the same shape; may not overlap q */
    const uint32_t *tail; /* slots of positions plain .. n_seen-1, or NULL */
    uint32_t plain;
    uint32_t n_seen; /* >= 1 */
};

struct se_attend_job {
    const void *const *key;   /* per page of the sequence: keys of this layer and head */
    const void *const *value; /* per page: values */
    const struct se_attend_row *row;
    uint32_t n_rows;
    uint32_t n_q; /* q heads per kv head: any ratio >= 1 */
    uint32_t dim; /* of a head: any multiple of 2 up to 512 */
    float scale;
};

/* Floats of scratch that a job needs whose largest n_seen is max_seen, and whose sequence
 * holds max_slots slots. */
size_t se_attend_scratch(const struct se_attend_job *job, uint32_t max_seen, uint32_t max_slots);

typedef void se_attend_fn(const struct se_attend_job *job, float *scratch);

struct se_attend_impl {
    const char *name;
    enum se_dtype dtype; /* of the pages */
    uint32_t cpu;
    se_attend_fn *run;
};
extern const struct se_attend_impl se_attend_table[];
extern const uint32_t se_attend_table_n;
const struct se_attend_impl *se_attend_pick(enum se_dtype dtype);

/* Writes the key and value of one slot (dim floats each) into its page. */
void se_attend_store(enum se_dtype dtype, void *key, void *value, uint32_t slot_in_page,
                     uint32_t dim, const float *k, const float *v);
/* Copies one slot to another, of the same or another page. */
void se_attend_move(enum se_dtype dtype, const void *from_key, const void *from_value,
                    uint32_t from_slot, void *to_key, void *to_value, uint32_t to_slot,
                    uint32_t dim);

#endif
