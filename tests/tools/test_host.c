/* SPDX-License-Identifier: Apache-2.0 */
/* A server in this process: what it says of itself, whom it serves, how it ends.
 *
 *   test_host MODELS */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "sched/server/counter.h"
#include "tests/tools/hand.h"
#include "tools/host.h"
#include "tools/rig.h"

enum { PATH_B = 1024, N_IDS = 6, N_NEW = 24, SLOTS = 64 };
static const uint32_t ids[N_IDS] = { 2043, 17, 256, 3, 1999, 42 };
static char dir[PATH_B];

struct stand {
    struct se_host *host;
    pthread_t thread;
    _Atomic int order;
    int result;
    uint32_t steps, tokens, warnings;
};

static void count_step(void *context, const struct se_server_step *step)
{
    struct stand *stand = context;
    stand->steps++;
    stand->tokens += step->accepted;
    assert_int_equal(step->number, stand->steps);
}

static void count_note(void *context, enum se_server_note level, const char *text)
{
    struct stand *stand = context;
    if (level != SE_SERVER_INFO)
        printf("# %s\n", text);
    stand->warnings += level != SE_SERVER_INFO;
}

static struct se_host_options options_of(struct stand *stand)
{
    struct se_host_options o = se_host_options();
    o.model = dir;
    o.rig.threads = 1;
    o.max_sessions = 4;
    o.watch = (struct se_server_watch){ .context = stand, .step = count_step, .note = count_note };
    return o;
}

static enum se_host_order read_order(void *context)
{
    return (enum se_host_order)atomic_load(&((struct stand *)context)->order);
}

static void *serve(void *context)
{
    struct stand *stand = context;
    stand->result = se_host_run(stand->host, read_order, stand);
    return NULL;
}

