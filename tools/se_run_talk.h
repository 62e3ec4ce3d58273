/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_talk.h - a conversation of se-run: what was said so far, turn by turn.
 *
 * It owns copies of the texts. One thread. */
#ifndef SE_TOOLS_SE_RUN_TALK_H
#define SE_TOOLS_SE_RUN_TALK_H

#include <stddef.h>

#include "runtime/text/chat.h"

struct se_run_talk {
    struct se_chat_turn *turn; /* the system's first, when there is one */
    size_t n, cap;
};
#define SE_RUN_TALK_NULL ((struct se_run_talk){ 0 })

void se_run_talk_fini(struct se_run_talk *talk);

int se_run_talk_user(struct se_run_talk *talk, const char *text);
int se_run_talk_assistant(struct se_run_talk *talk, const char *text, size_t len);
/* What the system says, from the beginning on; NULL or "": nothing. */
int se_run_talk_system(struct se_run_talk *talk, const char *text);

/* Takes the last turn back. */
void se_run_talk_unsay(struct se_run_talk *talk);
/* Nothing was said, but for the system. */
void se_run_talk_reset(struct se_run_talk *talk);

#endif
