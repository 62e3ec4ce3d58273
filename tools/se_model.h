/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_model.h - the verbs of se-model: one table row each, and what they have in common. */
#ifndef SE_TOOLS_SE_MODEL_H
#define SE_TOOLS_SE_MODEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/conf.h"
#include "runtime/base/err.h"

/* Options that every verb takes: the first member of each verb's own struct. */
struct se_common {
    uint64_t threads; /* 0: as many as it may run on */
    int weights;      /* enum se_weights */
    bool preload;     /* copy what could stay mapped */
    int backend;      /* enum se_backend_kind */
};

#define SE_COMMON_ROWS \
    { "threads", \
      't', \
      SE_CONF_UINT, \
      offsetof(struct se_common, threads), \
      "0", \
      0, \
      1024, \
      "N", \
      "threads that compute; 0: one for every processor it may run on" }, \
        { "weights", \
          'w', \
          SE_CONF_CHOICE, \
          offsetof(struct se_common, weights), \
          "stored", \
          0, \
          0, \
          "stored|f32|bf16|q8", \
          "precision of the weights; other than stored: converted at load" }, \
        { "preload", \
          0, \
          SE_CONF_FLAG, \
          offsetof(struct se_common, preload), \
          NULL, \
          0, \
          0, \
          NULL, \
          "copy weights that could stay mapped into huge pages: slower to load, faster to read" }, \
    { \
        "backend", 0, SE_CONF_CHOICE, offsetof(struct se_common, backend), "auto", 0, 0, \
            "auto|cpu", "what computes" \
    }

/* What run() may return beside 0 and -errno. The sentence is in se_err_text(). */
enum {
    SE_VERB_USAGE = 1,       /* the command line makes no sense */
    SE_VERB_INTERRUPTED = 2, /* by the user; all is tidied up */
    SE_VERB_CLOSED = 3       /* nobody reads the output any more */
};

#define se_usage(...) (se_fail(-EINVAL, __VA_ARGS__), SE_VERB_USAGE)

struct se_verb {
    const char *name;
    const char *arguments; /* "DIR FILE", as usage shows them */
    int n_arguments;
    const char *summary; /* one line */
    const char *more;    /* paragraph of --help, or NULL */
    const struct se_conf_row *rows;
    size_t n_rows;
    void *values; /* where the rows' values go; begins with struct se_common */
    /* argument: the n_arguments words that are no options. */
    int (*run)(const void *values, char **argument);
};

extern const struct se_verb se_verb_info;
extern const struct se_verb se_verb_tokenize;
extern const struct se_verb se_verb_detokenize;
extern const struct se_verb se_verb_generate;
extern const struct se_verb se_verb_logits;
extern const struct se_verb se_verb_perplexity;
extern const struct se_verb se_verb_random;
extern const struct se_verb se_verb_bench;

/* Writes what standard output still holds. 0, SE_VERB_CLOSED, or -errno. */
int se_output_flush(void);

#endif
