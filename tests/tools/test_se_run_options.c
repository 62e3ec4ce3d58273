/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of se-run beside what they are settings of: the edge, the published files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "tools/outcome.h"
#include "tools/published.h"
#include "tools/se_run_options.h"

static struct se_run_options defaults(void)
{
    struct se_run_options o;
    assert_int_equal(se_conf_defaults(se_run_rows, se_run_rows_n, &o), 0);
    return o;
}

/* Who says nothing gets what the edge would do by itself. */
static void test_edge_defaults(void **state)
{
    (void)state;
    struct se_run_options o = defaults();
    struct se_edge_options own = se_edge_options(), said = { .sampling = own.sampling };
    said.grow = own.grow;
    said.ahead = own.ahead;
    se_run_options_edge(&o, &said);
    assert_int_equal(said.context, own.context);
    assert_int_equal(said.speculate, own.speculate);
    assert_int_equal(said.shape, own.shape);
    assert_memory_equal(&said.grow, &own.grow, sizeof own.grow);
    assert_memory_equal(&said.ahead, &own.ahead, sizeof own.ahead);
    assert_int_equal(said.proactive, own.proactive);
    assert_int_equal(said.depth, own.depth);
    assert_true(said.sharpen == own.sharpen);
    assert_int_equal(said.retry_ns, own.retry_ns);
    assert_int_equal(said.give_up_ns, own.give_up_ns);
    assert_int_equal(said.busy, own.busy);
    assert_int_equal(said.check, own.check);
}

/* What the rows call a choice is what the enum does. */
static void test_choices(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        int proactive, shape, speculate, busy;
    } cases[] = {
        { "--proactive=disabled", SE_PROACTIVE_DISABLED, 0, 0, 0 },
        { "--proactive=included", SE_PROACTIVE_INCLUDED, 0, 0, 0 },
        { "--shape=published", SE_PROACTIVE_EXCLUDED, SE_EDGE_SHAPE_PUBLISHED, 0, 0 },
        { "--speculate=on", SE_PROACTIVE_EXCLUDED, 0, SE_WIRE_SPECULATE_ON, 0 },
        { "--speculate=off", SE_PROACTIVE_EXCLUDED, 0, SE_WIRE_SPECULATE_OFF, 0 },
        { "--on-busy=fail", SE_PROACTIVE_EXCLUDED, 0, 0, SE_EDGE_BUSY_FAIL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct se_run_options o = defaults();
        char program[] = "se-run", word[64], *argv[] = { program, word }, *rest[2];
        int n_rest;
        strcpy(word, cases[i].word);
        assert_int_equal(se_conf_args(se_run_rows, se_run_rows_n, &o, 2, argv, rest, &n_rest), 0);
        assert_int_equal(o.proactive, cases[i].proactive);
        assert_int_equal(o.shape, cases[i].shape);
        assert_int_equal(o.speculate, cases[i].speculate);
        assert_int_equal(o.busy, cases[i].busy);
    }
}

static void test_published(void **state)
{
    (void)state;
    if (se_conf_foreign_check(se_published_edge, se_published_edge_n, se_run_rows, se_run_rows_n))
        fail_msg("%s", se_err_text());
}

/* What a file has set can be taken back. */
static void test_tidy(void **state)
{
    (void)state;
    struct se_run_options o = defaults();
    enum se_run_source source;
    o.server = "tcp://127.0.0.1:1";
    o.tokenizer = "dir";
    o.dataset = "";
    o.draft = "";
    o.prompt.text = ""; /* a text, and an empty one */
    se_run_options_tidy(&o);
    assert_int_equal(se_run_options_check(&o, false, &source), 0);
    assert_int_equal(source, SE_RUN_FROM_TEXT);
    assert_null(o.dataset);
    assert_null(se_run_options_draft_model(&o));
    assert_string_equal(se_run_options_words(&o), "dir");
    o.tokenizer = "";
    o.model = "target";
    o.draft = "draft";
    se_run_options_tidy(&o);
    assert_string_equal(se_run_options_words(&o), "target");
    o.model = NULL;
    assert_string_equal(se_run_options_words(&o), "draft");
    o.draft = "ngram";
    assert_int_equal(se_run_options_check(&o, false, &source), SE_OUTCOME_USAGE);
}

/* Where nothing is said it is the user who speaks, if there is one. */
static void test_sources(void **state)
{
    (void)state;
    struct se_run_options o = defaults();
    enum se_run_source source;
    o.local = true;
    o.model = "target";
    assert_int_equal(se_run_options_check(&o, true, &source), 0);
    assert_int_equal(source, SE_RUN_FROM_USER);
    assert_true(se_run_options_chat(&o, source));
    assert_int_equal(se_run_options_check(&o, false, &source), SE_OUTCOME_USAGE);
    o.prompt.ids = "1 2";
    assert_int_equal(se_run_options_check(&o, true, &source), 0);
    assert_int_equal(source, SE_RUN_FROM_IDS);
    assert_false(se_run_options_chat(&o, source));
    o.dataset = "file";
    assert_int_equal(se_run_options_check(&o, true, &source), SE_OUTCOME_USAGE);
    o.prompt.ids = NULL;
    assert_int_equal(se_run_options_check(&o, true, &source), 0);
    assert_int_equal(source, SE_RUN_FROM_DATASET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edge_defaults), cmocka_unit_test(test_choices),
        cmocka_unit_test(test_published),     cmocka_unit_test(test_tidy),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
