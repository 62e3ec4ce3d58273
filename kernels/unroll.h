/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/unroll.h - SE_UNROLL before a loop of few turns, known when compiling: unroll it
 * whole. An array indexed in such loops alone lives in registers; one loop left over puts
 * all of it into memory. */
#ifndef SE_KERNELS_UNROLL_H
#define SE_KERNELS_UNROLL_H

#if defined(__clang__)
#define SE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SE_UNROLL _Pragma("GCC unroll 32")
#endif

#endif
