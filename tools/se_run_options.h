/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_options.h - what se-run can be told, on its command line and in a file. */
#ifndef SE_TOOLS_SE_RUN_OPTIONS_H
#define SE_TOOLS_SE_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/conf.h"
#include "sched/edge/edge.h"
#include "tools/prompt.h"
#include "tools/rig_options.h"
#include "tools/sampling_options.h"

/* Limits of a draft tree, by their published names. */
struct se_run_tree {
    uint64_t n_beams, beam_len, branch_width, budget;
};

struct se_run_options {
    const char *config;
    bool print_conf;

    /* where the target is */
    const char *server;           /* URL */
    const char *key, *server_key; /* file, and text of a key; or NULL */
    bool local;
    const char *model; /* folder of the target, with local; its tokenizer in any case */
    struct se_rig_options target;
    const char *tokenizer; /* folder */
    uint64_t context;      /* 0: what the server allows */

    /* from what */
    struct se_prompt_options prompt;
    const char *file;
    bool interactive;
    const char *dataset;
    uint64_t offset, stride, max_requests;

    /* how it goes on */
    uint64_t n;
    struct se_sampling_options sampling;
    bool ignore_eos;

    /* how it is shown */
    bool ids_out, json, echo, stats, quiet;
    int color; /* enum se_run_color */
    const char *result, *trace;
    uint64_t client;

    /* the draft */
    const char *draft; /* folder, "ngram", or NULL */
    struct se_rig_options rig;
    uint64_t ngram;
    struct se_run_tree tree, ahead;
    int proactive;    /* enum se_proactive */
    int shape, depth; /* enum se_edge_shape */
    int speculate;    /* enum se_wire_speculate */
    double coupling;
    bool check;

    /* when the server does not answer */
    int busy; /* enum se_edge_busy */
    uint64_t retry_ns, give_up_ns;
};

enum se_run_color { SE_RUN_COLOR_AUTO, SE_RUN_COLOR_ALWAYS, SE_RUN_COLOR_NEVER };

extern const struct se_conf_row se_run_rows[];
extern const size_t se_run_rows_n;

/* What an answer goes on from. */
enum se_run_source {
    SE_RUN_FROM_TEXT, /* -p, -f */
    SE_RUN_FROM_IDS,
    SE_RUN_FROM_DATASET,
    SE_RUN_FROM_USER /* line by line */
};

/* Files, folders and URLs that are empty are none: so what a file of settings names can be taken
 * back on the command line. */
void se_run_options_tidy(struct se_run_options *options);

/* Whether the options make sense together, and what they make of each other. terminal: somebody
 * sits at standard input. 0, or SE_OUTCOME_USAGE with the sentence. */
int se_run_options_check(const struct se_run_options *options, bool terminal,
                         enum se_run_source *source);

/* Whether texts are laid out as a chat. */
bool se_run_options_chat(const struct se_run_options *options, enum se_run_source source);
/* The folder whose tokenizer counts; NULL when none was named. */
const char *se_run_options_words(const struct se_run_options *options);
/* The folder of the draft model, or NULL: none, or not a model. */
const char *se_run_options_draft_model(const struct se_run_options *options);
/* Of the edge: what these options say, over its defaults. */
void se_run_options_edge(const struct se_run_options *options, struct se_edge_options *edge);

#endif
