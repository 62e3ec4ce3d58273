/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/tree/tree.h"
#include "tests/tree/table.h"

enum { VOCAB = 4000, ROUNDS = 300 };

static void assert_refused(const int32_t *parent, const uint32_t *token, uint32_t n,
                           const char *text)
{
    assert_int_equal(se_tree_check(parent, token, n, VOCAB), -EINVAL);
    if (!strstr(se_err_text(), text))
        fail_msg("\"%s\" does not say \"%s\"", se_err_text(), text);
}

static void every_rule_is_checked(void **state)
{
    const int32_t good[] = { -1, 0, 0, 2 }, late[] = { -1, 0, 3, 2 }, self[] = { -1, 0, 2, 2 };
    const int32_t rootless[] = { 0, 0, 0, 2 }, two[] = { -1, 0, -1, 2 }, low[] = { -1, 0, -2, 2 };
    const int32_t huge[] = { -1, 0, INT32_MAX, 2 }, least[] = { INT32_MIN, 0, 0, 2 };
    const uint32_t token[] = { 5, 6, 7, 6 }, twin[] = { 5, 7, 7, 6 }, beyond[] = { 5, 6, 7, VOCAB };
    const uint32_t root_beyond[] = { UINT32_MAX, 6, 7, 6 };
    (void)state;
    assert_int_equal(se_tree_check(good, token, 4, VOCAB), 0);
    assert_int_equal(se_tree_check(good, token, 1, VOCAB), 0);
    assert_int_equal(se_tree_check(NULL, token, 4, VOCAB), 0);
    assert_refused(good, token, 0, "1 to 1024 nodes, not 0");
    assert_refused(good, token, SE_TREE_MAX + 1, "not 1025"); /* and nothing is read */
    assert_refused(late, token, 4, "node 2: its parent 3");
    assert_refused(self, token, 4, "node 2: its parent 2");
    assert_refused(two, token, 4, "node 2: its parent -1");
    assert_refused(low, token, 4, "node 2: its parent -2");
    assert_refused(huge, token, 4, "node 2: its parent 2147483647");
    assert_refused(rootless, token, 4, "node 0");
    assert_refused(least, token, 4, "node 0");
    assert_refused(good, twin, 4, "node 2: a sibling of it carries token 7");
    assert_refused(good, beyond, 4, "node 3: token 4000 is not below 4000");
    assert_refused(NULL, beyond, 4, "node 3: token 4000");
    assert_refused(good, root_beyond, 4, "node 0: token 4294967295");
}

static void draw_tree(struct se_rng *rng, int32_t *parent, uint32_t *token, uint32_t n)
{
    uint32_t reach = 1 + se_rng_below(rng, n); /* 1: a chain; n: a bush */
    parent[0] = -1;
    token[0] = se_rng_below(rng, VOCAB);
    for (uint32_t i = 1; i < n; i++) {
        uint32_t least = i > reach ? i - reach : 0;
        parent[i] = (int32_t)(least + se_rng_below(rng, i - least));
        token[i] = i; /* distinct, wherever it hangs */
    }
}

static void the_largest_trees_pass_and_a_twin_is_found(void **state)
{
    static int32_t parent[SE_TREE_MAX];
    static uint32_t token[SE_TREE_MAX];
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, test_seed(), SE_RNG_TEST);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n = round % 3 ? 2 + se_rng_below(&rng, SE_TREE_MAX - 1) : SE_TREE_MAX;
        draw_tree(&rng, parent, token, n);
        assert_int_equal(se_tree_check(parent, token, n, VOCAB), 0);
        uint32_t i = 1 + se_rng_below(&rng, n - 1), j = 1 + se_rng_below(&rng, n - 1);
        token[i] = token[j];
        assert_int_equal(se_tree_check(parent, token, n, VOCAB),
                         i != j && parent[i] == parent[j] ? -EINVAL : 0);
    }
    for (uint32_t i = 1; i < SE_TREE_MAX; i++) { /* a star */
        parent[i] = 0;
        token[i] = 3 * i;
    }
    assert_int_equal(se_tree_check(parent, token, SE_TREE_MAX, VOCAB), 0);
    token[SE_TREE_MAX - 1] = token[1];
    assert_refused(parent, token, SE_TREE_MAX, "node 1023");
}

