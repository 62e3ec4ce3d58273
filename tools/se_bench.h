/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_bench.h - the verbs of se-bench: one table row each. */
#ifndef SE_TOOLS_SE_BENCH_H
#define SE_TOOLS_SE_BENCH_H

#include <stddef.h>

#include "runtime/base/conf.h"
#include "runtime/base/err.h"

/* What run() may return beside 0 and -errno: the command line makes no sense. The sentence is
 * in se_err_text(). */
enum { SE_BENCH_USAGE = 1 };

#define se_bench_usage(...) (se_fail(-EINVAL, __VA_ARGS__), SE_BENCH_USAGE)

struct se_bench_verb {
    const char *name;
    const char *summary; /* one line */
    const char *more;    /* paragraph of --help, or NULL */
    const struct se_conf_row *rows;
    size_t n_rows;
    void *values; /* where the rows' values go */
    int (*run)(const void *values);
};

extern const struct se_bench_verb se_bench_wire;

#endif
