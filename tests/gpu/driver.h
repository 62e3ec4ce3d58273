/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/driver.h - what the card itself can do, by NVIDIA's own libraries: they are opened
 * when they are wanted, so that nothing of this needs to be there. */
#ifndef SE_TESTS_GPU_DRIVER_H
#define SE_TESTS_GPU_DRIVER_H

#include <stdint.h>

#include "runtime/base/hist.h"
#include "runtime/model/cuda/inside.h"

/* libcuda; the device is one that se_gpu_device_open() has opened. -ENODEV with the sentence. */
int driver_open(void);
const char *driver_version(void); /* "580.159.04, CUDA 13.0" */

/* Bytes read and written in a second by copies of size_b, one sample a copy. */
int driver_copies(size_t size_b, uint32_t n, struct se_hist *bytes_per_s);

/* Operations in a second of bf16 products of n x n x n with float32 sums, by cuBLAS. -ENODEV:
 * there is none; the sentence says where it was looked for. */
int driver_products(uint32_t n, uint32_t times, struct se_hist *ops_per_s);
const char *driver_products_by(void); /* "cuBLAS 13.1.0" */

/* Kernels of a step's graph. */
int driver_count_nodes(struct se_backend *b, uint32_t bucket, uint32_t *n);

#endif
