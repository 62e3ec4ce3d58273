/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels against what the C code of the project makes of the same inputs: a row to a file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "tests/gpu/checks.h"
#include "tests/gpu/report.h"
#include "tests/gpu/trial.h"

static const struct file {
    const char *noun;
    const struct trials *trials;
} files[] = {
    { "accept", &check_cuda_accept }, { "attend", &check_cuda_attend },
    { "matmul", &check_cuda_matmul }, { "rows", &check_cuda_rows },
    { "sample", &check_cuda_sample },
};
enum { N_FILES = sizeof files / sizeof *files };

bool check_kernels_has(const char *noun)
{
    for (int i = 0; i < N_FILES; i++)
        if (strcmp(files[i].noun, noun) == 0)
            return true;
    return false;
}

static void check_file(const struct check_size *size, const struct file *file, bool tells)
{
    const struct trials_size of = { .device = size->device, .tiny = size->tiny, .tells = tells };
    const uint64_t from_ns = se_clock_ns();
    struct trials_result result;
    char what[48];
    int r = 0;
    trials_run(file->trials, &of, &result);
    const unsigned long long seed = result.seed;
    if (result.n_failed)
        r = se_fail(-EILSEQ, "%u of %u have failed with SE_TEST_SEED=%llu: %s", result.n_failed,
                    result.n, seed, result.text);
    snprintf(what, sizeof what, "kernels: %s", file->noun);
    report_check(r, what, "%u checks against the C reference, SE_TEST_SEED=%llu, %.1f s", result.n,
                 seed, (double)(se_clock_ns() - from_ns) * 1e-9);
}

void check_kernels(const struct check_size *size, const char *noun)
{
    for (int i = 0; i < N_FILES; i++)
        if (!noun || strcmp(files[i].noun, noun) == 0)
            check_file(size, &files[i], noun != NULL);
}
