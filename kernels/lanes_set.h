/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/lanes_set.h - names of the compiled forms of the kernels that are written over
 * lanes.h. The contracts are those of each noun's header; a form exists where its instruction
 * set was built. */
#ifndef SE_KERNELS_LANES_SET_H
#define SE_KERNELS_LANES_SET_H

#include "kernels/attend.h"
#include "kernels/glu.h"
#include "kernels/gumbel.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "kernels/softmax.h"
#include "kernels/topk.h"

se_attend_fn se_attend_f32_avx2, se_attend_f32_avx512, se_attend_f32_neon;
se_attend_fn se_attend_f16_avx2, se_attend_f16_avx512, se_attend_f16_neon;
se_glu_fn se_glu_avx2, se_glu_avx512, se_glu_neon;
se_norm_fn se_norm_avx2, se_norm_avx512, se_norm_neon;
se_rope_fn se_rope_avx2, se_rope_avx512, se_rope_neon;
se_logsumexp_fn se_logsumexp_avx2, se_logsumexp_avx512, se_logsumexp_neon;
se_topk_fn se_topk_c; /* the others turn to it for a large k */
se_topk_fn se_topk_avx2, se_topk_avx512, se_topk_neon;

typedef uint32_t se_gumbel_argmax_fn(const float *x, uint32_t n, float inv_t, uint64_t seed,
                                     uint32_t position);
typedef void se_gumbel_add_fn(const float *x, uint32_t n, float inv_t, uint64_t seed,
                              uint32_t position, float *out);
se_gumbel_argmax_fn se_gumbel_argmax_avx2, se_gumbel_argmax_avx512, se_gumbel_argmax_neon;
se_gumbel_add_fn se_gumbel_add_avx2, se_gumbel_add_avx512, se_gumbel_add_neon;

#endif
