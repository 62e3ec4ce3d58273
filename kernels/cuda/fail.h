/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/fail.h - how a file of the device layer says what went wrong (se_gpu_error()). */
#ifndef SE_KERNELS_CUDA_FAIL_H
#define SE_KERNELS_CUDA_FAIL_H

/* Keeps the sentence of this thread, and returns code. */
int se_gpu_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
