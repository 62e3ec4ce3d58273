/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/map.h - numbers found by a 64-bit key. One thread at a time.
 *
 * Open addressing; grows by doubling, and a removal leaves no mark behind. The place of a key
 * is keyed by a secret, so that whoever chooses keys cannot make them collide. */
#ifndef SE_RUNTIME_BASE_MAP_H
#define SE_RUNTIME_BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct se_map_cell {
    uint64_t key;
    uint32_t value; /* + 1; 0: free */
};

struct se_map {
    struct se_map_cell *cell; /* mask + 1 of them, at most three quarters in use */
    uint32_t n, mask;
    uint64_t secret;
};
#define SE_MAP_NULL ((struct se_map){ 0 })

void se_map_fini(struct se_map *map);

/* value < UINT32_MAX; replaces what the key had. 0 or -ENOMEM, nothing changed. */
int se_map_set(struct se_map *map, uint64_t key, uint32_t value);
bool se_map_get(const struct se_map *map, uint64_t key, uint32_t *value);
void se_map_remove(struct se_map *map, uint64_t key); /* no such key is fine */

#endif
