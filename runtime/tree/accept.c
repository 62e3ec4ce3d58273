/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/tree/accept.h"

uint32_t se_accept_walk(const int32_t *parent, const uint32_t *token, const uint32_t *sampled,
                        uint32_t n, uint32_t *path, uint32_t *bonus)
{
    uint32_t at = 0, n_path = 1;
    path[0] = 0;
    /* A child stands behind its parent, so one pass finds the whole way. */
    for (uint32_t i = 1; i < n; i++) {
        uint32_t above = parent ? (uint32_t)parent[i] : i - 1;
        if (above == at && token[i] == sampled[at]) {
            at = i;
            path[n_path++] = i;
        }
    }
    *bonus = sampled[at];
    return n_path;
}
