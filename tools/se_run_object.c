/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/se_run_object.h"

#include <errno.h>
#include <stdio.h>

#include "runtime/base/err.h"
#include "tools/output.h"

static json_t *ids_of(const struct se_run *run)
{
    const uint32_t *id = NULL;
    json_t *list = json_array();
    uint32_t n = run->writer.n > 0 ? se_edge_answer(run->edge.edge, &id, NULL) : 0;
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(id[i]));
    return list;
}

static json_t *object_of(const struct se_run *run, const char *error)
{
    const struct se_run_writer *w = &run->writer;
    return json_pack("{s:o, s:I, s:o*, s:b, s:b, s:I, s:s*, s:o}", "text",
                     json_stringn(w->text ? w->text : "", w->len), "tokens", (json_int_t)w->n,
                     "ids", run->o->ids_out ? ids_of(run) : NULL, "stopped", run->stopped,
                     "context_full", run->full, "seed", (json_int_t)run->sampling.seed, "error",
                     error, "summary", se_run_tally_json((struct se_run_tally *)&run->one));
}

int se_run_object_print(const struct se_run *run, const json_t *about, const char *error)
{
    json_t *object = about ? json_deep_copy(about) : json_object();
    json_t *answer = object_of(run, error);
    int r = object && answer ? json_object_update(object, answer) : -1;
    if (r == 0) {
        json_dumpf(object, stdout, JSON_REAL_PRECISION(9));
        putchar('\n');
    }
    json_decref(answer);
    json_decref(object);
    /* What failed to be written is told by the flush. */
    return r == 0 ? se_output_flush() : se_fail(-ENOMEM, "out of memory");
}
