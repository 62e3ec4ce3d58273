/* SPDX-License-Identifier: Apache-2.0 */
/* test_keyring [--long] - long: with as many keys as a list may have, seconds of arithmetic. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "transport/guard.h"

enum { KEYS = 4 };
static struct se_key_pair pair[KEYS];
static char text[KEYS][SE_KEY_TEXT_B];
static uint32_t many = 4000;

static struct se_keyring *parsed(const char *list)
{
    struct se_keyring *ring = NULL;
    if (se_keyring_parse(&ring, list, strlen(list), "keys.txt") < 0)
        fail_msg("%s", se_err_text());
    return ring;
}

/* %1 .. %3 in the list stand for keys. */
static const char *filled(const char *list)
{
    static char out[4096];
    size_t n = 0;
    for (const char *c = list; *c != 0; c++) {
        if (*c == '%')
            n += (size_t)snprintf(out + n, sizeof(out) - n, "%s", text[*++c - '0']);
        else
            out[n++] = *c;
    }
    out[n] = 0;
    return out;
}

static void refused(const char *list, const char *part)
{
    struct se_keyring *ring = NULL;
    const char *of = filled(list);
    if (se_keyring_parse(&ring, of, strlen(of), "keys.txt") >= 0)
        fail_msg("'%s' is let through", list);
    assert_null(ring);
    if (strstr(se_err_text(), part) == NULL || strncmp(se_err_text(), "keys.txt:", 9) != 0)
        fail_msg("'%s' does not say '%s'", se_err_text(), part);
}

static void a_list_says_who_may_come_and_how_much_each_may_have(void **state)
{
    (void)state;
    struct se_keyring *ring =
        parsed(filled("# who may come\r\n\r\n  %0 ann@home sessions=3 admin # since May\r\n"
                      "\t%1\tbob.b_1-x   tokens-per-second=250 sessions=1048576 \r\n"
                      "#%3 nobody\n%2 c revoked"));
    assert_int_equal(se_keyring_n(ring), 3);
    const struct se_keyring_entry *e = se_keyring_find(ring, &pair[0].open);
    assert_ptr_equal(e, se_keyring_at(ring, 0));
    assert_string_equal(e->name, "ann@home");
    assert_int_equal(e->sessions, 3);
    assert_int_equal(e->tokens_per_s, 0);
    assert_int_equal(e->line, 3);
    assert_true(e->admin && !e->revoked);
    e = se_keyring_find_curve(ring, &pair[1].curve_open);
    assert_ptr_equal(e, se_keyring_find(ring, &pair[1].open));
    assert_string_equal(e->name, "bob.b_1-x");
    assert_int_equal(e->sessions, 1048576);
    assert_int_equal(e->tokens_per_s, 250);
    assert_true(se_keyring_find(ring, &pair[2].open)->revoked);
    assert_null(se_keyring_find(ring, &pair[3].open));
    assert_null(se_keyring_find_curve(ring, &pair[3].curve_open));
    assert_null(se_keyring_find(ring, &pair[0].curve_open));
    assert_null(se_keyring_at(ring, 3));
    se_keyring_free(ring);
    ring = parsed("# nobody\n");
    assert_int_equal(se_keyring_n(ring), 0);
    assert_null(se_keyring_find(ring, &pair[0].open));
    se_keyring_free(ring);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    (void)state;
    refused("%0\n", "keys.txt:1: a key without a name");
    refused("# x\n%0 a\nxyz b\n", "keys.txt:3: no key");
    refused("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA b\n", "keys.txt:1: a key that nobody");
    refused("%0 a/b\n", "keys.txt:1: the name");
    refused("%0 abcdefghijklmnopqrstuvwxyz012345\n", "longer than 31");
    refused("%0 a sessions=0\n", "'sessions=0'");
    refused("%0 a sessions=01\n", "'sessions=01'");
    refused("%0 a sessions=1048577\n", "from 1 to 1048576");
    refused("%0 a sessions=-1\n", "'sessions=-1'");
    refused("%0 a sessions=\n", "'sessions='");
    refused("%0 a sessions=99999999999999999999\n", "from 1");
    refused("%0 a tokens-per-second=1000000001\n", "from 1 to 1000000000");
    refused("%0 a sessions=1 sessions=2\n", "sessions is said twice");
    refused("%0 a admin admin\n", "admin is said twice");
    refused("%0 a Admin\n", "'Admin' is none of");
    refused("%0 a sessions\n", "'sessions' is none of");
    refused("%0 a sessions=1 tokens-per-second=1 admin revoked more\n", "more words");
    refused("%0 a\xc3\xa4\n", "printable");
    refused("%0 a\n%1 a\n", "keys.txt:2: the name of line 1");
    refused("%0 a\n\n%0 b revoked\n", "keys.txt:3: the key of line 1");
    char list[2000];
    memset(list, ' ', sizeof(list) - 1);
    list[sizeof(list) - 1] = 0;
    refused(list, "keys.txt:1: longer than 1024");
    struct se_keyring *ring;
    assert_int_equal(se_keyring_parse(&ring, "a\0b", 3, "keys.txt"), -EINVAL);
    assert_int_equal(se_keyring_load(&ring, "/nowhere/at/all"), -ENOENT);
}

/* The same point with its other sign has the same key of CURVE. */
static void a_key_and_its_negative_are_one(void **state)
{
    struct se_key minus = pair[0].open;
    char other[SE_KEY_TEXT_B], list[256];
    struct se_keyring *ring;
    (void)state;
    minus.b[SE_KEY_B - 1] ^= 0x80;
    snprintf(list, sizeof(list), "%s a revoked\n%s b\n", text[0], se_key_text(&minus, other));
    assert_int_equal(se_keyring_parse(&ring, list, strlen(list), "keys.txt"), -EEXIST);
    assert_non_null(strstr(se_err_text(), "keys.txt:2: the key of line 1"));
}

