/* SPDX-License-Identifier: Apache-2.0 */
/* What keys may have: sessions, tokens of a second, and what a new list makes of them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "sched/server/account.h"

#define S_NS UINT64_C(1000000000)
enum { MANY = 2000 };

static struct se_keyring_entry entry(const char *name, uint32_t sessions, uint32_t tokens_per_s)
{
    struct se_keyring_entry e = { .sessions = sessions, .tokens_per_s = tokens_per_s };
    snprintf(e.name, sizeof e.name, "%s", name);
    return e;
}

static int set_up(void **state)
{
    static struct se_accounts all;
    assert_int_equal(se_accounts_init(&all, 7), 0);
    *state = &all;
    return 0;
}

static int tear_down(void **state)
{
    se_accounts_fini(*state);
    return 0;
}

static void a_name_has_one_account(void **state)
{
    struct se_accounts *all = *state;
    const struct se_keyring_entry alice = entry("alice", 2, 0), bob = entry("bob", 0, 0);
    struct se_account *a = se_account_of(all, &alice);
    assert_non_null(a);
    assert_ptr_not_equal(se_account_of(all, &bob), a);
    struct se_keyring_entry other_key = alice;
    memset(other_key.key.b, 1, sizeof other_key.key.b);
    assert_ptr_equal(se_account_of(all, &other_key), a);
    assert_int_equal(se_accounts_n(all), 2);
    assert_string_equal(a->name, "alice");
}

static void sessions_have_a_limit(void **state)
{
    const struct se_keyring_entry two = entry("two", 2, 0), any = entry("any", 0, 0);
    struct se_account *a = se_account_of(*state, &two), *b = se_account_of(*state, &any);
    for (int i = 0; i < 2; i++) {
        assert_true(se_account_has_place(a));
        se_account_session(a, 1);
    }
    assert_false(se_account_has_place(a));
    assert_int_equal(se_account_get(a, SE_ACCOUNT_SESSIONS), 2);
    se_account_session(a, -1);
    assert_true(se_account_has_place(a));
    for (int i = 0; i < 100; i++)
        se_account_session(b, 1);
    assert_true(se_account_has_place(b));
}

static void have(struct se_account *account, uint32_t tokens)
{
    se_account_take(account);
    se_account_spend(account, tokens);
}

/* Many sessions that ask at the same moment: each round that is taken counts before it is answered. */
static void rounds_are_paid_when_they_are_taken(void **state)
{
    const struct se_keyring_entry slow = entry("slow", 0, 5);
    struct se_account *a = se_account_of(*state, &slow);
    uint32_t taken = 0;
    while (se_account_wait_ms(a, S_NS) == 0 && taken < 100) {
        se_account_take(a);
        taken++;
    }
    assert_int_equal(taken, 6);
}

/* However many it takes at once, over a while it has no more than its rate. */
static void tokens_have_a_rate(void **state)
{
    const struct se_keyring_entry slow = entry("slow", 0, 50), free = entry("free", 0, 0);
    struct se_account *a = se_account_of(*state, &slow);
    uint64_t now_ns = 5 * S_NS, begun_ns = now_ns, had = 0, waited = 0;
    while (now_ns < begun_ns + 20 * S_NS) {
        const uint32_t wait_ms = se_account_wait_ms(a, now_ns);
        if (wait_ms == 0) {
            have(a, 7);
            had += 7;
            now_ns += 1000000;
        } else {
            assert_true(wait_ms <= 1000);
            now_ns += wait_ms * UINT64_C(1000000);
            waited++;
        }
    }
    assert_true(waited > 0);
    assert_in_range(had, 20 * 50, 21 * 50 + 2 * 7); /* a second's worth, and the last round */
    assert_int_equal(se_account_get(a, SE_ACCOUNT_TOKENS), had);
    struct se_account *b = se_account_of(*state, &free);
    have(b, 1000000);
    assert_int_equal(se_account_wait_ms(b, now_ns), 0);
}

/* A pause does not save up more than a second's worth. */
static void nothing_is_saved_up(void **state)
{
    const struct se_keyring_entry slow = entry("slow", 0, 10);
    struct se_account *a = se_account_of(*state, &slow);
    assert_int_equal(se_account_wait_ms(a, S_NS), 0);
    assert_int_equal(se_account_wait_ms(a, 3600 * S_NS), 0);
    have(a, 11);
    assert_int_not_equal(se_account_wait_ms(a, 3600 * S_NS), 0);
    assert_int_equal(se_account_wait_ms(a, 3600 * S_NS + S_NS / 5), 0);
}