static void masks_are_the_ways_to_the_root(void **state)
{
    static int32_t parent[SE_TREE_MAX];
    static uint32_t token[SE_TREE_MAX], depth[SE_TREE_MAX];
    static uint64_t mask[SE_TREE_MAX * SE_TREE_MASK_WORDS], walked[SE_TREE_MASK_WORDS];
    struct se_rng rng;
    (void)state;
    se_rng_init(&rng, test_seed(), SE_RNG_TEST);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n = 1 + se_rng_below(&rng, round % 3 ? 70 : SE_TREE_MAX);
        uint32_t words = se_tree_mask_words(n);
        draw_tree(&rng, parent, token, n);
        memset(mask, 0xa5, sizeof mask);
        se_tree_masks(parent, n, mask);
        se_tree_depths(parent, n, depth);
        assert_int_equal(words, n / 64 + (n % 64 != 0));
        for (uint32_t i = 0; i < n; i++) {
            uint32_t steps = 0;
            memset(walked, 0, sizeof walked);
            for (int32_t at = (int32_t)i; at >= 0; at = parent[at], steps++)
                walked[at / 64] |= 1ull << at % 64;
            assert_memory_equal(mask + (size_t)i * words, walked, words * sizeof *mask);
            assert_int_equal(depth[i], steps - 1);
        }
    }
}

static void a_chain_has_no_parents_to_tell(void **state)
{
    uint32_t depth[70];
    uint64_t mask[70 * 2];
    (void)state;
    se_tree_depths(NULL, 70, depth);
    se_tree_masks(NULL, 70, mask);
    assert_int_equal(depth[69], 69);
    assert_true(mask[0] == 1 && mask[2 * 3] == 0xf && mask[2 * 3 + 1] == 0);
    assert_true(mask[2 * 69] == UINT64_MAX && mask[2 * 69 + 1] == 0x3f);
}

static void nodes_are_added_and_found(void **state)
{
    struct se_tree tree = SE_TREE_NULL;
    uint32_t node = 0;
    (void)state;
    assert_int_equal(se_tree_reset(&tree, 9, 3), 0);
    assert_int_equal(tree.n_rows, 3);
    for (uint32_t i = 1; i < 500; i++) { /* beyond the first room, and the second */
        assert_int_equal(se_tree_add(&tree, i / 2, i, -(float)i, &node), 0);
        assert_int_equal(node, i);
    }
    for (uint32_t i = 1; i < 500; i++) {
        assert_int_equal(tree.parent[i], (int)i / 2);
        assert_int_equal(tree.depth[i], tree.depth[i / 2] + 1);
        assert_true(tree.score[i] == -(float)i);
        assert_int_equal(tree.row[i], SE_TREE_CANDIDATE);
        assert_int_equal(se_tree_child(&tree, i / 2, i), i);
        assert_int_equal(se_tree_child(&tree, i, i), 0);
    }
    assert_int_equal(se_tree_add(&tree, 500, 1, 0, NULL), -EINVAL);
    assert_int_equal(tree.n, 500);
    assert_int_equal(se_tree_reset(&tree, 1, 0), 0);
    assert_int_equal(tree.n, 1);
    assert_int_equal(tree.parent[0], SE_TREE_NO_PARENT);
    se_tree_fini(&tree);
    se_tree_fini(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_is_checked),
        cmocka_unit_test(the_largest_trees_pass_and_a_twin_is_found),
        cmocka_unit_test(masks_are_the_ways_to_the_root),
        cmocka_unit_test(a_chain_has_no_parents_to_tell),
        cmocka_unit_test(nodes_are_added_and_found),
    };
    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
