/* SPDX-License-Identifier: Apache-2.0 */
/* tools/stops.h - the tokens that end what a model writes, as its folder names them.
 *
 * The first of generation_config.json, config.json (eos_token_id) and tokenizer_config.json
 * (eos_token) that names any. The model itself need not be one that could be loaded, nor its
 * weights be there: an edge has the tokenizer of a model that somebody else runs. */
#ifndef SE_TOOLS_STOPS_H
#define SE_TOOLS_STOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/text/tokenizer.h"

enum { SE_STOPS_MAX = 16 };

struct se_stops {
    uint32_t id[SE_STOPS_MAX];
    uint32_t n;
};
#define SE_STOPS_NULL ((struct se_stops){ 0 })

/* None of the files need be there. 0, or -errno with the text naming file and key. */
int se_stops_read(struct se_stops *stops, const char *dir, const struct se_tokenizer *tokenizer);

/* One more; one that is known already is not counted twice. -ENOSPC. */
int se_stops_add(struct se_stops *stops, uint32_t id);

#endif
