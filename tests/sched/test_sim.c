/* SPDX-License-Identifier: Apache-2.0 */
/* A whole server and its edges under a clock of the test's own: the text is the same bytes
 * whoever drafted it, however, beside whom, and whatever broke on the way. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "sched/server/parts.h"
#include "tests/sched/draw.h"
#include "tests/sched/seed.h"
#include "tests/sched/sim.h"

#define SECONDS(n) ((uint64_t)(n)*1000000000)

static uint64_t seed;
static uint32_t times = 1; /* SE_TEST_TIMES: so much more of everything */

static uint32_t below(struct sim *sim, uint32_t n) { return se_rng_below(&sim->rng, n); }

static void draw_edge(struct sim *sim, uint32_t i)
{
    draw_edge_options(&sim->rng, &sim->edge[i].options);
    uint64_t level_ns = below(sim, 2) ? 300000 + below(sim, 3000000) : 0;
    sim_draft(sim, i, draw_stray(&sim->rng), level_ns, level_ns / 50);
    if (below(sim, 4) == 0)
        sim->edge[i].stop = below(sim, TABLE_MODEL_VOCAB);
}

static struct sim_options draw_options(uint64_t number, uint32_t n_edges, double faults)
{
    struct sim_options o = sim_options(seed + number, n_edges);
    struct se_rng rng;
    se_rng_init(&rng, seed + number, SE_RNG_TEST);
    o.live.policy = (enum se_policy)se_rng_below(&rng, 3);
    o.live.max_batch = 1 + se_rng_below(&rng, 2 * n_edges);
    o.live.wait_ns = se_rng_below(&rng, 20000000);
    o.max_rows = 65 + se_rng_below(&rng, 400);
    o.step_ns = se_rng_below(&rng, 20000000);
    o.row_ns = se_rng_below(&rng, 300000);
    o.know_costs = se_rng_below(&rng, 4) > 0;
    o.unknown = se_rng_below(&rng, 3) == 0 ? 1 + se_rng_below(&rng, 3) : 0;
    o.faults.delay_min_ns = se_rng_below(&rng, 2) ? se_rng_below(&rng, 20000000) : 0;
    o.faults.delay_max_ns = o.faults.delay_min_ns + se_rng_below(&rng, 5000000);
    o.faults.drop = o.faults.twice = o.faults.late = faults;
    return o;
}

static void draw_sim(struct sim *sim, uint64_t number, uint32_t n_edges, double faults)
{
    const struct sim_options o = draw_options(number, n_edges, faults);
    sim_begin(sim, &o);
}

static void run_all(struct sim *sim, uint32_t n_edges, const char *what)
{
    if (!sim_run(sim, sim->now_ns + SECONDS(4000)))
        fail_msg("%s: an hour has passed, and somebody still waits", what);
    for (uint32_t i = 0; i < n_edges; i++)
        if (!sim->edge[i].dead && sim->edge[i].outcome != SE_EDGE_DONE)
            fail_msg("%s: edge %u ended with %d", what, i, sim->edge[i].outcome);
}

static void any_mixture_writes_the_same_text(void **state)
{
    uint64_t rounds = 0, hits = 0, trees = 0, pushed = 0;
    (void)state;
    for (uint32_t number = 0; number < 16 * times; number++) {
        struct sim sim;
        uint32_t n = 1 + number % 16;
        draw_sim(&sim, number, n, 0);
        for (uint32_t i = 0; i < n; i++) {
            draw_edge(&sim, i);
            sim_join(&sim, i);
            sim_ask(&sim, i, 1 + below(&sim, 150), 1 + below(&sim, 120));
            sim.edge[i].answers_left = below(&sim, 3);
        }
        run_all(&sim, n, "no faults");
        for (uint32_t i = 0; i < n; i++) {
            rounds += sim.edge[i].rounds;
            hits += sim.edge[i].hits;
            trees += sim.edge[i].trees;
            pushed += sim.edge[i].pushed;
        }
        sim_end(&sim);
    }
    print_message("%llu rounds, %llu trees, %llu pushed, %llu bets won\n",
                  (unsigned long long)rounds, (unsigned long long)trees, (unsigned long long)pushed,
                  (unsigned long long)hits);
    assert_true(trees > 200 && pushed > 200 && hits > 20);
}

