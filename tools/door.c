/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/door.h"

#include <inttypes.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"

static const uint64_t second_ns = 1000000000;

static void tell(void *context, enum se_guard_refusal refusal, const struct se_key *key,
                 const struct se_keyring_entry *entry)
{
    struct se_door *door = context;
    char text[SE_KEY_TEXT_B];
    const uint64_t now_ns = se_clock_ns(), refused = door->guard.refused[refusal];
    if (door->told_ns[refusal] != 0 && now_ns - door->told_ns[refusal] < second_ns)
        return;
    const uint64_t untold = refused - door->told[refusal];
    door->told_ns[refusal] = now_ns;
    door->told[refusal] = refused;
    if (untold > 1)
        se_log(SE_LOG_WARN, "turned away %" PRIu64 " connections: %s; the last: %s", untold,
               se_guard_refusal_text(refusal),
               key ? se_key_text(key, text) : "one that is not known here");
    else
        se_log(SE_LOG_WARN, "turned away: key %s%s%s%s: %s",
               key ? se_key_text(key, text) : "not known here", entry ? " (" : "",
               entry ? entry->name : "", entry ? ")" : "", se_guard_refusal_text(refusal));
}

int se_door_open(struct se_door *door, const char *own, const char *list, bool admins_only)
{
    *door = (struct se_door){ .guard = { .admins_only = admins_only, .tell = tell } };
    int r = se_key_load(&door->guard.own, own);
    if (r == 0)
        r = se_keyring_load(&door->ring, list);
    if (r < 0) {
        se_door_close(door);
        return se_trace(r);
    }
    door->guard.ring = door->ring;
    door->guard.context = door;
    return 0;
}

void se_door_close(struct se_door *door)
{
    se_key_wipe(&door->guard.own);
    se_keyring_free(door->ring);
    door->ring = NULL;
}
