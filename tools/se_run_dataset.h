/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_dataset.h - a file of prompts for se-run: one JSON object a line.
 *
 *     {"question_id": 81, "category": "writing", "turns": ["Compose ...", "Rewrite ..."]}
 *     {"id": 0, "prompt": "Polynesia was waiting ..."}
 *
 * Of several turns the first is the prompt. Other keys are passed over, and so are empty lines. */
#ifndef SE_TOOLS_SE_RUN_DATASET_H
#define SE_TOOLS_SE_RUN_DATASET_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct se_run_prompt {
    json_t *object;       /* what the line says */
    const char *text;     /* in it */
    const char *category; /* in it; "" when there is none */
    const json_t *id;     /* in it, or NULL */
    size_t number;        /* among the prompts of the file, from 0 */
    size_t line;          /* of the file, from 1 */
};

struct se_run_dataset {
    const char *path;
    struct se_run_prompt *prompt;
    size_t n, cap;
};
#define SE_RUN_DATASET_NULL ((struct se_run_dataset){ 0 })

/* All of the file, so that what is wrong in it is known before the first prompt is asked; then of
 * its prompts every stride-th from number offset on (from 0), at most max of them (0: all).
 * "-" is standard input. 0, or -errno with the text naming file and line. */
int se_run_dataset_open(struct se_run_dataset *set, const char *path, uint64_t offset,
                        uint64_t stride, uint64_t max);
void se_run_dataset_close(struct se_run_dataset *set);

#endif
