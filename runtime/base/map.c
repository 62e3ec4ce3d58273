/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/map.h"

#include <errno.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

void se_map_fini(struct se_map *map)
{
    se_mem_free(map->cell);
    *map = SE_MAP_NULL;
}

static uint32_t place(const struct se_map *map, uint64_t key)
{
    uint64_t mixed = (key ^ map->secret) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(mixed >> 32) & map->mask;
}

/* The key's cell, or the free one where it would go. There always is one. */
static struct se_map_cell *find(const struct se_map *map, uint64_t key)
{
    uint32_t at = place(map, key);
    while (map->cell[at].value && map->cell[at].key != key)
        at = (at + 1) & map->mask;
    return &map->cell[at];
}

static int grow(struct se_map *map)
{
    uint32_t size = map->cell ? 2 * (map->mask + 1) : 16;
    struct se_map larger = { .mask = size - 1, .n = map->n, .secret = map->secret };
    if (size > 1u << 30)
        return se_fail(-ENOMEM, "a table of %u entries is too large", map->n);
    larger.cell = se_mem_zero(size, sizeof *larger.cell);
    if (!larger.cell)
        return se_trace(-ENOMEM);
    for (uint32_t i = 0; map->cell && i <= map->mask; i++)
        if (map->cell[i].value)
            *find(&larger, map->cell[i].key) = map->cell[i];
    se_mem_free(map->cell);
    *map = larger;
    return 0;
}

int se_map_set(struct se_map *map, uint64_t key, uint32_t value)
{
    int r = !map->cell || map->n >= (map->mask + 1) / 4 * 3 ? grow(map) : 0;
    if (r < 0)
        return r;
    struct se_map_cell *cell = find(map, key);
    map->n += !cell->value;
    *cell = (struct se_map_cell){ key, value + 1 };
    return 0;
}

bool se_map_get(const struct se_map *map, uint64_t key, uint32_t *value)
{
    const struct se_map_cell *cell = map->cell ? find(map, key) : NULL;
    if (!cell || !cell->value)
        return false;
    *value = cell->value - 1;
    return true;
}

/* Cells behind the freed one move up, as long as that brings them no further from their place
 * than it may: no search may end at a hole that was not there when they were put. */
void se_map_remove(struct se_map *map, uint64_t key)
{
    struct se_map_cell *cell = map->cell ? find(map, key) : NULL;
    if (!cell || !cell->value)
        return;
    uint32_t hole = (uint32_t)(cell - map->cell);
    for (uint32_t at = (hole + 1) & map->mask; map->cell[at].value; at = (at + 1) & map->mask) {
        uint32_t home = place(map, map->cell[at].key);
        if (((at - home) & map->mask) < ((at - hole) & map->mask))
            continue; /* its place lies behind the hole */
        map->cell[hole] = map->cell[at];
        hole = at;
    }
    map->cell[hole].value = 0;
    map->n--;
}
