/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/trial.h - lists of checks that run where a GPU is, or its emulator, and no test runner.
 *
 * A trial is a function. The first assertion in it that does not hold ends it, by an exception, so
 * that what it has on the device is given back; the others of its list go on, and nothing ends the
 * program. One thread asserts. */
#ifndef SE_TESTS_GPU_TRIAL_H
#define SE_TESTS_GPU_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct se_rng;

#ifdef __cplusplus
extern "C" {
#endif

struct trial {
    const char *name;
    void (*run)(void);
    bool large; /* of sizes that an emulator is too slow for */
};

/* Those of one file, with the generator that its inputs are drawn from. */
struct trials {
    struct se_rng *rng;
    const struct trial *trial;
    size_t n;
};

/* tests/gpu/check_cuda_<noun>.cc */
extern const struct trials check_cuda_accept, check_cuda_attend, check_cuda_matmul, check_cuda_rows,
    check_cuda_sample;

struct trials_size {
    uint32_t device;
    bool tiny;  /* the large ones are left out */
    bool tells; /* each case, before it is tried */
};

struct trials_result {
    uint64_t seed; /* SE_TEST_SEED, or the time */
    uint32_t n, n_failed;
    char text[300]; /* of the first that has failed: name, file, line, values, and the case */
};

/* Runs them in their order on the device of that number, with a line of output for each. */
void trials_run(const struct trials *trials, const struct trials_size *size,
                struct trials_result *result);

#ifdef __cplusplus
}

#define TRIAL(function) \
    { \
#function, function, false \
    }
#define TRIAL_LARGE(function) \
    { \
#function, function, true \
    }
#define TRIALS(rng, list) \
    { \
        &(rng), list, sizeof(list) / sizeof((list)[0]) \
    }

/* What is tried from here on, in words: told with a failure. */
void trial_case(const char *format, ...) __attribute__((format(printf, 1, 2)));

[[noreturn]] void trial_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void trial_true(const char *file, int line, bool holds, const char *what);
void trial_equal(const char *file, int line, intmax_t a, intmax_t b, bool equal, const char *what);
void trial_bytes(const char *file, int line, const void *a, const void *b, size_t size_b,
                 const char *what);

/* By the names that they have in the tests under a test runner. */
#define fail_msg(...) trial_fail(__FILE__, __LINE__, __VA_ARGS__)
#define assert_true(x) trial_true(__FILE__, __LINE__, x, #x)
#define assert_int_equal(a, b) \
    trial_equal(__FILE__, __LINE__, (intmax_t)(a), (intmax_t)(b), true, #a " == " #b)
#define assert_int_not_equal(a, b) \
    trial_equal(__FILE__, __LINE__, (intmax_t)(a), (intmax_t)(b), false, #a " != " #b)
#define assert_memory_equal(a, b, size_b) \
    trial_bytes(__FILE__, __LINE__, a, b, size_b, #a " as " #b)
#endif

#endif
