/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "sched/server/job.h"

static void room_is_there_from_the_start(void **state)
{
    struct se_job job;
    (void)state;
    assert_int_equal(se_job_init(&job, 5, 300), 0);
    assert_int_equal(job.max_parts, 5);
    assert_int_equal(job.max_rows, 300);
    memset(job.part, 1, 5 * sizeof *job.part); /* the sanitizers know how much there is */
    memset(job.session, 1, 5 * sizeof *job.session);
    memset(job.slot, 1, 5 * sizeof *job.slot);
    memset(job.token, 1, 300 * sizeof *job.token);
    se_job_fini(&job);
    se_job_fini(&job);
}

static void reset_empties(void **state)
{
    struct se_job job, fresh;
    (void)state;
    assert_int_equal(se_job_init(&job, 2, 8), 0);
    fresh = job;
    job.n_parts = 2;
    job.n_tokens = 3;
    job.rows = 4;
    job.prefill_rows = 1;
    job.result = -EDOM;
    job.why[0] = 'x';
    job.begun_ns = job.ended_ns = 9;
    assert_int_equal(se_job_chore(&job, NULL, 0, true), 0);
    se_job_reset(&job);
    assert_memory_equal(&job, &fresh, sizeof job);
    se_job_fini(&job);
}

static void chores_keep_their_order(void **state)
{
    static struct se_seq seq[100];
    struct se_job job;
    (void)state;
    assert_int_equal(se_job_init(&job, 2, 8), 0);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(se_job_chore(&job, &seq[i], i, i % 3 == 0), 0);
    assert_int_equal(job.n_chores, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_ptr_equal(job.chore[i].seq, &seq[i]);
        assert_int_equal(job.chore[i].keep, i);
        assert_int_equal(job.chore[i].free, i % 3 == 0);
    }
    se_job_fini(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_there_from_the_start),
        cmocka_unit_test(reset_empties),
        cmocka_unit_test(chores_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
