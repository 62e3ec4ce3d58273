/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/topk.h"

#include <stdbool.h>

#include "kernels/lanes_set.h"
#include "runtime/base/cpu.h"

/* The reference keeps the best so far as a heap in the caller's arrays, the worst of them at
 * its top, and takes it apart from the worst to the best at the end. */
struct heap {
    uint32_t *index;
    float *value;
    uint32_t n;
};

/* Whether entry (value, index) stands behind (other, other_index) in the answer. */
static bool worse(float value, uint32_t index, float other, uint32_t other_index)
{
    return value < other || (value == other && index > other_index);
}

/* Puts an entry into the hole at, moving the hole down until no child is worse. */
static void sink(const struct heap *heap, uint32_t at, float value, uint32_t index)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->n)
            break;
        if (child + 1 < heap->n && worse(heap->value[child + 1], heap->index[child + 1],
                                         heap->value[child], heap->index[child]))
            child++;
        if (!worse(heap->value[child], heap->index[child], value, index))
            break;
        heap->value[at] = heap->value[child];
        heap->index[at] = heap->index[child];
        at = child;
    }
    heap->value[at] = value;
    heap->index[at] = index;
}

uint32_t se_topk_c(const float *x, uint32_t n, uint32_t k, uint32_t *index, float *value)
{
    if (k > n)
        k = n;
    struct heap heap = { index, value, k };
    for (uint32_t i = 0; i < k; i++) {
        index[i] = i;
        value[i] = x[i];
    }
    for (uint32_t i = k / 2; i-- > 0;)
        sink(&heap, i, value[i], index[i]);
    /* Indices ascend: an equal later entry never displaces an earlier one. */
    for (uint32_t i = k; i < n; i++) {
        if (x[i] > value[0])
            sink(&heap, 0, x[i], i);
    }
    while (heap.n > 1) {
        heap.n--;
        float last_value = value[heap.n];
        uint32_t last_index = index[heap.n];
        value[heap.n] = value[0];
        index[heap.n] = index[0];
        sink(&heap, 0, last_value, last_index);
    }
    return k;
}

const struct se_topk_impl se_topk_table[] = {
#if SE_HAVE_AVX512
    { "avx512", SE_CPU_AVX512, se_topk_avx512 },
#endif
#if SE_HAVE_AVX2
    { "avx2", SE_CPU_AVX2, se_topk_avx2 },
#endif
#if SE_HAVE_NEON
    { "neon", SE_CPU_NEON, se_topk_neon },
#endif
    { "c", 0, se_topk_c },
};
const uint32_t se_topk_table_n = sizeof se_topk_table / sizeof *se_topk_table;

const struct se_topk_impl *se_topk_pick(void)
{
    const struct se_topk_impl *row = se_topk_table;
    while (row->cpu & ~se_cpu_flags())
        row++;
    return row;
}