static void frames_may_be_lost_doubled_and_late(void **state)
{
    (void)state;
    for (uint32_t number = 100; number < 100 + 24 * times; number++) {
        struct sim sim;
        uint32_t n = 1 + number % 8;
        draw_sim(&sim, number, n, 0.05);
        for (uint32_t i = 0; i < n; i++) {
            draw_edge(&sim, i);
            sim.edge[i].options.retry_ns = 300000000;
            sim_join(&sim, i);
            sim_ask(&sim, i, 1 + below(&sim, 150), 1 + below(&sim, 60));
            sim.edge[i].answers_left = below(&sim, 3);
        }
        run_all(&sim, n, "faults");
        sim_end(&sim);
    }
}

static void servers_and_edges_die(void **state)
{
    (void)state;
    for (uint32_t number = 200; number < 200 + 20 * times; number++) {
        struct sim sim;
        uint32_t n = 2 + number % 10, asked = 0;
        draw_sim(&sim, number, n, number % 2 ? 0.02 : 0);
        for (uint32_t i = 0; i < n; i++) {
            draw_edge(&sim, i);
            sim.edge[i].options.retry_ns = 300000000;
            sim_join(&sim, i);
            sim_ask(&sim, i, 1 + below(&sim, 150), 20 + below(&sim, 100));
            sim.edge[i].answers_left = 2;
        }
        for (int k = 0; k < 8; k++) {
            sim_run(&sim, sim.now_ns + below(&sim, 400000000));
            uint32_t i = below(&sim, n);
            switch (below(&sim, 4)) {
            case 0:
                sim_restart(&sim);
                break;
            case 1:
                if (asked++ < n / 2)
                    sim_leave(&sim, i, below(&sim, 2));
                break;
            case 2:
                if (sim.edge[i].edge)
                    se_faulty_cut(sim.edge[i].link, sim.now_ns + below(&sim, 3000000) * 1000ull);
                break;
            }
        }
        run_all(&sim, n, "deaths");
        sim_end(&sim);
    }
}

/* What an answer may end with where contexts shrink: whole, or as far as the server's goes. */
static void check_shrunk(const struct sim *sim, uint32_t i)
{
    const struct sim_edge *e = &sim->edge[i];
    if (e->outcome == SE_EDGE_DONE)
        return; /* it was looked at then, by what the context was */
    if (e->outcome != -ERANGE)
        fail_msg("edge %u ended with %d", i, e->outcome);
    sim_check(sim, i);
}

static void servers_come_back_with_other_limits(void **state)
{
    uint32_t short_of_room = 0;
    (void)state;
    for (uint32_t number = 400; number < 400 + 24 * times; number++) {
        struct sim sim;
        uint32_t n = 1 + number % 6;
        bool shrinks = number % 3 == 0;
        struct sim_options o = draw_options(number, n, number % 2 ? 0.02 : 0);
        o.vocab = 64;
        sim_begin(&sim, &o);
        for (uint32_t i = 0; i < n; i++) {
            draw_edge(&sim, i);
            if (i % 2 == 0)
                sim.edge[i].options.speculate = SE_WIRE_SPECULATE_ON;
            sim.edge[i].options.retry_ns = 300000000;
            sim_join(&sim, i);
            sim_ask(&sim, i, 1 + below(&sim, 150), 20 + below(&sim, 200));
            sim.edge[i].answers_left = shrinks ? 0 : 2; /* the next prompt might have no room */
        }
        for (int k = 0; k < 8; k++) {
            sim_run(&sim, sim.now_ns + below(&sim, 400000000));
            sim.o.max_nodes = below(&sim, 2) ? 65 : 1 + below(&sim, 12);
            sim.o.max_rows = sim.o.max_nodes + below(&sim, 300);
            sim.o.vocab = below(&sim, 2) ? 64 : TABLE_MODEL_VOCAB;
            if (shrinks && sim.o.context > 100)
                sim.o.context -= below(&sim, 100);
            sim_restart(&sim);
        }
        if (!shrinks)
            run_all(&sim, n, "other limits");
        else if (!sim_run(&sim, sim.now_ns + SECONDS(4000)))
            fail_msg("less context: an hour has passed, and somebody still waits");
        for (uint32_t i = 0; shrinks && i < n; i++) {
            check_shrunk(&sim, i);
            short_of_room += sim.edge[i].outcome < 0;
        }
        sim_end(&sim);
    }
    print_message("%u answers were longer than the new context\n", short_of_room);
}

