/* SPDX-License-Identifier: Apache-2.0 */
/* se-model: look into a model folder, let it write, measure it, make one of random weights. */
#include "runtime/base/cpu.h"
#include "tools/program.h"
#include "tools/se_model.h"

static const struct se_verb *const verbs[] = {
    &se_verb_info,   &se_verb_tokenize,   &se_verb_detokenize, &se_verb_generate,
    &se_verb_logits, &se_verb_perplexity, &se_verb_random,     &se_verb_bench,
};

static const struct se_program program = {
    .name = "se-model",
    .summary = "a model folder: what is in it, what it says, how fast it runs",
    .verb = verbs,
    .n_verbs = sizeof verbs / sizeof verbs[0],
    .begin = se_cpu_init,
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