static void many_keys_are_found_fast(void **state)
{
    char *list = malloc((size_t)many * 64), *at = list, one[SE_KEY_TEXT_B];
    struct se_key_pair some = pair[0];
    struct se_keyring *ring = NULL;
    (void)state;
    assert_non_null(list);
    for (uint32_t i = 0; i < many; i++) {
        assert_int_equal(se_key_make(&some), 0);
        at += sprintf(at, "%s n%u\n", se_key_text(&some.open, one), i);
    }
    assert_int_equal(se_keyring_parse(&ring, list, (size_t)(at - list), "keys.txt"), 0);
    assert_int_equal(se_keyring_n(ring), many);
    const uint64_t start = se_clock_ns();
    for (uint32_t i = 0; i < many; i++) {
        const struct se_keyring_entry *e = se_keyring_at(ring, i);
        assert_ptr_equal(se_keyring_find(ring, &e->key), e);
        assert_ptr_equal(se_keyring_find_curve(ring, &e->curve), e);
    }
    assert_true((se_clock_ns() - start) / many < 50000); /* with sanitizers, on a busy machine */
    se_keyring_free(ring);
    free(list);
}

static void more_keys_than_a_list_may_have_are_not_even_read(void **state)
{
    const size_t len = (size_t)(SE_KEYRING_MAX + 1) * 4;
    char *list = malloc(len);
    struct se_keyring *ring;
    (void)state;
    assert_non_null(list);
    for (size_t i = 0; i < len; i += 4)
        memcpy(list + i, "x y\n", 4);
    assert_int_equal(se_keyring_parse(&ring, list, len, "keys.txt"), -E2BIG);
    assert_non_null(strstr(se_err_text(), "keys.txt:65537: more than 65536 keys"));
    free(list);
}

static struct {
    int n;
    enum se_guard_refusal refusal;
    const struct se_key *key;
    const struct se_keyring_entry *entry;
} told;

static void tell(void *context, enum se_guard_refusal refusal, const struct se_key *key,
                 const struct se_keyring_entry *entry)
{
    assert_ptr_equal(context, &told);
    told.n++;
    told.refusal = refusal;
    told.key = key;
    told.entry = entry;
}

static void a_guard_admits_who_is_in_its_ring(void **state)
{
    (void)state;
    struct se_guard guard = { .tell = tell, .context = &told };
    assert_null(se_guard_admit(&guard, &pair[0].open)); /* without a ring, nobody */
    struct se_keyring *ring = parsed(filled("%0 a\n%1 b admin\n%2 c admin revoked\n"));
    guard.ring = ring;
    assert_string_equal(se_guard_admit(&guard, &pair[0].open)->name, "a");
    assert_string_equal(se_guard_admit_curve(&guard, &pair[1].curve_open)->name, "b");
    assert_int_equal(told.n, 1);
    assert_null(se_guard_admit(&guard, &pair[3].open));
    assert_true(told.refusal == SE_GUARD_UNKNOWN && told.key == &pair[3].open && !told.entry);
    assert_null(se_guard_admit_curve(&guard, &pair[3].curve_open));
    assert_true(told.refusal == SE_GUARD_UNKNOWN && told.key == NULL);
    assert_null(se_guard_admit_curve(&guard, &pair[2].curve_open));
    assert_true(told.refusal == SE_GUARD_REVOKED && se_key_equal(told.key, &pair[2].open));
    assert_string_equal(told.entry->name, "c");
    guard.admins_only = true;
    assert_null(se_guard_admit(&guard, &pair[0].open));
    assert_true(told.refusal == SE_GUARD_ADMIN);
    assert_string_equal(se_guard_admit(&guard, &pair[1].open)->name, "b");
    assert_int_equal(guard.refused[SE_GUARD_UNKNOWN], 3);
    assert_int_equal(guard.refused[SE_GUARD_REVOKED], 1);
    assert_int_equal(guard.refused[SE_GUARD_ADMIN], 1);
    guard.tell = NULL;
    se_guard_refuse(&guard, SE_GUARD_FORGED, NULL, NULL);
    assert_int_equal(guard.refused[SE_GUARD_FORGED], 1);
    assert_int_equal(told.n, 5);
    for (int i = 0; i < SE_GUARD_REFUSALS; i++)
        assert_true(strlen(se_guard_refusal_text((enum se_guard_refusal)i)) > 5);
    se_keyring_free(ring);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_says_who_may_come_and_how_much_each_may_have),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(a_key_and_its_negative_are_one),
        cmocka_unit_test(many_keys_are_found_fast),
        cmocka_unit_test(more_keys_than_a_list_may_have_are_not_even_read),
        cmocka_unit_test(a_guard_admits_who_is_in_its_ring),
    };
    if (argc > 1 && strcmp(argv[1], "--long") == 0)
        many = SE_KEYRING_MAX;
    for (int i = 0; i < KEYS; i++) {
        const int r = se_key_make(&pair[i]);
        if (r == -ENOTSUP)
            printf("skipped: %s\n", se_err_text());
        if (r < 0)
            return r == -ENOTSUP ? 77 : 1;
        se_key_text(&pair[i].open, text[i]);
    }
    return cmocka_run_group_tests_name("keyring", tests, NULL, NULL) != 0;
}