static void set_up(struct stand *stand, const struct se_host_options *o)
{
    if (se_host_load(&stand->host, o) != 0 || se_host_listen(stand->host) != 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(pthread_create(&stand->thread, NULL, serve, stand), 0);
}

static void tear_down(struct stand *stand, enum se_host_order order)
{
    atomic_store(&stand->order, (int)order);
    se_host_wake(stand->host);
    assert_int_equal(pthread_join(stand->thread, NULL), 0);
    assert_int_equal(stand->result, 0);
    se_host_close(stand->host);
    stand->host = NULL;
}

/* What the model writes by itself. */
static void write_alone(uint32_t *out)
{
    struct se_rig rig = SE_RIG_NULL;
    struct se_rig_options options = { .threads = 1 };
    struct se_seq *seq = NULL;
    struct se_sampling greedy = SE_SAMPLING_GREEDY;
    uint32_t token = ids[N_IDS - 1], path[1];
    int r = se_rig_load(&rig, dir, &options, NULL);
    if (r == 0)
        r = se_rig_start(&rig, SE_RIG_ROWS, 1, SLOTS);
    if (r == 0)
        r = se_seq_new(&seq, se_engine_kv(rig.engine));
    if (r == 0)
        r = se_rig_feed(&rig, seq, ids, N_IDS - 1);
    for (uint32_t i = 0; r == 0 && i < N_NEW; i++) {
        struct se_part part = { .seq = seq,
                                .token = &token,
                                .n_rows = 1,
                                .want = SE_WANT_VERDICT,
                                .sampling = &greedy,
                                .path = path };
        r = se_rig_step(&rig, &part);
        out[i] = token = part.bonus;
    }
    if (r != 0)
        fail_msg("%s", se_err_text());
    se_seq_free(seq);
    se_rig_close(&rig);
}

static void test_serves(void **state)
{
    (void)state;
    struct stand stand = { .host = NULL };
    struct se_host_options o = options_of(&stand);
    struct hand hand;
    uint32_t alone[N_NEW], served[N_NEW];
    write_alone(alone);
    set_up(&stand, &o);
    const struct se_host_facts *facts = se_host_facts(stand.host);
    assert_int_equal(se_stat_get(se_host_stat(stand.host), SE_COUNT_PAGES_FREE), facts->pages);
    if (hand_open(&hand, facts->url, facts->fingerprint, facts->tokens) != 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(hand.welcome.model, facts->identity);
    assert_int_equal(hand.welcome.context, facts->context);
    assert_int_equal(hand.welcome.max_nodes, facts->max_nodes);
    assert_true(hand.welcome.cost_us[0] > 0 &&
                hand.welcome.cost_us[0] <= hand.welcome.cost_us[SE_WIRE_COSTS - 1]);
    if (hand_write(&hand, ids, N_IDS, N_NEW, served) != 0)
        fail_msg("%s", se_err_text());
    assert_memory_equal(served, alone, sizeof alone);
    hand_close(&hand);
    assert_int_equal(se_stat_get(se_host_stat(stand.host), SE_COUNT_OPENED), 1);
    tear_down(&stand, SE_HOST_DRAIN);
    assert_true(stand.steps >= N_NEW);
    assert_int_equal(stand.tokens, N_NEW);
    assert_int_equal(stand.warnings, 0);
}

/* Edges are told when it leaves in good order; a stop leaves at once, with an edge there. */
static void test_leaves(void **state)
{
    (void)state;
    for (int order = SE_HOST_DRAIN; order <= SE_HOST_STOP; order++) {
        struct stand stand = { .host = NULL };
        struct se_host_options o = options_of(&stand);
        struct hand hand;
        uint8_t reason = SE_WIRE_BYE_DONE;
        set_up(&stand, &o);
        const struct se_host_facts *facts = se_host_facts(stand.host);
        if (hand_open(&hand, facts->url, facts->fingerprint, facts->tokens) != 0)
            fail_msg("%s", se_err_text());
        tear_down(&stand, (enum se_host_order)order);
        if (order == SE_HOST_DRAIN) {
            if (hand_await_bye(&hand, &reason) != 0)
                fail_msg("%s", se_err_text());
            assert_int_equal(reason, SE_WIRE_BYE_DRAIN);
        }
        hand.session = 0; /* nobody is there to be told */
        hand_close(&hand);
    }
}

/* Memory for keys and values holds texts to what it can, or is refused. */
static void test_memory(void **state)
{
    (void)state;
    struct se_host *host = NULL;
    struct se_host_options o = options_of(NULL);
    o.watch = (struct se_server_watch){ 0 };
    if (se_host_load(&host, &o) != 0)
        fail_msg("%s", se_err_text());
    const struct se_host_facts *f = se_host_facts(host);
    uint64_t page_b = f->kv_b / f->pages;
    assert_int_equal(f->context, f->config->context);
    assert_true(f->pages >= o.max_sessions * (f->context / 16));
    uint32_t context = f->context;
    se_host_close(host);

    o.max_nodes = 32;
    o.kv_b = 10 * page_b;
    if (se_host_load(&host, &o) != 0)
        fail_msg("%s", se_err_text());
    f = se_host_facts(host);
    assert_int_equal(f->pages, 10);
    assert_int_equal(f->context, 10 * 16 - 32);
    assert_true(f->context < context);
    assert_int_equal(f->kv_b, o.kv_b);
    se_host_close(host);

    o.kv_b = 2 * page_b;
    assert_int_equal(se_host_load(&host, &o), -ENOMEM);
    assert_non_null(strstr(se_err_text(), "too few"));
    o.kv_b = 0;
    o.context = context + 1;
    assert_int_equal(se_host_load(&host, &o), -ERANGE);
}

/* The same model is the same, whoever loads it and when; another precision is another. */
static void test_identity(void **state)
{
    (void)state;
    uint64_t identity[3];
    static const int weights[3] = { SE_WEIGHTS_Q8, SE_WEIGHTS_Q8, SE_WEIGHTS_F32 };
    for (int i = 0; i < 3; i++) {
        struct se_host *host = NULL;
        struct se_host_options o = options_of(NULL);
        o.watch = (struct se_server_watch){ 0 };
        o.rig.weights = weights[i];
        o.rig.threads = (uint64_t)i + 1;
        if (se_host_load(&host, &o) != 0)
            fail_msg("%s", se_err_text());
        identity[i] = se_host_facts(host)->identity;
        se_host_close(host);
    }
    assert_true(identity[0] != 0 && identity[0] == identity[1] && identity[0] != identity[2]);
}

static void test_refuses(void **state)
{
    (void)state;
    struct stand stand = { .host = NULL };
    struct se_host_options o = options_of(&stand);
    struct se_host *second = NULL;
    set_up(&stand, &o);
    if (se_host_load(&second, &o) != 0)
        fail_msg("%s", se_err_text());
    assert_int_equal(se_host_listen(second), SE_HOST_DEAF); /* the name is taken */
    tear_down(&stand, SE_HOST_STOP);
    assert_int_equal(se_host_listen(second), 0); /* and now it is free */
    se_host_close(second);
    o.model = "/nowhere/at/all";
    second = NULL;
    assert_true(se_host_load(&second, &o) < 0);
    assert_null(second);
    assert_non_null(strstr(se_err_text(), "/nowhere/at/all"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves),  cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_memory),  cmocka_unit_test(test_identity),
        cmocka_unit_test(test_refuses),
    };
    if (argc != 2) {
        printf("usage: test_host MODELS\n");
        return 1;
    }
    snprintf(dir, sizeof dir, "%s/tales-draft", argv[1]);
    if (access(dir, R_OK) != 0) {
        printf("77: %s is not there\n", dir);
        return 77;
    }
    if (se_cpu_init() < 0) {
        printf("%s\n", se_err_text());
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
