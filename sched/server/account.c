/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/account.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { WAIT_LEAST_MS = 100 }; /* to be told for every token would help nobody */

int se_accounts_init(struct se_accounts *all, uint64_t secret)
{
    *all = (struct se_accounts){ .by_name = { .secret = secret } };
    all->of = se_mem_zero(SE_KEYRING_MAX, sizeof(struct se_account *));
    return all->of ? 0 : se_trace(-ENOMEM);
}

void se_accounts_fini(struct se_accounts *all)
{
    for (uint32_t i = 0; all->of && i < se_accounts_n(all); i++)
        se_mem_free(all->of[i]);
    se_mem_free(all->of);
    se_map_fini(&all->by_name);
    *all = (struct se_accounts){ 0 };
}

static uint64_t word_of(const char *name)
{
    uint64_t word = UINT64_C(0xcbf29ce484222325);
    for (const char *at = name; *at; at++)
        word = (word ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    return word;
}

/* *word becomes the one that it is found by, or would be: another name's may be the same, and then
 * the next one is this one's. */
static struct se_account *find(const struct se_accounts *all, const char *name, uint64_t *word)
{
    uint32_t at;
    for (*word = word_of(name); se_map_get(&all->by_name, *word, &at); ++*word) {
        if (strcmp(all->of[at]->name, name) == 0)
            return all->of[at];
    }
    return NULL;
}

static void allow(struct se_account *account, const struct se_keyring_entry *entry)
{
    account->allowed = !entry->revoked;
    account->sessions_max = entry->sessions;
    account->tokens_per_s = entry->tokens_per_s;
}

static struct se_account *add(struct se_accounts *all, const struct se_keyring_entry *entry,
                              uint64_t word)
{
    uint32_t n = se_accounts_n(all);
    struct se_account *account = n < SE_KEYRING_MAX ? se_mem_zero(1, sizeof *account) : NULL;
    if (!account || se_map_set(&all->by_name, word, n) < 0) {
        se_mem_free(account);
        return NULL;
    }
    memcpy(account->name, entry->name, sizeof account->name);
    account->credit = entry->tokens_per_s;
    all->of[n] = account;
    /* [accounts.n] release, pairs with the acquire in se_accounts_n(). */
    atomic_store_explicit(&all->n, n + 1, memory_order_release);
    return account;
}

struct se_account *se_account_of(struct se_accounts *all, const struct se_keyring_entry *entry)
{
    uint64_t word;
    struct se_account *account = find(all, entry->name, &word);
    if (!account)
        account = add(all, entry, word);
    if (account)
        allow(account, entry);
    return account;
}

void se_accounts_renew(struct se_accounts *all, const struct se_keyring *ring)
{
    uint64_t word;
    for (uint32_t i = 0; i < se_accounts_n(all); i++)
        all->of[i]->allowed = false;
    for (uint32_t i = 0; i < se_keyring_n(ring); i++) {
        const struct se_keyring_entry *entry = se_keyring_at(ring, i);
        struct se_account *account = find(all, entry->name, &word);
        if (account)
            allow(account, entry);
    }
}

bool se_account_has_place(const struct se_account *account)
{
    return account->sessions_max == 0 || account->n_sessions < account->sessions_max;
}

bool se_account_has_seat(const struct se_account *account)
{
    return account->n_peers < SE_ACCOUNT_PEERS_MAX;
}

void se_account_take(struct se_account *account) { account->credit -= 1; }

uint32_t se_account_wait_ms(struct se_account *account, uint64_t now_ns)
{
    const double rate = account->tokens_per_s;
    if (rate <= 0) {
        account->credit = 0;
        return 0;
    }
    if (account->credited_ns != 0)
        account->credit += (double)(now_ns - account->credited_ns) * 1e-9 * rate;
    account->credited_ns = now_ns;
    if (account->credit > rate)
        account->credit = rate;
    if (account->credit >= 0)
        return 0;
    const uint32_t ms = 1 + (uint32_t)(-account->credit / rate * 1000);
    return ms > WAIT_LEAST_MS ? ms : WAIT_LEAST_MS;
}

void se_account_session(struct se_account *account, int32_t more)
{
    account->n_sessions += (uint32_t)more;
    /* relaxed, here and below: each number stands for itself. */
    atomic_store_explicit(&account->count[SE_ACCOUNT_SESSIONS], account->n_sessions,
                          memory_order_relaxed);
}

/* One thread writes. */
void se_account_add(struct se_account *account, enum se_account_count what, uint64_t amount)
{
    uint64_t before = atomic_load_explicit(&account->count[what], memory_order_relaxed);
    atomic_store_explicit(&account->count[what], before + amount, memory_order_relaxed);
}

enum se_account_count se_account_sum(enum se_histogram which)
{
    return which == SE_HISTOGRAM_VERIFY ? SE_ACCOUNT_VERIFY_SUM : SE_ACCOUNT_SHARE_SUM;
}

enum se_account_count se_account_first(enum se_histogram which)
{
    return which == SE_HISTOGRAM_VERIFY ? SE_ACCOUNT_VERIFY_LE : SE_ACCOUNT_SHARE_LE;
}

void se_account_observe(struct se_account *account, enum se_histogram which, uint64_t value)
{
    uint32_t bucket = se_histogram_bucket(which, value) - se_histograms[which].first;
    se_account_add(account, (enum se_account_count)(se_account_first(which) + bucket), 1);
    se_account_add(account, se_account_sum(which), value);
}

void se_account_spend(struct se_account *account, uint32_t tokens)
{
    se_account_add(account, SE_ACCOUNT_TOKENS, tokens);
    account->credit -= tokens - 1.0; /* the first was paid when it was taken */
}

uint32_t se_accounts_n(const struct se_accounts *all)
{
    /* [accounts.n] acquire, pairs with the release in add(). */
    return atomic_load_explicit(&all->n, memory_order_acquire);
}

uint64_t se_account_get(const struct se_account *account, enum se_account_count what)
{
    return atomic_load_explicit(&account->count[what], memory_order_relaxed);
}