static struct se_keyring *ring_of(const char *text)
{
    struct se_keyring *ring = NULL;
    assert_int_equal(se_keyring_parse(&ring, text, strlen(text), "keys"), 0);
    return ring;
}

static void a_new_list_changes_what_they_may(void **state)
{
    struct se_key_pair pair[2];
    char key[2][SE_KEY_TEXT_B], text[512];
    for (int i = 0; i < 2; i++) {
        if (se_key_make(&pair[i]) < 0)
            skip(); /* no libsodium: there are no lists either */
        se_key_text(&pair[i].open, key[i]);
    }
    snprintf(text, sizeof text, "%s alice sessions=3\n%s bob\n", key[0], key[1]);
    struct se_keyring *ring = ring_of(text);
    struct se_account *a = se_account_of(*state, se_keyring_at(ring, 0));
    struct se_account *b = se_account_of(*state, se_keyring_at(ring, 1));
    assert_true(a->allowed && b->allowed);
    assert_int_equal(se_keyring_find(ring, &pair[0].open)->sessions, 3);
    se_keyring_free(ring);

    snprintf(text, sizeof text, "%s bob sessions=1 tokens-per-second=9\n%s carol\n", key[0],
             key[1]);
    ring = ring_of(text);
    se_accounts_renew(*state, ring);
    assert_false(a->allowed);
    assert_true(b->allowed);
    assert_int_equal(b->sessions_max, 1);
    assert_int_equal(b->tokens_per_s, 9);
    assert_int_equal(se_accounts_n(*state), 2); /* carol has not come */
    se_keyring_free(ring);

    snprintf(text, sizeof text, "%s bob revoked\n", key[0]);
    ring = ring_of(text);
    se_accounts_renew(*state, ring);
    assert_false(b->allowed);
    se_keyring_free(ring);
}

static void distributions_add_up(void **state)
{
    const struct se_keyring_entry any = entry("any", 0, 0);
    static const enum se_histogram which[] = { SE_HISTOGRAM_VERIFY, SE_HISTOGRAM_SHARE };
    struct se_account *a = se_account_of(*state, &any);
    for (int k = 0; k < 2; k++) {
        const struct se_histogram_shape *shape = &se_histograms[which[k]];
        uint64_t sum = 0, count = 0;
        for (uint32_t i = 0; i < shape->n; i++) {
            se_account_observe(a, which[k], shape->bound[i]);
            se_account_observe(a, which[k], shape->bound[i] + 1);
            sum += 2 * shape->bound[i] + 1;
        }
        for (uint32_t i = 0; i <= shape->n; i++)
            count += se_account_get(a, (enum se_account_count)(se_account_first(which[k]) + i));
        assert_int_equal(count, 2 * shape->n);
        assert_int_equal(se_account_get(a, se_account_sum(which[k])), sum);
        assert_int_equal(se_account_get(a, se_account_first(which[k])),
                         1 + (shape->bound[0] == 0 && shape->bound[1] == 1));
    }
}

static bool reads_well(const struct se_account *account)
{
    return account->name[0] == 'n' && se_account_get(account, SE_ACCOUNT_ROUNDS) <= 1;
}

/* Gives its context back if anything is wrong. */
static void *read_names(void *context)
{
    struct se_accounts *all = context;
    uint32_t n;
    do {
        n = se_accounts_n(all);
        for (uint32_t i = 0; i < n; i++)
            if (!reads_well(all->of[i]))
                return context;
    } while (n < MANY);
    return NULL;
}

/* The test of [accounts.n]. */
static void others_read_meanwhile(void **state)
{
    pthread_t reader;
    void *fault = NULL;
    assert_int_equal(pthread_create(&reader, NULL, read_names, *state), 0);
    for (int i = 0; i < MANY; i++) {
        char name[SE_KEYRING_NAME_B];
        snprintf(name, sizeof name, "n%d", i);
        const struct se_keyring_entry e = entry(name, 0, 0);
        struct se_account *account = se_account_of(*state, &e);
        assert_non_null(account);
        se_account_add(account, SE_ACCOUNT_ROUNDS, 1);
    }
    pthread_join(reader, &fault);
    assert_null(fault);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_has_one_account), TEST(sessions_have_a_limit),
        TEST(tokens_have_a_rate),     TEST(rounds_are_paid_when_they_are_taken),
        TEST(nothing_is_saved_up),    TEST(a_new_list_changes_what_they_may),
        TEST(distributions_add_up),   TEST(others_read_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
