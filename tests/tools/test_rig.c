/* SPDX-License-Identifier: Apache-2.0 */
/* A target and a draft in one process: each computes what it computes alone.
 *
 *   test_rig MODELS */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "runtime/model/kv.h"
#include "tools/rig.h"

enum { TARGET, DRAFT, N_MODELS, SLOTS = 64, N_IDS = 6, PATH_B = 1024 };

static const char *const names[N_MODELS] = { "tales-target", "tales-draft" };
static char dir[N_MODELS][PATH_B];
static const uint32_t ids[N_IDS] = { 2043, 17, 256, 3, 1999, 42 };

struct stand {
    struct se_rig rig;
    struct se_seq *seq;
};

static void set_up(struct stand *stand, int model, uint64_t threads, struct se_pool *shared)
{
    struct se_rig_options options = { .threads = threads };
    *stand = (struct stand){ .rig = SE_RIG_NULL };
    int r = se_rig_load(&stand->rig, dir[model], &options, shared);
    if (r == 0)
        r = se_rig_start(&stand->rig, SE_RIG_ROWS, 1, SLOTS);
    if (r == 0)
        r = se_seq_new(&stand->seq, se_engine_kv(stand->rig.engine));
    if (r < 0)
        fail_msg("%s: %s", dir[model], se_err_text());
}

static void tear_down(struct stand *stand)
{
    se_seq_free(stand->seq);
    se_rig_close(&stand->rig);
    se_rig_close(&stand->rig); /* a second time is fine */
    assert_null(stand->rig.pool);
}

static float *logits_room(const struct stand *stand)
{
    float *logits = calloc((size_t)N_IDS * stand->rig.model->config.vocab, sizeof *logits);
    assert_non_null(logits);
    return logits;
}

static void compute(struct stand *stand, uint32_t from, uint32_t n, float *logits)
{
    size_t vocab = stand->rig.model->config.vocab;
    if (se_rig_logits(&stand->rig, stand->seq, ids + from, n, logits + from * vocab) != 0)
        fail_msg("%s", se_err_text());
}

/* shared: the draft uses the target's pool. Their steps alternate. */
static void compare(bool shared)
{
    float *alone[N_MODELS], *beside[N_MODELS];
    size_t size_b[N_MODELS];
    struct stand stand[N_MODELS];
    for (int m = 0; m < N_MODELS; m++) {
        set_up(&stand[m], m, 1, NULL);
        alone[m] = logits_room(&stand[m]);
        beside[m] = logits_room(&stand[m]);
        size_b[m] = (size_t)N_IDS * stand[m].rig.model->config.vocab * sizeof(float);
        compute(&stand[m], 0, N_IDS, alone[m]);
        tear_down(&stand[m]);
    }
    set_up(&stand[TARGET], TARGET, 2, NULL);
    set_up(&stand[DRAFT], DRAFT, 2, shared ? stand[TARGET].rig.pool : NULL);
    assert_int_equal(stand[TARGET].rig.pool == stand[DRAFT].rig.pool, shared);
    for (uint32_t at = 0; at < N_IDS; at += 2)
        for (int m = 0; m < N_MODELS; m++)
            compute(&stand[m], at, 2, beside[m]);
    tear_down(&stand[DRAFT]);
    /* The pool of the target is still there. */
    se_seq_rewind(stand[TARGET].seq, 0);
    compute(&stand[TARGET], 0, N_IDS, alone[TARGET]);
    tear_down(&stand[TARGET]);
    for (int m = 0; m < N_MODELS; m++) {
        assert_memory_equal(alone[m], beside[m], size_b[m]);
        free(alone[m]);
        free(beside[m]);
    }
}

static void test_own_pools(void **state)
{
    (void)state;
    compare(false);
}

static void test_shared_pool(void **state)
{
    (void)state;
    compare(true);
}

/* A load that fails leaves the lender its pool. */
static void test_failed_load(void **state)
{
    (void)state;
    struct se_rig_options options = { .threads = 2 };
    struct stand target;
    struct se_rig rig;
    set_up(&target, TARGET, 2, NULL);
    assert_true(se_rig_load(&rig, "/dev/null", &options, target.rig.pool) < 0);
    se_rig_close(&rig);
    float *logits = logits_room(&target);
    compute(&target, 0, N_IDS, logits);
    free(logits);
    tear_down(&target);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_pools),
        cmocka_unit_test(test_shared_pool),
        cmocka_unit_test(test_failed_load),
    };
    for (int m = 0; m < N_MODELS; m++) {
        snprintf(dir[m], PATH_B, "%s/%s", argc > 1 ? argv[1] : "models", names[m]);
        if (access(dir[m], R_OK) != 0) {
            printf("skipped: %s is not there\n", dir[m]);
            return 77;
        }
    }
    if (se_cpu_init() < 0) {
        printf("%s\n", se_err_text());
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
