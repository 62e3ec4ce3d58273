/* SPDX-License-Identifier: Apache-2.0 */
/* se-key: makes keys, and looks into the files that hold them. */
#include "tools/program.h"
#include "tools/se_key.h"

static const struct se_verb *const verbs[] = { &se_verb_new, &se_verb_show, &se_verb_check };

static const struct se_program program = {
    .name = "se-key",
    .summary = "keys by which edges and servers know each other",
    .verb = verbs,
    .n_verbs = sizeof verbs / sizeof verbs[0],
};

int main(int argc, char **argv) { return se_program_main(&program, argc, argv); }
