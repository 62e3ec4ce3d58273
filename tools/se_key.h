/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_key.h - what se-key can be asked for, each verb in its file. */
#ifndef SE_TOOLS_SE_KEY_H
#define SE_TOOLS_SE_KEY_H

#include "tools/verb.h"

extern const struct se_verb se_verb_new, se_verb_show; /* se_key_secret.c */
extern const struct se_verb se_verb_check;             /* se_key_list.c */

#endif
