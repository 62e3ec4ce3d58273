/* SPDX-License-Identifier: Apache-2.0 */
/* A server by itself: when its thread may sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants what stands above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "sched/server/server.h"
#include "tests/sched/table_backend.h"
#include "transport/wire.h"

enum { PAGES = 16, ROWS = 16 };

/* A server on a link that nobody connects to; the link tells how it was waited for. */
struct stand {
    struct se_link link; /* first: what the server calls */
    struct se_link *inner;
    struct se_frames *frames;
    struct table_model model;
    struct se_engine *engine;
    struct se_stepper *stepper;
    struct se_server *server;
    uint32_t asked, tell_at; /* stop() was; and is told behind this look */
    bool told, rung, overslept;
};

static struct stand *stand_of(struct se_link *link) { return (struct stand *)link; }

static int stand_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    return se_link_send(stand_of(link)->inner, peer, frame);
}

static int stand_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    return se_link_recv(stand_of(link)->inner, peer, out);
}

/* Never sleeps, but says whether it would have slept through what was told. */
static int stand_wait(struct se_link *link, uint64_t ns)
{
    struct stand *stand = stand_of(link);
    stand->overslept |= stand->told && !stand->rung && ns > 0;
    return SE_LINK_AGAIN;
}

static void stand_wake(struct se_link *link) { stand_of(link)->rung = true; }

static const struct se_link_ops stand_ops = {
    .name = "stand", .send = stand_send, .recv = stand_recv, .wait = stand_wait, .wake = stand_wake
};

static void begin(struct stand *stand)
{
    *stand = (struct stand){ .link = { .ops = &stand_ops, .frame_max_b = SE_WIRE_FRAME_MAX } };
    table_model_init(&stand->model, 1, TABLE_MODEL_VOCAB, 128);
    assert_int_equal(se_frames_new(&stand->frames, 16, SE_WIRE_FRAME_MAX), 0);
    const struct se_link_options link = se_link_options(stand->frames);
    assert_int_equal(se_link_listen(&stand->inner, "loop://test-server", &link), 0);
    assert_int_equal(table_engine_new(&stand->engine, &stand->model, ROWS, PAGES), 0);
    const struct se_stepper_options stepper = { .engine = stand->engine };
    assert_int_equal(se_stepper_new(&stand->stepper, &stepper), 0);
    const struct se_server_options o = {
        .link = &stand->link,
        .frames = stand->frames,
        .stepper = stand->stepper,
        .pages = PAGES,
        .kv = se_engine_kv(stand->engine),
        .tokens = TABLE_MODEL_VOCAB,
        .vocab = TABLE_MODEL_VOCAB,
        .context = 128,
        .max_rows = ROWS,
        .max_nodes = ROWS,
        .max_sessions = 4,
        .live = se_server_live(),
    };
    assert_int_equal(se_server_new(&stand->server, &o), 0);
}

static void end(struct stand *stand)
{
    se_stepper_free(stand->stepper);
    se_server_free(stand->server);
    se_link_fini(stand->inner);
    se_frames_free(stand->frames);
    se_engine_free(stand->engine);
}

/* Another thread tells the server to stop, just behind the look that found nothing. */
static bool told_behind(void *context)
{
    struct stand *stand = context;
    const bool stops = stand->told;
    if (++stand->asked == stand->tell_at) {
        stand->told = true;
        se_server_wake(stand->server);
    }
    return stops;
}

static void a_wake_is_heard_whenever_it_comes(void **state)
{
    (void)state;
    for (uint32_t at = 1; at < 8; at++) {
        struct stand stand;
        begin(&stand);
        stand.tell_at = at;
        const struct se_idle_options park = { .spin_ns = 0, .yield_ns = 0 };
        assert_int_equal(se_server_run(stand.server, park, told_behind, &stand), 0);
        assert_false(stand.overslept);
        assert_true(stand.told);
        end(&stand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_is_heard_whenever_it_comes),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
