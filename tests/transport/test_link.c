/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "transport/link.h"

static struct se_frames *frames;

static void refused(const char *url, int code, const char *named)
{
    const struct se_link_options options = se_link_options(frames);
    struct se_link *link = NULL;
    assert_int_equal(se_link_listen(&link, url, &options), code);
    assert_null(link);
    if (strstr(se_err_text(), named) == NULL)
        fail_msg("'%s' does not speak of '%s'", se_err_text(), named);
    if (strchr(url, ',') == NULL)
        assert_int_equal(se_link_connect(&link, url, &options), code);
}

static void a_url_that_nobody_knows_is_refused(void **state)
{
    (void)state;
    refused("udp://somewhere", -EPROTONOSUPPORT, "unknown scheme 'udp'; there is loop");
    refused("loops://somewhere", -EPROTONOSUPPORT, "loops");
    refused("somewhere:5000", -EINVAL, "SCHEME://ADDRESS");
    refused("", -EINVAL, "SCHEME://ADDRESS");
    refused("://x", -EINVAL, "SCHEME://ADDRESS");
    refused("loop://", -EINVAL, "no address");
    refused("loop://a,", -EINVAL, "SCHEME://ADDRESS");
    refused("loop://a,loop://b", -EINVAL, "one name");
}

static void an_edge_connects_to_one_server(void **state)
{
    const struct se_link_options options = se_link_options(frames);
    struct se_link *link = NULL;
    (void)state;
    assert_int_equal(se_link_connect(&link, "loop://a,loop://b", &options), -EINVAL);
}

static void options_that_cannot_be_met_are_refused(void **state)
{
    struct se_link *link = NULL;
    (void)state;
    struct se_link_options options = se_link_options(frames);
    options.frame_max_b = se_frames_cap_b(frames) + 1;
    assert_int_equal(se_link_listen(&link, "loop://a", &options), -EINVAL);
    options = se_link_options(frames);
    options.queue_frames = 0;
    assert_int_equal(se_link_listen(&link, "loop://a", &options), -EINVAL);
    options = se_link_options(frames);
    options.peers_max = 0;
    assert_int_equal(se_link_listen(&link, "loop://a", &options), -EINVAL);
}

static void two_servers_cannot_have_one_name(void **state)
{
    const struct se_link_options options = se_link_options(frames);
    struct se_link *first, *second = NULL;
    (void)state;
    assert_int_equal(se_link_listen(&first, "loop://a", &options), 0);
    assert_int_equal(se_link_listen(&second, "loop://a", &options), -EADDRINUSE);
    assert_null(second);
    se_link_fini(first);
    assert_int_equal(se_link_listen(&second, "loop://a", &options), 0);
    se_link_fini(second);
    se_link_fini(NULL);
}

static void a_pool_gives_what_it_has(void **state)
{
    struct se_frames *pool;
    struct se_frame *frame[3];
    (void)state;
    assert_int_equal(se_frames_new(&pool, 0, 10), -EINVAL);
    assert_int_equal(se_frames_new(&pool, 1, SE_FRAME_MAX + 1), -EINVAL);
    assert_int_equal(se_frames_new(&pool, 3, 10), 0);
    for (int i = 0; i < 3; i++) {
        frame[i] = se_frame_get(pool);
        assert_non_null(frame[i]);
        assert_int_equal(frame[i]->cap_b, 10);
        memset(frame[i]->data, i, 10);
    }
    assert_null(se_frame_get(pool));
    assert_int_equal(se_frames_out(pool), 3);
    se_frame_put(frame[1]);
    assert_int_equal(se_frames_out(pool), 2);
    assert_ptr_equal(se_frame_get(pool), frame[1]);
    se_frames_free(pool); /* before its frames: the last of them frees it */
    for (int i = 0; i < 3; i++)
        se_frame_put(frame[i]);
    se_frame_put(NULL);
    se_frames_free(NULL);
}

/* A generous pool takes as much memory as frames were ever out at once. */
static void a_frame_is_used_again_before_a_new_one(void **state)
{
    struct se_frames *pool;
    (void)state;
    assert_int_equal(se_frames_new(&pool, 8, 10), 0);
    struct se_frame *a = se_frame_get(pool), *b = se_frame_get(pool);
    for (int i = 0; i < 100; i++) {
        se_frame_put(a);
        se_frame_put(b);
        assert_ptr_equal(se_frame_get(pool), b); /* the last one first */
        assert_ptr_equal(se_frame_get(pool), a);
    }
    se_frame_put(b);
    struct se_frame *c = se_frame_get(pool), *d = se_frame_get(pool);
    assert_ptr_equal(c, b);
    assert_true(d != NULL && d != a && d != b);
    se_frame_put(a);
    se_frame_put(c);
    se_frame_put(d);
    se_frames_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_that_nobody_knows_is_refused),
        cmocka_unit_test(an_edge_connects_to_one_server),
        cmocka_unit_test(options_that_cannot_be_met_are_refused),
        cmocka_unit_test(two_servers_cannot_have_one_name),
        cmocka_unit_test(a_pool_gives_what_it_has),
        cmocka_unit_test(a_frame_is_used_again_before_a_new_one),
    };
    if (se_frames_new(&frames, 4, 100) < 0)
        return 1;
    const int failed = cmocka_run_group_tests_name("link", tests, NULL, NULL);
    se_frames_free(frames);
    return failed != 0;
}
