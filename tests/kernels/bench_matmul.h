/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kernels/bench_matmul.h - rates of se_matmul_table, beside what the machine can do. */
#ifndef SE_TESTS_KERNELS_BENCH_MATMUL_H
#define SE_TESTS_KERNELS_BENCH_MATMUL_H

/* Arguments after --bench: [dtype [name]] narrow the table. Exit code. */
int bench_matmul(int argc, char **argv);

#endif
