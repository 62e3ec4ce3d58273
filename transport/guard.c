/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/guard.h"

#include <stddef.h>

static const char *const texts[SE_GUARD_REFUSALS] = {
    [SE_GUARD_UNKNOWN] = "not in the list of keys",
    [SE_GUARD_REVOKED] = "revoked in the list of keys",
    [SE_GUARD_FORGED] = "not proved",
    [SE_GUARD_ADMIN] = "no admin in the list of keys",
};

const char *se_guard_refusal_text(enum se_guard_refusal refusal)
{
    return (unsigned)refusal < SE_GUARD_REFUSALS ? texts[refusal] : "refused";
}

void se_guard_refuse(struct se_guard *guard, enum se_guard_refusal refusal,
                     const struct se_key *key, const struct se_keyring_entry *entry)
{
    guard->refused[refusal]++;
    if (guard->tell != NULL)
        guard->tell(guard->context, refusal, key, entry);
}

enum se_guard_refusal se_guard_judge(const struct se_guard *guard,
                                     const struct se_keyring_entry *entry)
{
    if (entry == NULL)
        return SE_GUARD_UNKNOWN;
    if (entry->revoked)
        return SE_GUARD_REVOKED;
    return guard->admins_only && !entry->admin ? SE_GUARD_ADMIN : SE_GUARD_REFUSALS;
}

static const struct se_keyring_entry *admit(struct se_guard *guard, const struct se_key *key,
                                            const struct se_keyring_entry *entry)
{
    const enum se_guard_refusal against = se_guard_judge(guard, entry);
    if (against == SE_GUARD_REFUSALS)
        return entry;
    se_guard_refuse(guard, against, key, entry);
    return NULL;
}

const struct se_keyring_entry *se_guard_admit(struct se_guard *guard, const struct se_key *key)
{
    return admit(guard, key, guard->ring == NULL ? NULL : se_keyring_find(guard->ring, key));
}

/* Of a stranger only the Curve25519 key is known, and no text of a list has that. */
const struct se_keyring_entry *se_guard_admit_curve(struct se_guard *guard,
                                                    const struct se_key *curve)
{
    const struct se_keyring_entry *entry =
        guard->ring == NULL ? NULL : se_keyring_find_curve(guard->ring, curve);
    return admit(guard, entry == NULL ? NULL : &entry->key, entry);
}
