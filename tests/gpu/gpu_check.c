/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_check - everything that wants a GPU, in one program and without a file: checks, then figures,
 * then a table of both. docs/gpu.md says what its lines mean.
 *
 *   gpu_check [--tiny] [--only WHAT] [--device N] [--seed N] [--table FILE] [--json FILE]
 *
 * --tiny: checks of the smallest sizes and no figures, for sanitizers; over the emulator of a GPU
 * it is always tiny. --only: models, or kernels, or those of one file (accept, attend, matmul,
 * rows, sample), whose cases are told then. --seed: of the models; SE_TEST_SEED=N: of the kernels'
 * inputs, which are others each time without. Exit status: 0 all checks have passed, 1 one has not,
 * 2 not understood, 77 there is no GPU. */
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/device.h"
#include "runtime/base/err.h"
#include "tests/gpu/checks.h"
#include "tests/gpu/report.h"

struct options {
    struct check_size size;
    const char *table, *json;
    const char *only; /* NULL: everything */
};

/* Whether that alone is wanted. */
static bool is(const struct options *o, const char *what)
{
    return o->only && strcmp(o->only, what) == 0;
}

/* A number, whole. */
static int read_number(const char *text, uint64_t *number)
{
    char *end = NULL;
    *number = strtoull(text, &end, 0);
    return *text < '0' || *text > '9' || *end ? -1 : 0;
}

static int read_options(int argc, char **argv, struct options *o)
{
    uint64_t device = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        int r = 0;
        if (strcmp(argv[i], "--tiny") == 0) {
            o->size.tiny = true;
            continue;
        }
        if (!value)
            return -1;
        if (strcmp(argv[i], "--table") == 0)
            o->table = value;
        else if (strcmp(argv[i], "--json") == 0)
            o->json = value;
        else if (strcmp(argv[i], "--only") == 0)
            o->only = value;
        else if (strcmp(argv[i], "--seed") == 0)
            r = read_number(value, &o->size.seed);
        else if (strcmp(argv[i], "--device") == 0)
            r = read_number(value, &device);
        else
            return -1;
        if (r < 0 || device > 1023)
            return -1;
        i++;
    }
    o->size.device = (uint32_t)device;
    return o->only && !is(o, "models") && !is(o, "kernels") && !check_kernels_has(o->only) ? -1 : 0;
}

static void check(const struct options *o)
{
    const bool models = is(o, "models");
    struct machine machine;
    check_machine(&o->size, &machine);
    if (!models)
        check_kernels(&o->size, is(o, "kernels") ? NULL : o->only);
    if (o->only && !models)
        return;
    check_logits(&o->size);
    check_company(&o->size);
    check_steps(&o->size, &machine);
}

int main(int argc, char **argv)
{
    struct options options = { .size.seed = 1 };
#ifdef SE_SIMT
    options.size.tiny = true;
#endif
    if (read_options(argc, argv, &options) < 0) {
        fprintf(stderr, "usage: gpu_check [--tiny] [--only WHAT] [--device N] [--seed N] "
                        "[--table FILE] [--json FILE]\n");
        return 2;
    }
    if (se_gpu_devices() < 0) {
        printf("skipped: %s\n", se_gpu_error());
        return 77;
    }
    if (report_open(options.table, options.json) < 0) {
        fprintf(stderr, "gpu_check: %s\n", se_err_text());
        return 1;
    }
    /* Weights go to the device by way of large blocks, one after the other: without this each would
     * be new pages of the system's. */
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    report_number("seed", (double)options.size.seed);
    check(&options);
    return report_close();
}
