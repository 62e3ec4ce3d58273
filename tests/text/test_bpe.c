/* SPDX-License-Identifier: Apache-2.0 */
/* Merging with a heap, without one, and by the rule as it is written give the same ids. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/text/bpe.h"
#include "runtime/text/ids.h"
#include "tests/text/golden.h"

enum { LETTERS = 4, TOKENS_MAX = 120, TOKEN_B = 24, MERGES_MAX = 200, TEXT_MAX = 400 };

struct random_bpe {
    struct se_bpe bpe;
    struct {
        struct se_vocab_entry left, right;
        uint32_t id;
    } merge[MERGES_MAX];
    uint32_t n_merges;
};

static uint64_t seed = 1;

static uint32_t add_token(struct se_bpe *bpe, const char *text, size_t n)
{
    uint32_t id;
    if (se_vocab_find(&bpe->vocab, text, n, &id))
        return id;
    id = 1000 - bpe->vocab.n; /* ids in no order of their own */
    assert_int_equal(se_vocab_add(&bpe->vocab, text, n, id), 0);
    return id;
}

static const struct se_vocab_entry *some_token(struct se_bpe *bpe, struct se_rng *rng)
{
    return &bpe->vocab.entry[se_rng_below(rng, bpe->vocab.n)];
}

static void add_merge(struct random_bpe *random, uint32_t number, uint32_t rank)
{
    const char *pool = random->bpe.vocab.pool.data;
    struct se_vocab_entry left = random->merge[number].left, right = random->merge[number].right;
    const struct se_bpe_side side[2] = { { pool + left.at, left.len, left.id },
                                         { pool + right.at, right.len, right.id } };
    se_bpe_add(&random->bpe, side, rank, random->merge[number].id);
}

/* A few letters, and merges of tokens drawn from those there are already; the same token
 * may come about in several ways, and a merge may stand before one that it needs. */
static void make(struct random_bpe *random, struct se_rng *rng)
{
    struct se_bpe *bpe = &random->bpe;
    uint32_t order[MERGES_MAX];
    memset(random, 0, sizeof *random);
    assert_int_equal(se_vocab_init(&bpe->vocab, TOKENS_MAX), 0);
    for (int c = 0; c < LETTERS; c++)
        add_token(bpe, &(char){ (char)('a' + c) }, 1);
    uint32_t n = 1 + se_rng_below(rng, MERGES_MAX - 1);
    for (uint32_t i = 0; i < n && bpe->vocab.n < TOKENS_MAX - 1; i++) {
        struct se_vocab_entry left = *some_token(bpe, rng), right = *some_token(bpe, rng);
        char text[2 * TOKEN_B];
        if (left.len + right.len > TOKEN_B)
            continue;
        memcpy(text, bpe->vocab.pool.data + left.at, left.len);
        memcpy(text + left.len, bpe->vocab.pool.data + right.at, right.len);
        uint32_t id = add_token(bpe, text, left.len + right.len);
        random->merge[random->n_merges].left = left;
        random->merge[random->n_merges].right = right;
        random->merge[random->n_merges++].id = id;
    }
    assert_int_equal(se_bpe_init(bpe, random->n_merges), 0);
    bool shuffled = se_rng_below(rng, 2);
    for (uint32_t i = 0; i < random->n_merges; i++)
        order[i] = i;
    for (uint32_t i = random->n_merges; shuffled && i > 1; i--) {
        uint32_t k = se_rng_below(rng, i), old = order[k];
        order[k] = order[i - 1];
        order[i - 1] = old;
    }
    for (uint32_t i = 0; i < random->n_merges; i++)
        add_merge(random, order[i], i);
    bpe->unknown = SE_BPE_NONE;
    se_bpe_ready(bpe);
    assert_true(bpe->cuts);
}

/* The merge of a pair, by looking at every place of the table. */
static const struct se_bpe_merge *merge_of(const struct se_bpe *bpe, uint32_t left, uint32_t right)
{
    for (uint32_t i = 0; i <= bpe->mask; i++)
        if (bpe->merge[i].left == left && bpe->merge[i].right == right)
            return &bpe->merge[i];
    return NULL;
}

