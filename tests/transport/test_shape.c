/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/rng.h"
#include "tests/transport/messages.h"
#include "transport/shape.h"

static uint64_t seed;

/* The picture in the header. */
static void test_picture(void **state)
{
    (void)state;
    static const int32_t parent[] = { -1, 0, 0, 1, 1, 2 };
    uint8_t bits[2];
    assert_int_equal(se_shape_size(6), 3 - 1);
    se_shape_put(parent, 6, bits);
    assert_int_equal(bits[0], 0x5b); /* 11011010, first bit lowest */
    assert_int_equal(bits[1], 0x00);
    assert_int_equal(se_shape_size(1), 0);
    assert_int_equal(se_shape_size(33), 8);
}

/* All strings of bits for up to 7 nodes: exactly those that are trees are taken, each gives a
 * different one, and there are as many as Catalan counts. */
static void test_every_string(void **state)
{
    (void)state;
    static const uint32_t catalan[] = { 1, 1, 2, 5, 14, 42, 132 };
    for (uint32_t n = 1; n <= 7; n++) {
        uint32_t trees = 0, size_b = (uint32_t)se_shape_size(n);
        for (uint32_t word = 0; word < 1u << (8 * size_b); word++) {
            uint8_t bits[2] = { (uint8_t)word, (uint8_t)(word >> 8) }, again[2] = { 0 };
            int32_t parent[7];
            if (!se_shape_get(bits, n, parent))
                continue;
            trees++;
            assert_int_equal(parent[0], -1);
            assert_true(se_shape_ordered(parent, n));
            se_shape_put(parent, n, again);
            assert_memory_equal(bits, again, size_b);
        }
        assert_int_equal(trees, catalan[n - 1]);
    }
}

static void test_ordered(void **state)
{
    (void)state;
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int turn = 0; turn < 2000; turn++) {
        static int32_t parent[SE_SHAPE_NODES_MAX], back[SE_SHAPE_NODES_MAX];
        uint32_t n = 1 + se_rng_below(&rng, turn % 10 ? 70 : SE_SHAPE_NODES_MAX);
        size_t size_b = se_shape_size(n);
        uint8_t *bits = malloc(size_b + 1);
        uint16_t order[SE_SHAPE_NODES_MAX];
        assert_non_null(bits);
        tree_any(&rng, n, true, parent);
        se_shape_put(parent, n, bits);
        assert_true(se_shape_get(bits, n, back));
        assert_memory_equal(parent, back, n * sizeof *parent);
        assert_true(se_shape_order(parent, n, order));
        for (uint32_t k = 0; k < n; k++)
            assert_int_equal(order[k], k);
        free(bits);
    }
}

/* A node's ancestors, by token: what must not change when the numbering does. */
static void assert_same_way(const int32_t *parent, const uint32_t *token, uint32_t node,
                            const int32_t *other_parent, const uint32_t *other_token,
                            uint32_t other)
{
    while (node && other) {
        assert_int_equal(token[node], other_token[other]);
        node = (uint32_t)parent[node];
        other = (uint32_t)other_parent[other];
    }
    assert_int_equal(node, 0);
    assert_int_equal(other, 0);
}

static void test_any_order(void **state)
{
    (void)state;
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int turn = 0; turn < 500; turn++) {
        int32_t parent[200], sent[200];
        uint32_t token[200], sent_token[200], path[200], n = 1 + se_rng_below(&rng, 200);
        uint16_t order[200];
        bool seen[200] = { false };
        tree_any(&rng, n, false, parent);
        for (uint32_t i = 0; i < n; i++)
            token[i] = 1000 + i;
        assert_true(se_shape_order(parent, n, order));
        se_shape_arrange(parent, token, n, order, sent, sent_token);
        assert_int_equal(sent[0], -1);
        assert_true(se_shape_ordered(sent, n));
        for (uint32_t k = 0; k < n; k++) {
            assert_false(seen[order[k]]);
            seen[order[k]] = true;
            assert_same_way(sent, sent_token, k, parent, token, order[k]);
            if (k > 0 && sent[k] == sent[k - 1])
                assert_true(order[k] > order[k - 1]); /* siblings keep their order */
        }
        uint32_t last = se_rng_below(&rng, n), depth = 1;
        for (uint32_t at = last; at; at = (uint32_t)sent[at])
            depth++;
        assert_true(se_shape_path(sent, n, last, depth, path));
        assert_int_equal(path[0], 0);
        assert_int_equal(path[depth - 1], last);
        for (uint32_t i = 1; i < depth; i++)
            assert_int_equal(sent[path[i]], path[i - 1]);
        assert_false(se_shape_path(sent, n, last, depth - 1, path));
        assert_false(se_shape_path(sent, n, last, depth + 1, path));
        assert_false(se_shape_path(sent, n, n, depth, path));
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const int32_t backward[] = { -1, 0, 1, 0 }, self[] = { -1, 0, 2 },
                         lost[] = { -1, 0, -1 };
    uint16_t order[4];
    assert_false(se_shape_ordered(backward, 4));
    assert_true(se_shape_order(backward, 4, order)); /* any order will do for the mapping */
    assert_false(se_shape_ordered(self, 3));
    assert_false(se_shape_order(self, 3, order));
    assert_false(se_shape_ordered(lost, 3));
    assert_false(se_shape_order(lost, 3, order));
}

int main(void)
{
    const char *given = getenv("SE_TEST_SEED");
    seed = given ? strtoull(given, NULL, 0) : 1;
    print_message("SE_TEST_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture), cmocka_unit_test(test_every_string),
        cmocka_unit_test(test_ordered), cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