/* Better half an answer than one of two models' halves. */
static void another_model_does_not_go_on(void **state)
{
    (void)state;
    for (uint32_t number = 500; number < 500 + 8 * times; number++) {
        struct sim sim;
        struct sim_options o = draw_options(number, 1, 0);
        o.model = 1 + number % 2;
        sim_begin(&sim, &o);
        draw_edge(&sim, 0);
        sim.edge[0].stop = UINT32_MAX;
        sim_join(&sim, 0);
        sim_ask(&sim, 0, 1 + below(&sim, 60), 300);
        while (sim.edge[0].rounds < 3)
            sim_run(&sim, sim.now_ns + 1000000);
        sim.o.model = 3;
        sim_restart(&sim);
        assert_true(sim_run(&sim, sim.now_ns + SECONDS(100)));
        assert_int_equal(sim.edge[0].outcome, SE_EDGE_REFUSED);
        assert_true(se_edge_answer(sim.edge[0].edge, NULL, NULL) > 0);
        sim_check(&sim, 0);
        sim_ask(&sim, 0, 1 + below(&sim, 60), 20);
        run_all(&sim, 1, "the other model, from the beginning");
        sim_end(&sim);
    }
}

/* A server was upgraded, and its edge was not: told at once, in the middle of an answer. */
static void another_version_is_told(void **state)
{
    (void)state;
    struct sim sim;
    const struct sim_options o = sim_options(seed, 1);
    sim_begin(&sim, &o);
    draw_edge(&sim, 0);
    sim.edge[0].stop = UINT32_MAX;
    sim_join(&sim, 0);
    sim_ask(&sim, 0, 20, 300);
    while (sim.edge[0].rounds < 3)
        sim_run(&sim, sim.now_ns + 1000000);
    const struct se_wire bye = { .type = SE_WIRE_BYE };
    struct se_frame *frame = se_frame_get(sim.frames);
    size_t len_b = 0;
    assert_int_equal(se_wire_encode(&bye, frame->data, frame->cap_b, &len_b), 0);
    frame->len_b = (uint32_t)len_b;
    frame->data[SE_WIRE_AT_VERSION]++;
    assert_int_equal(se_link_send(sim.link, sim.server->peers.peer[0].handle, frame), 0);
    assert_true(sim_run(&sim, sim.now_ns + SECONDS(1)));
    assert_int_equal(sim.edge[0].outcome, SE_EDGE_REFUSED);
    char words[64];
    snprintf(words, sizeof words, "version %d of the protocol, and this program version %d",
             SE_WIRE_VERSION + 1, SE_WIRE_VERSION);
    assert_non_null(strstr(se_err_text(), words));
    sim_check(&sim, 0);
    sim_end(&sim);
}

/* A target may write what is padding to its draft: the answer goes on without the draft, also where
 * such a token comes while a tree is being grown beside pushes. */
static void the_target_writes_what_the_draft_does_not_know(void **state)
{
    uint64_t trees = 0, unknown = 0;
    (void)state;
    for (uint32_t number = 600; number < 600 + 40 * times; number++) {
        struct sim sim;
        struct sim_options o = sim_options(seed + number, 1);
        o.unknown = 1 + number % 3;
        sim_begin(&sim, &o);
        draw_edge_options(&sim.rng, &sim.edge[0].options);
        sim.edge[0].options.sampling.temp = 1;
        sim.edge[0].options.speculate = SE_WIRE_SPECULATE_AUTO;
        sim_draft(&sim, 0, 0, below(&sim, 8000000), 0);
        sim.edge[0].stop = UINT32_MAX;
        sim_join(&sim, 0);
        sim_ask(&sim, 0, 1 + below(&sim, 20), 100);
        sim.edge[0].answers_left = 3;
        run_all(&sim, 1, "tokens that the draft does not know");
        const uint32_t *id;
        uint32_t n = se_edge_answer(sim.edge[0].edge, &id, NULL);
        for (uint32_t i = 0; i < n; i++)
            unknown += id[i] >= sim.o.vocab - sim.o.unknown;
        trees += sim.edge[0].trees;
        sim_end(&sim);
    }
    assert_true(trees > 20 && unknown > 20);
}