/* The rule: the lowest rank, the leftmost of it, until there is none. */
static size_t by_the_rule(const struct se_bpe *bpe, const char *text, size_t len_b, uint32_t *id)
{
    size_t n = len_b;
    for (size_t i = 0; i < n; i++)
        assert_true(se_vocab_find(&bpe->vocab, text + i, 1, &id[i]));
    for (;;) {
        const struct se_bpe_merge *best = NULL;
        size_t place = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const struct se_bpe_merge *merge = merge_of(bpe, id[i], id[i + 1]);
            if (merge && (!best || merge->rank < best->rank)) {
                best = merge;
                place = i;
            }
        }
        if (!best)
            return n;
        id[place] = best->id;
        memmove(&id[place + 1], &id[place + 2], (n - place - 2) * sizeof *id);
        n--;
    }
}

static void test_merges(void **state)
{
    struct se_rng rng;
    struct se_bpe_work work = { .n = 0 };
    size_t merged = 0;
    (void)state;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (int round = 0; round < 60; round++) {
        struct random_bpe random;
        make(&random, &rng);
        for (int k = 0; k < 12; k++) {
            char text[TEXT_MAX];
            uint32_t wanted[TEXT_MAX];
            struct se_ids ids = SE_IDS_NULL;
            size_t n = 1 + se_rng_below(&rng, k % 2 ? 130 : TEXT_MAX - 1);
            uint32_t letters = 1 + se_rng_below(&rng, LETTERS);
            for (size_t i = 0; i < n; i++)
                text[i] = (char)('a' + se_rng_below(&rng, letters));
            if (k % 4 == 0) /* a period, so that ranks tie all along */
                for (size_t i = 3; i < n; i++)
                    text[i] = text[i - 3];
            size_t n_wanted = by_the_rule(&random.bpe, text, n, wanted);
            assert_int_equal(se_bpe_encode(&random.bpe, &work, text, n, k % 3 == 0, &ids), 0);
            if (ids.n != n_wanted || memcmp(ids.id, wanted, n_wanted * sizeof *wanted) != 0)
                fail_msg("seed %llu, round %d, text %.*s", (unsigned long long)seed, round, (int)n,
                         text);
            merged += n - n_wanted;
            se_ids_fini(&ids);
        }
        se_bpe_fini(&random.bpe);
    }
    assert_true(merged > 10000);
    se_bpe_work_fini(&work);
}

/* Of the same pair, the later merge is the one. */
static void test_repeated_merge(void **state)
{
    struct se_tokenizer *t = golden_parse(
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4},"
        "\"merges\":[\"a b\",\"b c\",\"a b\"]}}");
    struct se_ids ids = SE_IDS_NULL;
    (void)state;
    assert_int_equal(se_tokenizer_encode(t, "abc", 3, 0, &ids), 0);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.id[0], 0);
    assert_int_equal(ids.id[1], 4);
    se_ids_fini(&ids);
    se_tokenizer_close(t);
}

/* The byte-level alphabet: 256 characters, there and back. */
static void test_alphabet(void **state)
{
    bool seen[0x200] = { false };
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        uint32_t c = se_bpe_char_of_byte((unsigned char)b);
        assert_true(c > 0x20 && c < 0x144 && !seen[c]);
        seen[c] = true;
        assert_int_equal(se_bpe_byte_of_char(c), b);
        if (b > 0x20 && b < 0x7f)
            assert_int_equal(c, b);
    }
    for (uint32_t c = 0; c < 0x200; c++)
        assert_int_equal(se_bpe_byte_of_char(c) >= 0, seen[c]);
    assert_int_equal(se_bpe_byte_of_char(0x10ffff), -1);
    assert_int_equal(se_bpe_char_of_byte(' '), 0x120);
    assert_int_equal(se_bpe_char_of_byte('\n'), 0x10a);
    assert_int_equal(se_bpe_char_of_byte(0xad), 0x143);
}

int main(void)
{
    const char *text = getenv("SE_TEST_SEED");
    if (text)
        seed = strtoull(text, NULL, 0);
    print_message("seed %llu (SE_TEST_SEED)\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_repeated_merge),
        cmocka_unit_test(test_alphabet),
    };
    return cmocka_run_group_tests_name("bpe", tests, NULL, NULL);
}
