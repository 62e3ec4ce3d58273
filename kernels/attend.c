/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attend.h"

#include <math.h>
#include <string.h>

#include "kernels/attend_set.h"
#include "kernels/float16.h"
#include "kernels/lanes_set.h"
#include "runtime/base/cpu.h"

size_t se_attend_scratch(const struct se_attend_job *job, uint32_t max_seen, uint32_t max_slots)
{
    (void)max_slots; /* no implementation walks slots that no row sees */
    size_t padded = ((size_t)job->dim + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS * SE_PAGE_SLOTS;
    return se_attend_scores(se_attend_stride(max_seen)) +
           SE_ATTEND_BLOCK * (padded + SE_PAGE_SLOTS) + /* queries, and what else a pair has */
           SE_ATTEND_WIDE + SE_PAGE_SLOTS * padded +    /* pages and tail keys, widened */
           2 * SE_PAGE_SLOTS;                           /* room to align */
}

static float load(enum se_dtype dtype, const void *page, size_t at)
{
    if (dtype == SE_DTYPE_F16)
        return se_f16_to_f32(((const uint16_t *)page)[at]);
    return ((const float *)page)[at];
}

static uint32_t slot_of(const struct se_attend_row *row, uint32_t position)
{
    return position < row->plain ? position : row->tail[position - row->plain];
}

static float score(const struct se_attend_job *job, enum se_dtype dtype, const float *q,
                   uint32_t slot)
{
    const void *page = job->key[slot / SE_PAGE_SLOTS];
    double sum = 0;
    for (uint32_t d = 0; d < job->dim; d++) {
        size_t at = (size_t)d * SE_PAGE_SLOTS + slot % SE_PAGE_SLOTS;
        sum += (double)q[d] * (double)load(dtype, page, at);
    }
    return (float)(sum * (double)job->scale);
}

static void attend_head(const struct se_attend_job *job, enum se_dtype dtype,
                        const struct se_attend_row *row, uint32_t head, float *scores)
{
    const float *q = row->q + (size_t)head * job->dim;
    float *out = row->out + (size_t)head * job->dim;
    float largest = -INFINITY;
    for (uint32_t p = 0; p < row->n_seen; p++) {
        scores[p] = score(job, dtype, q, slot_of(row, p));
        largest = scores[p] > largest ? scores[p] : largest;
    }
    double sum = 0, mix[SE_ATTEND_MAX_DIM] = { 0 };
    for (uint32_t p = 0; p < row->n_seen; p++) {
        uint32_t slot = slot_of(row, p);
        const void *page = job->value[slot / SE_PAGE_SLOTS];
        size_t at = (size_t)(slot % SE_PAGE_SLOTS) * job->dim;
        double share = exp((double)scores[p] - (double)largest);
        sum += share;
        for (uint32_t d = 0; d < job->dim; d++)
            mix[d] += share * (double)load(dtype, page, at + d);
    }
    for (uint32_t d = 0; d < job->dim; d++)
        out[d] = (float)(mix[d] / sum);
}

static void attend(const struct se_attend_job *job, enum se_dtype dtype, float *scratch)
{
    for (uint32_t r = 0; r < job->n_rows; r++)
        for (uint32_t head = 0; head < job->n_q; head++)
            attend_head(job, dtype, &job->row[r], head, scratch);
}

static void attend_f32_c(const struct se_attend_job *job, float *scratch)
{
    attend(job, SE_DTYPE_F32, scratch);
}

static void attend_f16_c(const struct se_attend_job *job, float *scratch)
{
    attend(job, SE_DTYPE_F16, scratch);
}

const struct se_attend_impl se_attend_table[] = {
#if SE_HAVE_AVX512
    { "avx512", SE_DTYPE_F32, SE_CPU_AVX512, se_attend_f32_avx512 },
    { "avx512", SE_DTYPE_F16, SE_CPU_AVX512, se_attend_f16_avx512 },
#endif
#if SE_HAVE_AVX2
    { "avx2", SE_DTYPE_F32, SE_CPU_AVX2, se_attend_f32_avx2 },
    { "avx2", SE_DTYPE_F16, SE_CPU_AVX2, se_attend_f16_avx2 },
#endif
#if SE_HAVE_NEON
    { "neon", SE_DTYPE_F32, SE_CPU_NEON, se_attend_f32_neon },
    { "neon", SE_DTYPE_F16, SE_CPU_NEON, se_attend_f16_neon },
#endif
    { "c", SE_DTYPE_F32, 0, attend_f32_c },
    { "c", SE_DTYPE_F16, 0, attend_f16_c },
};
const uint32_t se_attend_table_n = sizeof se_attend_table / sizeof *se_attend_table;

const struct se_attend_impl *se_attend_pick(enum se_dtype dtype)
{
    const struct se_attend_impl *impl = se_attend_table;
    while (impl->dtype != dtype || (impl->cpu & ~se_cpu_flags()))
        impl++;
    return impl;
}

void se_attend_store(enum se_dtype dtype, void *key, void *value, uint32_t slot_in_page,
                     uint32_t dim, const float *k, const float *v)
{
    if (dtype == SE_DTYPE_F16) {
        uint16_t *keys = key, *values = (uint16_t *)value + (size_t)slot_in_page * dim;
        for (uint32_t d = 0; d < dim; d++) {
            keys[(size_t)d * SE_PAGE_SLOTS + slot_in_page] = se_f32_to_f16(k[d]);
            values[d] = se_f32_to_f16(v[d]);
        }
        return;
    }
    float *keys = key;
    for (uint32_t d = 0; d < dim; d++)
        keys[(size_t)d * SE_PAGE_SLOTS + slot_in_page] = k[d];
    memcpy((float *)value + (size_t)slot_in_page * dim, v, dim * sizeof *v);
}

static void move_bytes(const unsigned char *from_key, const unsigned char *from_value,
                       uint32_t from_slot, unsigned char *to_key, unsigned char *to_value,
                       uint32_t to_slot, uint32_t dim, size_t size_b)
{
    for (uint32_t d = 0; d < dim; d++)
        memcpy(to_key + ((size_t)d * SE_PAGE_SLOTS + to_slot) * size_b,
               from_key + ((size_t)d * SE_PAGE_SLOTS + from_slot) * size_b, size_b);
    memmove(to_value + (size_t)to_slot * dim * size_b,
            from_value + (size_t)from_slot * dim * size_b, dim * size_b);
}

void se_attend_move(enum se_dtype dtype, const void *from_key, const void *from_value,
                    uint32_t from_slot, void *to_key, void *to_value, uint32_t to_slot,
                    uint32_t dim)
{
    /* A constant size lets the compiler turn the copies of single elements into moves. */
    if (dtype == SE_DTYPE_F16)
        move_bytes(from_key, from_value, from_slot, to_key, to_value, to_slot, dim, 2);
    else
        move_bytes(from_key, from_value, from_slot, to_key, to_value, to_slot, dim, 4);
}