static void pages_run_out(void **state)
{
    (void)state;
    for (uint32_t number = 300; number < 300 + 10 * times; number++) {
        struct sim sim;
        uint32_t n = 4 + number % 8;
        struct sim_options o = sim_options(seed + number, n);
        o.pages = 32 + number % 20; /* for one or two texts at a time */
        o.max_rows = 100;
        o.live.policy = (enum se_policy)(number % 3);
        sim_begin(&sim, &o);
        for (uint32_t i = 0; i < n; i++) {
            draw_edge(&sim, i);
            sim.edge[i].options.give_up_ns = SECONDS(10000);
            sim_join(&sim, i);
            sim_ask(&sim, i, 1 + below(&sim, 250), 1 + below(&sim, 120));
            sim.edge[i].answers_left = below(&sim, 2);
            sim.edge[i].think_ns = below(&sim, 2) ? SECONDS(1) : 0;
        }
        run_all(&sim, n, "few pages");
        sim_end(&sim);
    }
}

static void something_happens(struct sim *sim, uint32_t n, uint32_t *asked)
{
    uint32_t i = below(sim, n);
    switch (below(sim, 6)) {
    case 0:
        sim->o.max_nodes = 1 + below(sim, 65);
        sim->o.max_rows = sim->o.max_nodes + below(sim, 200);
        sim->o.vocab = below(sim, 2) ? 64 : TABLE_MODEL_VOCAB;
        sim->o.pages = 32 + below(sim, 40);
        sim->o.max_sessions = 1 + below(sim, n);
        sim_restart(sim);
        break;
    case 1:
        if (++*asked < n / 3)
            sim_leave(sim, i, below(sim, 2));
        break;
    case 2:
        if (sim->edge[i].edge)
            se_faulty_cut(sim->edge[i].link, sim->now_ns + below(sim, 3000000) * 1000ull);
        break;
    case 3:
        sim_stop(sim, i);
        break;
    }
}

/* Few pages, fewer places than edges, losses, cuts, deaths, other limits. */
static void everything_at_once(void **state)
{
    (void)state;
    for (uint32_t number = 600; number < 600 + 16 * times; number++) {
        struct sim sim;
        uint32_t n = 2 + number % 10, asked = 0;
        struct sim_options o = draw_options(number, n, number % 3 ? 0.04 : 0);
        o.vocab = 64;
        o.pages = 40;
        o.max_sessions = 1 + number % n;
        sim_begin(&sim, &o);
        for (uint32_t i = 0; i < n; i++) {
            draw_edge(&sim, i);
            sim.edge[i].options.retry_ns = 300000000;
            sim.edge[i].options.give_up_ns = SECONDS(10000);
            sim_join(&sim, i);
            sim_ask(&sim, i, 1 + below(&sim, 150), 20 + below(&sim, 100));
            sim.edge[i].answers_left = below(&sim, 3);
            sim.edge[i].think_ns = below(&sim, 2) ? below(&sim, 2000000000) : 0;
        }
        for (int k = 0; k < 20; k++) {
            sim_run(&sim, sim.now_ns + below(&sim, 400000000));
            something_happens(&sim, n, &asked);
        }
        run_all(&sim, n, "everything");
        sim_end(&sim);
    }
}

