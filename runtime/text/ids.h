/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/text/ids.h - a list of ids that grows. */
#ifndef SE_RUNTIME_TEXT_IDS_H
#define SE_RUNTIME_TEXT_IDS_H

#include "runtime/text/tokenizer.h"

/* 0 or -ENOMEM. */
int se_ids_add(struct se_ids *ids, const uint32_t *id, size_t n);

#endif
