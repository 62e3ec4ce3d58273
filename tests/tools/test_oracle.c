/* SPDX-License-Identifier: Apache-2.0 */
/* A draft that is right as often as it shall be: its trees are what the wire takes, and what is
 * accepted of them is what they promise. */
#include "tools/oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "transport/pack.h"

enum { IDS = 2048, TREES = 20000 };

static uint32_t next_id(uint32_t level) { return 7 + 3 * level; }

/* What a target that says next[] takes of it, its own token included. */
static uint32_t taken(const struct se_oracle *o, const uint32_t *id)
{
    uint32_t at = 0, n = 1;
    for (uint32_t i = 1; i < o->nodes; i++)
        if (o->parent[i] == (int32_t)at && id[i] == next_id(o->level[i])) {
            at = i;
            n++;
        }
    return n;
}

static void check_wire(const struct se_oracle *o, const uint32_t *id)
{
    unsigned char frame[SE_WIRE_FRAME_MAX];
    size_t len_b;
    struct se_wire m = { .session = 1, .type = SE_WIRE_VERIFY };
    m.verify = (struct se_wire_verify){ .round = 1,
                                        .nodes = (uint16_t)o->nodes,
                                        .id_bits = (uint8_t)se_pack_bits(IDS),
                                        .parent = o->parent,
                                        .token = id };
    assert_int_equal(se_wire_encode(&m, frame, sizeof frame, &len_b), 0);
}

static void check_shape(uint32_t nodes, uint32_t depth, double acceptance)
{
    struct se_oracle o;
    struct se_rng rng;
    uint32_t next[SE_WIRE_NODES_MAX], id[SE_WIRE_NODES_MAX];
    double sum = 0;
    for (uint32_t i = 0; i < SE_WIRE_NODES_MAX; i++)
        next[i] = next_id(i + 1);
    se_oracle_init(&o, nodes, depth, acceptance, IDS);
    assert_int_equal(o.depth, depth < nodes - 1 ? depth : nodes - 1);
    assert_int_equal(o.level[nodes - 1], depth > 0 ? o.depth : 0);
    se_rng_init(&rng, 1, SE_RNG_TEST);
    for (int i = 0; i < TREES; i++) {
        se_oracle_draft(&o, &rng, 5, next, id);
        sum += taken(&o, id);
    }
    assert_int_equal(id[0], 5);
    check_wire(&o, id);
    for (uint32_t i = 1; i < nodes; i++)
        for (uint32_t k = i + 1; k < nodes && o.parent[k] == o.parent[i]; k++)
            assert_int_not_equal(id[i], id[k]);
    /* The deviation of one tree is below its depth: five times that of the mean. */
    assert_true(fabs(sum / TREES - se_oracle_tokens(&o)) <= 5.0 * o.depth / sqrt(TREES));
}

static void test_shapes(void **state)
{
    (void)state;
    check_shape(1, 0, 0.8);
    check_shape(2, 6, 0.5);
    check_shape(17, 6, 0.8);
    check_shape(17, 6, 0);
    check_shape(17, 6, 1);
    check_shape(33, 32, 0.9);
    check_shape(33, 1, 0.3);
    check_shape(1024, 10, 0.7);
}

static void test_texts(void **state)
{
    struct se_oracle_text *text, *again;
    (void)state;
    assert_int_equal(se_oracle_texts_new(&text, 3, 5, 9, IDS, 1), 0);
    assert_int_equal(se_oracle_texts_new(&again, 3, 5, 9, IDS, 1), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(text[i].n, 5);
        assert_int_equal(text[i].want, 9);
        for (uint32_t k = 0; k < 5; k++) {
            assert_true(text[i].id[k] < IDS);
            assert_int_equal(text[i].id[k], again[i].id[k]);
        }
        text[i].id[8] = IDS; /* the room is its own */
    }
    assert_memory_not_equal(text[0].id, text[1].id, 5 * sizeof *text->id);
    se_oracle_texts_free(text);
    se_oracle_texts_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