static void a_thousand_edges(void **state)
{
    struct sim sim;
    struct sim_options o = sim_options(seed, 1000);
    (void)state;
    o.step_ns = 10000000;
    o.row_ns = 10000;
    o.grain_ns = 250000;
    o.faults = (struct se_faulty_options){
        .delay_min_ns = 5000000, .delay_max_ns = 9000000, .drop = 0.01, .twice = 0.01, .late = 0.01
    };
    sim_begin(&sim, &o);
    sim.quiet = true;
    for (uint32_t i = 0; i < o.n_edges; i++) {
        sim.edge[i].options.speculate = i % 2 ? SE_WIRE_SPECULATE_ON : SE_WIRE_SPECULATE_AUTO;
        sim.edge[i].options.sampling.temp = 0.7;
        sim.edge[i].options.grow.max_budget = 16;
        sim.edge[i].options.give_up_ns = SECONDS(10000);
        sim_draft(&sim, i, 0.1f, 1000000, 20000);
        sim_join(&sim, i);
        sim_ask(&sim, i, 10 + below(&sim, 40), 24);
    }
    for (int k = 0; k < 3; k++) {
        sim_run(&sim, sim.now_ns + 300000000);
        for (uint32_t j = 0; j < 20; j++)
            sim_leave(&sim, below(&sim, o.n_edges), false);
        if (k == 1)
            sim_restart(&sim);
    }
    run_all(&sim, o.n_edges, "a thousand");
    print_message("%llu steps, %.1f rounds each, %.1f s of its time\n",
                  (unsigned long long)sim.steps, (double)sim.step_rounds / (double)sim.steps,
                  (double)sim.now_ns * 1e-9);
    sim_end(&sim);
}

/* ---- a crowd */

enum { ACTIVE = 100, AT_ONCE = 250, WAKE = 64 };

/* Edges from..to-1 begin, a few at a time, and have a short answer. */
static void join_some(struct sim *sim, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to;) {
        for (uint32_t end = i + AT_ONCE < to ? i + AT_ONCE : to; i < end; i++) {
            sim->edge[i].options.speculate = SE_WIRE_SPECULATE_ON;
            sim->edge[i].options.give_up_ns = SECONDS(10000);
            sim_join(sim, i);
            sim_ask(sim, i, 10 + below(sim, 30), 2);
        }
        run_all(sim, i, "idle");
    }
}

/* The active write on; p50 and p99 of their rounds, in milliseconds of the server's time. */
static void write_on(struct sim *sim, double *p50, double *p99)
{
    se_hist_fini(&sim->wait_ms);
    sim->wait_ms = SE_HIST_NULL;
    for (uint32_t i = 0; i < ACTIVE; i++)
        sim_ask(sim, i, 10 + below(sim, 30), 16);
    run_all(sim, ACTIVE, "active");
    *p50 = se_hist_at(&sim->wait_ms, 0.5);
    *p99 = se_hist_at(&sim->wait_ms, 0.99);
}

/* Bytes that the server holds of every session, without its text. */
static double held_b(const struct sim *sim)
{
    const struct se_sessions *all = &sim->server->sessions;
    const double cells = (double)all->by_id.mask + all->by_nonce.mask + 2;
    double bytes = (double)all->used * sizeof *all->session + cells * sizeof(struct se_map_cell);
    for (uint32_t i = 0; i < all->used; i++) {
        const struct se_seq *seq = all->session[i].seq;
        if (seq)
            bytes += (double)(sizeof *seq + seq->page_cap * sizeof *seq->page +
                              seq->node_cap * sizeof *seq->node);
    }
    return bytes / all->n;
}

