/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/ids.h"

#include <string.h>

#include "runtime/base/mem.h"

int se_ids_add(struct se_ids *ids, const uint32_t *id, size_t n)
{
    int r = se_mem_grow(&ids->id, &ids->cap, ids->n + n, sizeof *ids->id);
    if (r < 0)
        return r;
    if (n > 0)
        memcpy(ids->id + ids->n, id, n * sizeof *id);
    ids->n += n;
    return 0;
}

void se_ids_fini(struct se_ids *ids)
{
    se_mem_free(ids->id);
    *ids = SE_IDS_NULL;
}
