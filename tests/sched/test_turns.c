/* SPDX-License-Identifier: Apache-2.0 */
/* Talks of many turns on one session: what was said is gone on from, changed and taken back,
 * answers are short, long and broken off, and frames are lost, doubled and late all the while.
 * Each answer is the target's own. And silence: of a server that is not there, and of one that
 * takes its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "tests/sched/draw.h"
#include "tests/sched/seed.h"
#include "tests/sched/sim.h"

enum { CONTEXT = 256, EDGES = 6, TURNS = 12 };
#define SECONDS(n) ((uint64_t)(n)*1000000000)

static uint64_t seed;
static uint32_t turns_left[EDGES];

static uint32_t below(struct sim *sim, uint32_t n) { return se_rng_below(&sim->rng, n); }

static uint32_t draw_max_new(struct sim *sim)
{
    switch (below(sim, 5)) {
    case 0:
        return 1;
    case 1:
        return 2;
    case 2:
        return 4 * CONTEXT; /* to the end of the context */
    default:
        return 1 + below(sim, 40);
    }
}

/* How much of the text so far stays, and how many new ids follow. */
static void draw_turn(struct sim *sim, uint32_t n, uint32_t n_prompt, uint32_t *keep, uint32_t *add)
{
    *add = 1 + below(sim, 30);
    *keep = n;
    switch (below(sim, 8)) {
    case 0: /* the same once more */
        *keep = n_prompt;
        *add = 0;
        break;
    case 1: /* nothing new: on with it */
        *add = 0;
        break;
    case 2: /* something that was said before, in other words */
        *keep = below(sim, n);
        break;
    case 3: /* the same, shorter */
        *keep = 1 + below(sim, n);
        *add = 0;
        break;
    case 4:
        *keep = 0;
        *add = 1 + below(sim, CONTEXT);
        break;
    case 5: /* all but nothing is left */
        *add = CONTEXT - n > 3 ? CONTEXT - n - below(sim, 3) : 0;
        break;
    }
}

static void next_turn(struct sim *sim, uint32_t i)
{
    struct sim_edge *e = &sim->edge[i];
    uint32_t text[CONTEXT + 64], n = e->n_prompt, keep, add;
    const uint32_t *id;
    uint32_t made = se_edge_answer(e->edge, &id, NULL);
    if (turns_left[i] == 0)
        return;
    turns_left[i]--;
    memcpy(text, e->prompt, n * sizeof *text);
    memcpy(text + n, id, made * sizeof *text);
    n += made;
    if (n > CONTEXT)
        n = CONTEXT - below(sim, 64);
    draw_turn(sim, n, e->n_prompt, &keep, &add);
    if (keep + add > CONTEXT)
        keep = CONTEXT - add;
    for (n = keep; n < keep + add; n++)
        text[n] = below(sim, TABLE_MODEL_VOCAB);
    e->stop = below(sim, 2) ? below(sim, TABLE_MODEL_VOCAB) : UINT32_MAX;
    sim_ask_text(sim, i, text, n, draw_max_new(sim));
}

static void begin(struct sim *sim, uint32_t number, double faults)
{
    struct sim_options o = sim_options(seed + number, EDGES);
    o.context = CONTEXT;
    o.pages = number % 3 ? EDGES * 22 : 30 + number % 20;
    o.max_rows = 65 + number * 37 % 300;
    o.live.policy = (enum se_policy)(number % 3);
    o.faults.delay_max_ns = number % 2 ? 20000000 : 0;
    o.faults.drop = o.faults.twice = o.faults.late = faults;
    sim_begin(sim, &o);
    for (uint32_t i = 0; i < EDGES; i++) {
        struct sim_edge *e = &sim->edge[i];
        draw_edge_options(&sim->rng, &e->options);
        e->options.retry_ns = 300000000;
        e->options.give_up_ns = SECONDS(10000);
        sim_draft(sim, i, draw_stray(&sim->rng), below(sim, 2000000), 20000);
        sim_join(sim, i);
        e->next = next_turn;
        turns_left[i] = TURNS;
        sim_ask(sim, i, 1 + below(sim, 100), draw_max_new(sim));
    }
}

static void finish(struct sim *sim)
{
    if (!sim_run(sim, sim->now_ns + SECONDS(40000)))
        fail_msg("somebody still waits");
    for (uint32_t i = 0; i < EDGES; i++) {
        assert_int_equal(sim->edge[i].outcome, SE_EDGE_DONE);
        assert_int_equal(sim->edge[i].answers, 1 + TURNS);
    }
    sim_end(sim);
}

static void talks_are_the_targets_own(void **state)
{
    (void)state;
    for (uint32_t number = 0; number < 30; number++) {
        struct sim sim;
        begin(&sim, number, number % 2 ? 0 : 0.1);
        finish(&sim);
    }
}

/* Answers are broken off, connections cut, and the server is killed. */
static void talks_go_on_whatever_breaks(void **state)
{
    (void)state;
    for (uint32_t number = 100; number < 130; number++) {
        struct sim sim;
        begin(&sim, number, number % 2 ? 0.02 : 0.1);
        for (int k = 0; k < 60; k++) {
            sim_run(&sim, sim.now_ns + below(&sim, 300000000));
            uint32_t what = below(&sim, 12), i = below(&sim, EDGES);
            if (what == 0)
                sim_restart(&sim);
            else if (what < 4)
                se_faulty_cut(sim.edge[i].link, sim.now_ns + below(&sim, 1000000) * 1000ull);
            else
                sim_stop(&sim, i);
        }
        finish(&sim);
    }
}

static void begin_one(struct sim *sim, const struct sim_options *o)
{
    sim_begin(sim, o);
    sim->edge[0].options.give_up_ns = SECONDS(30);
}

static void a_server_that_is_not_there_is_given_up(void **state)
{
    struct sim sim;
    char url[sizeof sim.url];
    const struct sim_options o = sim_options(seed, 1);
    (void)state;
    begin_one(&sim, &o);
    memcpy(url, sim.url, sizeof url);
    snprintf(sim.url, sizeof sim.url, "loop://nobody");
    sim_join(&sim, 0);
    sim_ask(&sim, 0, 10, 10);
    assert_true(sim_run(&sim, sim.now_ns + SECONDS(40)));
    assert_int_equal(sim.edge[0].outcome, SE_EDGE_UNREACHABLE);
    assert_true(sim.now_ns >= SECONDS(31));
    sim_end(&sim);
}

static void a_long_prompt_is_waited_for(void **state)
{
    struct sim sim;
    struct sim_options o = sim_options(seed, 1);
    (void)state;
    o.row_ns = SECONDS(2);
    o.know_costs = false;
    begin_one(&sim, &o);
    sim_join(&sim, 0);
    sim_ask(&sim, 0, 200, 3); /* seven minutes */
    assert_true(sim_run(&sim, sim.now_ns + SECONDS(4000)));
    assert_int_equal(sim.edge[0].outcome, SE_EDGE_DONE);
    assert_true(sim.now_ns >= SECONDS(400));
    sim_end(&sim);
}

int main(int argc, char **argv)
{
    seed = seed_of_test();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(talks_are_the_targets_own),
        cmocka_unit_test(talks_go_on_whatever_breaks),
        cmocka_unit_test(a_server_that_is_not_there_is_given_up),
        cmocka_unit_test(a_long_prompt_is_waited_for),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* the names of those to run, with * and ? */
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
