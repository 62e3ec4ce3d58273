/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/checks.h - what a check of a GPU consists of. Each part reports its own rows.
 *
 *   machine.c   what the card can do, measured      company.c   bits: any company, graphs or none
 *   kernels.c   one by one, against C               steps.c     figures: a step beside the floor
 *   logits.c    of models, against the processor */
#ifndef SE_TESTS_GPU_CHECKS_H
#define SE_TESTS_GPU_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/model/config.h"

/* How much of it. Tiny: for the emulator, and for sanitizers on a real card. */
struct check_size {
    bool tiny;
    uint64_t seed;
    uint32_t device;
};

/* Measured, or 0 where it could not be. */
struct machine {
    double copies_b, products; /* bytes, operations a second */
};

/* Small shapes for the checks: query heads to a key, head dims, norms of heads, biases. */
struct check_shape {
    const char *name;
    struct se_config config;
};
/* Returns how many there are. */
uint32_t check_shapes(const struct check_size *size, const struct check_shape **shapes);

void check_machine(const struct check_size *size, struct machine *machine);
/* Those of one file, or of all when that is NULL. */
void check_kernels(const struct check_size *size, const char *noun);
bool check_kernels_has(const char *noun);
void check_logits(const struct check_size *size);
void check_company(const struct check_size *size);
void check_steps(const struct check_size *size, const struct machine *machine);

#endif