/* Pages are there for a part of them only: whoever is idle loses his, and nobody a text. */
static void a_crowd_that_is_mostly_idle(void **state)
{
    const uint32_t n = times > 1 ? 10000 : 1500;
    struct sim sim;
    struct sim_options o = sim_options(seed, n);
    double alone[2], beside[2];
    uint64_t begun_ns = se_clock_ns();
    (void)state;
    o.step_ns = 10000000;
    o.row_ns = 10000;
    o.grain_ns = 250000;
    o.pages = 4 * ACTIVE + n;
    sim_begin(&sim, &o);
    sim.quiet = true;
    join_some(&sim, 0, ACTIVE);
    write_on(&sim, &alone[0], &alone[1]);
    join_some(&sim, ACTIVE, n);
    assert_int_equal(sim.server->sessions.n, n);
    assert_true(held_b(&sim) < 4096);
    const uint64_t evictions = sim.server->sessions.evictions;
    write_on(&sim, &beside[0], &beside[1]);
    for (uint32_t k = 0; k < WAKE; k++) { /* some of the idle, who have lost their pages */
        uint32_t i = ACTIVE + below(&sim, n - ACTIVE);
        if (!sim.edge[i].asking)
            sim_ask(&sim, i, 40, 4);
    }
    run_all(&sim, n, "awake");
    print_message("%u sessions: %.0f bytes each, %.1f s of its time, %.1f s of ours; rounds of the "
                  "active: p50 %.2f, p99 %.2f ms, before the others came %.2f, %.2f; "
                  "%llu lost their pages\n",
                  n, held_b(&sim), (double)sim.now_ns * 1e-9,
                  (double)(se_clock_ns() - begun_ns) * 1e-9, beside[0], beside[1], alone[0],
                  alone[1], (unsigned long long)sim.server->sessions.evictions);
    assert_true(evictions > 0);
    assert_true(beside[0] < 1.5 * alone[0]); /* nobody at work notices them */
    sim_end(&sim);
}

/* What a server shows of the time between an answer and the next round. */
static void the_way_is_told_from_the_drafting(void **state)
{
    (void)state;
    struct sim sim;
    const struct sim_options o = sim_options(seed, 3);
    sim_begin(&sim, &o);
    for (uint32_t i = 0; i < 3; i++) {
        struct sim_edge *e = &sim.edge[i];
        e->options.speculate = i == 2 ? SE_WIRE_SPECULATE_OFF : SE_WIRE_SPECULATE_ON;
        e->options.proactive = SE_PROACTIVE_DISABLED;
        e->options.depth = SE_EDGE_DEPTH_FIXED;
        e->options.grow.max_beam_len = 4;
        e->trip_ns = i == 0 ? 10000000 : 40000000;
        e->think_ns = SECONDS(2); /* of its user: neither the one nor the other */
        sim_draft(&sim, i, i == 2 ? -1 : 0.3f, i == 0 ? 3000000 : 500000, 0);
        sim_join(&sim, i);
        sim_ask(&sim, i, 20, 100);
        e->answers_left = 2;
    }
    run_all(&sim, 3, "three edges");
    for (uint32_t i = 0; i < 3; i++) {
        const uint64_t id = sim.edge[i].options.nonce; /* that of its only HELLO, plus one */
        const uint32_t at = se_session_find_nonce(&sim.server->sessions, id + 1);
        assert_int_not_equal(at, SE_SESSION_NONE);
        const struct se_board_row *row = &se_server_session(sim.server, at)->shown;
        assert_string_equal(row->draft, i == 2 ? "" : "model");
        if (i == 2) { /* pushed: nobody waits for it */
            assert_int_equal(row->turns, 0);
            continue;
        }
        /* The first round of an answer follows none. */
        assert_int_equal(row->turns, row->trees - 3);
        assert_float_equal(row->trip_ns, (float)sim.edge[i].trip_ns, 300000);
        /* The root and four levels, at most; the text's last ids when nothing hung on them. */
        const float level_ns = (float)sim.edge[i].level_ns;
        assert_true(row->think_ns > 2 * level_ns && row->think_ns <= 6 * level_ns + 300000);
    }
    sim_end(&sim);
}

int main(int argc, char **argv)
{
    seed = seed_of_test();
    if (getenv("SE_TEST_TIMES"))
        times = (uint32_t)strtoul(getenv("SE_TEST_TIMES"), NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_mixture_writes_the_same_text),
        cmocka_unit_test(frames_may_be_lost_doubled_and_late),
        cmocka_unit_test(servers_and_edges_die),
        cmocka_unit_test(servers_come_back_with_other_limits),
        cmocka_unit_test(another_model_does_not_go_on),
        cmocka_unit_test(another_version_is_told),
        cmocka_unit_test(the_target_writes_what_the_draft_does_not_know),
        cmocka_unit_test(pages_run_out),
        cmocka_unit_test(the_way_is_told_from_the_drafting),
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(a_thousand_edges),
        cmocka_unit_test(a_crowd_that_is_mostly_idle),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* the names of those to run, with * and ? */
    return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
