/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/trial.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <exception>

#include "tests/gpu/array.h"

extern "C" {
#include "runtime/base/clock.h"
#include "tests/kernels/check.h"
}

namespace
{

struct failure {
    char text[300];
};

} // namespace

static char case_text[160]; /* "": none is told yet */
static bool tells;

void trial_case(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(case_text, sizeof case_text, format, list);
    va_end(list);
    if (tells)
        printf("case: %s\n", case_text);
}

/* ---- assertions */

void trial_fail(const char *file, int line, const char *format, ...)
{
    struct failure failure;
    va_list list;
    size_t n = (size_t)snprintf(failure.text, sizeof failure.text, "%s:%d: ", file, line);
    n = n < sizeof failure.text ? n : sizeof failure.text - 1;
    va_start(list, format);
    vsnprintf(failure.text + n, sizeof failure.text - n, format, list);
    va_end(list);
    throw failure;
}

void trial_true(const char *file, int line, bool holds, const char *what)
{
    if (!holds)
        trial_fail(file, line, "does not hold: %s", what);
}

void trial_equal(const char *file, int line, intmax_t a, intmax_t b, bool equal, const char *what)
{
    if ((a == b) != equal)
        trial_fail(file, line, "does not hold: %s: %jd (%#jx), %jd (%#jx)", what, a, (uintmax_t)a,
                   b, (uintmax_t)b);
}

void trial_bytes(const char *file, int line, const void *a, const void *b, size_t size_b,
                 const char *what)
{
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    if (size_b == 0 || memcmp(x, y, size_b) == 0)
        return;
    size_t i = 0;
    while (x[i] == y[i])
        i++;
    trial_fail(file, line, "%s: byte %zu of %zu is %#x instead of %#x", what, i, size_b, x[i],
               y[i]);
}

/* ---- lists */

static void note_failure(struct trials_result *result, const char *name, const char *why)
{
    const char *in = case_text[0] != '\0' ? "; case: " : "";
    printf("  FAILED %s: %s%s%s\n", name, why, in, case_text);
    if (result->n_failed++ == 0)
        snprintf(result->text, sizeof result->text, "%s: %s%s%s", name, why, in, case_text);
}

static void run_one(const struct trial *trial, struct trials_result *result)
{
    const uint64_t from_ns = se_clock_ns();
    case_text[0] = '\0';
    result->n++;
    try {
        trial->run();
        printf("  ok     %s, %.1f s\n", trial->name, (double)(se_clock_ns() - from_ns) * 1e-9);
    } catch (const struct failure &failure) {
        note_failure(result, trial->name, failure.text);
    } catch (const std::exception &exception) { /* most likely there is no memory */
        note_failure(result, trial->name, exception.what());
    }
}

static bool open_device(struct trials_result *result, const struct trials_size *size)
{
    try {
        device_open(size->device, !size->tiny);
        return true;
    } catch (const struct failure &failure) {
        result->n = 1;
        note_failure(result, "the device", failure.text);
        return false;
    }
}

void trials_run(const struct trials *trials, const struct trials_size *size,
                struct trials_result *result)
{
    memset(result, 0, sizeof *result);
    case_text[0] = '\0';
    tells = size->tells;
    result->seed = check_begin(trials->rng);
    if (!open_device(result, size))
        return;
    for (size_t i = 0; i < trials->n; i++)
        if (!trials->trial[i].large || !size->tiny)
            run_one(&trials->trial[i], result);
    device_close();
}
