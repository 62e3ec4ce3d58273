/* SPDX-License-Identifier: Apache-2.0 */
/* q8 with SDOT. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"
#include "kernels/quant.h"

#define TILE(name) se_matmul_##name##_q8_dotprod
#define DOT(sum, part, x) vdotq_s32(sum, part, x)
#include "kernels/arm/tile_q8_neon.h"
