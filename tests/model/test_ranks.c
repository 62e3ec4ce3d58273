/* SPDX-License-Identifier: Apache-2.0 */
/* A model shared among ranks: its parts make the whole, what comes out is what one rank alone
 * gives but for rounding, sizes that cannot be shared are refused, and nothing hangs or stays
 * behind however it ends. (That bits do not depend on company: test_bits 2.) */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/split.h"
#include "runtime/model/step.h"
#include "tests/model/gpu.h"
#include "tests/model/tiny.h"

enum { ROWS = 24, PAGES = 16, CHILDREN_MAX = 16 };
#define SOON_NS 5000000000u /* far below the half minute that ranks wait for each other */

static uint64_t seed;

struct subject {
    struct se_model *model;
    struct se_engine *engine;
    struct se_seq *seq;
};

static struct tiny_spec spec_for(uint32_t ranks, enum se_dtype stored, uint64_t number)
{
    struct tiny_spec spec = tiny_draw(seed + number, stored);
    spec.kv_heads = ranks;
    spec.head_dim = spec.head_dim < 16 ? 16 : spec.head_dim;
    spec.heads = ranks * 2;
    spec.mlp = SE_Q8_GROUP * ranks * 2;
    return spec;
}

static struct se_model *open_model(const char *dir, enum se_weights weights)
{
    struct se_model *model;
    const struct se_model_options options = { .weights = weights };
    if (se_model_open(&model, dir, &options) < 0)
        fail_msg("%s", se_err_text());
    return model;
}

static void start(struct subject *s, uint32_t tp, uint64_t wait_ns)
{
    const struct se_engine_options options = { .ops = backend_ops,
                                               .max_rows = ROWS,
                                               .n_pages = PAGES,
                                               .kv_dtype = SE_DTYPE_F32,
                                               .tp = tp,
                                               .tp_wait_ns = wait_ns };
    if (se_engine_new(&s->engine, s->model, &options) < 0 ||
        se_seq_new(&s->seq, se_engine_kv(s->engine)) < 0)
        fail_msg("%u ranks: %s", tp, se_err_text());
}

static void stop(struct subject *s)
{
    se_seq_free(s->seq);
    se_engine_free(s->engine);
}

/* Parts. */

#if !defined(TEST_ON_GPU)

/* What the matrix makes of one row of n_in floats; the row's other inputs are 0. */
static void multiply(const struct se_matrix *w, const float *x, float *y)
{
    const struct se_matmul_impl *matmul = se_matmul_pick(w->dtype);
    void *rows = aligned_alloc(64, (se_matmul_rows_size(w->dtype, 1, w->n_in) + 63) & ~(size_t)63);
    assert_non_null(rows);
    matmul->prepare(x, w->n_in, 1, w->n_in, rows, 0, 1);
    if (w->n_out)
        matmul->run(w, rows, 1, y, w->n_out, 0, w->n_out);
    free(rows);
}

/* Rows of the whole: the same bits. */
static void check_rows(const struct se_matrix *whole, const struct se_matrix *part, uint32_t first)
{
    float *x = calloc(whole->n_in, sizeof *x), *y = calloc(whole->n_out + 1, sizeof *y);
    float *got = calloc(part->n_out + 1, sizeof *got);
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    assert_int_equal(part->n_in, whole->n_in);
    for (uint32_t i = 0; i < whole->n_in; i++)
        x[i] = (float)se_rng_normal(&rng);
    multiply(whole, x, y);
    multiply(part, x, got);
    assert_memory_equal(got, y + first, part->n_out * sizeof *y);
    free(x);
    free(y);
    free(got);
}

/* Columns of the whole: as the whole gives for a row that is 0 but there. */
static void check_columns(const struct se_matrix *whole, const struct se_matrix *part,
                          uint32_t first)
{
    float *x = calloc(whole->n_in, sizeof *x), *y = calloc(whole->n_out, sizeof *y);
    float *got = calloc(part->n_out, sizeof *got);
    double largest = 0;
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    assert_int_equal(part->n_out, whole->n_out);
    for (uint32_t i = 0; i < part->n_in; i++)
        x[first + i] = (float)se_rng_normal(&rng);
    multiply(whole, x, y);
    multiply(part, x + first, got);
    for (uint32_t i = 0; i < whole->n_out; i++)
        largest = fmax(largest, fabs((double)y[i]));
    for (uint32_t i = 0; i < whole->n_out; i++)
        assert_true(fabs((double)y[i] - (double)got[i]) <= 1e-5 * largest);
    assert_true(largest > 1e-3);
    free(x);
    free(y);
    free(got);
}

static void check_part(const struct se_model *whole, uint32_t rank, uint32_t size)
{
    struct se_model *part;
    if (se_split_new(&part, whole, rank, size) < 0)
        fail_msg("%s", se_err_text());
    const struct se_config *c = &part->config;
    assert_int_equal(c->kv_heads * size, whole->config.kv_heads);
    for (uint32_t i = 0; i < c->layers; i++) {
        const struct se_layer *w = &whole->layer[i], *p = &part->layer[i];
        const uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
        check_rows(&w->q, &p->q, rank * q);
        check_rows(&w->k, &p->k, rank * kv);
        check_rows(&w->v, &p->v, rank * kv);
        check_columns(&w->o, &p->o, rank * q);
        check_rows(&w->gate, &p->gate, rank * c->mlp);
        check_rows(&w->up, &p->up, rank * c->mlp);
        check_columns(&w->down, &p->down, rank * c->mlp);
    }
    const uint32_t first = rank * se_split_tokens(c, size);
    check_rows(&whole->output, &part->output, first < c->vocab ? first : c->vocab);
    se_split_free(part);
}

static void parts_make_the_whole(void **state)
{
    static const enum se_weights weights[] = { SE_WEIGHTS_STORED, SE_WEIGHTS_F32, SE_WEIGHTS_BF16,
                                               SE_WEIGHTS_Q8 };
    static const enum se_dtype stored[] = { SE_DTYPE_F16, SE_DTYPE_F32 };
    (void)state;
    for (uint32_t number = 0; number < 8; number++) {
        char dir[TINY_PATH_MAX_B];
        const uint32_t size = 1 + number % 4;
        const struct tiny_spec spec = spec_for(size, stored[number % 2], number);
        tiny_write(dir, &spec);
        struct se_model *model = open_model(dir, weights[number / 2]);
        for (uint32_t rank = 0; rank < size; rank++)
            check_part(model, rank, size);
        se_model_close(model);
        tiny_remove(dir);
    }
}

static void what_cannot_be_shared_is_named(void **state)
{
    static const struct {
        uint32_t tp, kv_heads, heads, mlp;
        enum se_weights weights;
        const char *words;
    } cases[] = {
        { 4, 6, 12, 192, SE_WEIGHTS_STORED,
          "6 key-value heads; this model can be split among 1, "
          "2, 3, 6" },
        { 2, 2, 4, 33, SE_WEIGHTS_STORED, "an mlp of 33; this model can be split among 1" },
        { 4, 4, 8, 160, SE_WEIGHTS_Q8, "8-bit weights in groups of 32 under an mlp of 160" },
        { 2, 2, 2, 128, SE_WEIGHTS_Q8, "under 2 heads of 16; this model can be split among 1" },
        { 65, 4, 8, 128, SE_WEIGHTS_STORED, "65 ranks are not from 1 to 64" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TINY_PATH_MAX_B];
        struct tiny_spec spec = tiny_draw(seed, SE_DTYPE_F32);
        struct se_engine *engine = NULL;
        struct se_engine_options options = {
            .max_rows = 1, .n_pages = 1, .kv_dtype = SE_DTYPE_F32, .tp = cases[i].tp
        };
        spec.kv_heads = cases[i].kv_heads;
        spec.heads = cases[i].heads;
        spec.mlp = cases[i].mlp;
        spec.head_dim = 16;
        tiny_write(dir, &spec);
        struct se_model *model = open_model(dir, cases[i].weights);
        assert_int_equal(se_engine_new(&engine, model, &options), -EINVAL);
        if (!strstr(se_err_text(), cases[i].words))
            fail_msg("'%s' does not say '%s'", se_err_text(), cases[i].words);
        se_model_close(model);
        tiny_remove(dir);
    }
}

#endif

/* Rounding. */

/* Logits of a prompt, and of a tree behind it. */
static void compute(struct subject *s, float *logits)
{
    static const int32_t parent[] = { -1, 0, 0, 1, 1, 2, 5, 3 };
    enum { PROMPT = 16, NODES = 8 };
    const uint32_t path[] = { 0, 2, 5 };
    uint32_t token[ROWS];
    struct se_rng rng;
    se_rng_init(&rng, seed, SE_RNG_TEST);
    for (uint32_t i = 0; i < ROWS; i++)
        token[i] = se_rng_below(&rng, s->model->config.vocab);
    const size_t vocab = s->model->config.vocab;
    struct se_part prompt = { .seq = s->seq, .token = token, .n_rows = PROMPT };
    struct se_part tree = { .seq = s->seq,
                            .token = token + PROMPT,
                            .parent = parent,
                            .n_rows = NODES,
                            .want = SE_WANT_LOGITS,
                            .logits = logits };
    assert_int_equal(se_step(s->engine, &prompt, 1), 0);
    assert_int_equal(se_step(s->engine, &tree, 1), 0);
    assert_int_equal(se_engine_commit(s->engine, s->seq, path, 3, NULL, 0), 0);
    tree.logits = logits + NODES * vocab;
    assert_int_equal(se_step(s->engine, &tree, 1), 0);
}

static void ranks_agree_with_one(void **state)
{
    static const struct {
        enum se_weights weights;
        double tolerance; /* activations are rounded to the precision of the weights */
    } cases[] = { { SE_WEIGHTS_F32, on_gpu ? 5e-2 : 2e-5 },
                  { SE_WEIGHTS_BF16, 5e-2 },
                  { SE_WEIGHTS_Q8, 1e-1 } };
    enum { RANKS = 4 };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char dir[TINY_PATH_MAX_B];
        struct tiny_spec spec = spec_for(RANKS, SE_DTYPE_F32, i);
        tiny_write(dir, &spec);
        struct subject s = { .model = open_model(dir, cases[i].weights) };
        const size_t n = (size_t)16 * s.model->config.vocab;
        float *one = calloc(n, sizeof *one), *some = calloc(n, sizeof *some);
        double largest = 0, difference = 0;
        start(&s, 1, 0);
        compute(&s, one);
        stop(&s);
        for (uint32_t tp = 2; tp <= RANKS; tp *= 2) {
            start(&s, tp, 0);
            compute(&s, some);
            stop(&s);
            for (size_t k = 0; k < n; k++) {
                largest = fmax(largest, fabs((double)one[k]));
                difference = fmax(difference, fabs((double)one[k] - (double)some[k]));
            }
            print_message("%s, %u ranks: off by %.1e\n", se_weights_name(cases[i].weights), tp,
                          difference / largest);
            assert_true(largest > 0 && difference <= cases[i].tolerance * largest);
        }
        free(one);
        free(some);
        se_model_close(s.model);
        tiny_remove(dir);
    }
}

/* A logit that is not finite is an answer: the ranks go on. */
static void not_finite_is_no_end(void **state)
{
    char dir[TINY_PATH_MAX_B], path[TINY_PATH_MAX_B + 32];
    struct tiny_spec spec = spec_for(2, SE_DTYPE_F32, 1);
    const struct se_sampling greedy = SE_SAMPLING_GREEDY;
    const float nan = NAN;
    const uint32_t token = 1;
    uint32_t walked[1];
    (void)state;
    spec.tied = false;
    tiny_write(dir, &spec);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    FILE *file = fopen(path, "r+b"); /* it ends in the last weight of the output */
    assert_non_null(file);
    assert_int_equal(fseek(file, -(long)sizeof nan, SEEK_END), 0);
    assert_int_equal(fwrite(&nan, sizeof nan, 1, file), 1);
    fclose(file);
    struct subject s = { .model = open_model(dir, SE_WEIGHTS_STORED) };
    start(&s, 2, 0);
    struct se_part part = { .seq = s.seq,
                            .token = &token,
                            .n_rows = 1,
                            .want = SE_WANT_VERDICT,
                            .sampling = &greedy,
                            .path = walked };
    assert_int_equal(se_step(s.engine, &part, 1), -EDOM);
    assert_non_null(strstr(se_err_text(), "finite"));
    part.want = SE_WANT_NOTHING;
    assert_int_equal(se_step(s.engine, &part, 1), 0);
    stop(&s);
    se_model_close(s.model);
    tiny_remove(dir);
}

/* Ends. */

/* Parent and state of a process; false: there is none. */
static bool look_at_process(pid_t process, pid_t *parent, char *state)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    const size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *end = strrchr(text, ')');
    int number = 0;
    if (!end || sscanf(end + 1, " %c %d", state, &number) != 2)
        return false;
    *parent = (pid_t)number;
    return true;
}

static uint32_t children_of(pid_t whose, pid_t *child)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    uint32_t n = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        pid_t parent;
        char status;
        const pid_t process = (pid_t)strtol(entry->d_name, NULL, 10);
        if (process > 0 && look_at_process(process, &parent, &status) && parent == whose &&
            n < CHILDREN_MAX)
            child[n++] = process;
    }
    closedir(folder);
    return n;
}

static void open_for_the_end(struct subject *s, char *dir, uint32_t tp, uint64_t wait_ns)
{
    const struct tiny_spec spec = spec_for(tp, SE_DTYPE_F32, 2);
    tiny_write(dir, &spec);
    s->model = open_model(dir, SE_WEIGHTS_STORED);
    start(s, tp, wait_ns);
}

/* Everything that may be left is gone: no child of this process. */
static void close_at_the_end(struct subject *s, const char *dir)
{
    stop(s);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    se_model_close(s->model);
    tiny_remove(dir);
}

static int step_once(struct subject *s)
{
    static const uint32_t token[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct se_part part = { .seq = s->seq, .token = token, .n_rows = 8 };
    se_seq_rewind(s->seq, 0);
    return se_step(s->engine, &part, 1);
}

static void nothing_stays_behind(void **state)
{
    char dir[TINY_PATH_MAX_B];
    struct subject s;
    pid_t child[CHILDREN_MAX];
    (void)state;
    open_for_the_end(&s, dir, 3, 0);
    assert_int_equal(children_of(getpid(), child), 2);
    assert_int_equal(step_once(&s), 0);
    assert_non_null(strstr(se_engine_backend(s.engine), ", 3 ranks"));
    const uint64_t from = se_clock_ns();
    close_at_the_end(&s, dir);
    assert_true(se_clock_ns() - from < SOON_NS);
}

static pid_t victim;

static void kill_victim(int number)
{
    (void)number;
    kill(victim, SIGKILL);
}

/* Killed while steps go on: one of them fails, and says who. */
static void a_killed_rank_is_missed(void **state)
{
    char dir[TINY_PATH_MAX_B];
    struct subject s;
    pid_t child[CHILDREN_MAX];
    const struct itimerval soon = { .it_value = { .tv_usec = 30000 } };
    int r = 0;
    (void)state;
    open_for_the_end(&s, dir, 3, 0);
    assert_int_equal(children_of(getpid(), child), 2);
    victim = child[0];
    signal(SIGALRM, kill_victim);
    const uint64_t from = se_clock_ns();
    setitimer(ITIMER_REAL, &soon, NULL);
    while (r == 0 && se_clock_ns() - from < SOON_NS)
        r = step_once(&s);
    assert_int_equal(r, -EIO);
    assert_non_null(strstr(se_err_text(), "was ended by signal 9"));
    assert_int_equal(s.seq->len, 0);
    assert_int_equal(step_once(&s), -EIO);
    assert_non_null(strstr(se_err_text(), "was ended by signal 9"));
    assert_true(se_clock_ns() - from < SOON_NS);
    close_at_the_end(&s, dir);
}

static void a_stopped_rank_is_not_waited_for(void **state)
{
    char dir[TINY_PATH_MAX_B];
    struct subject s;
    pid_t child[CHILDREN_MAX];
    (void)state;
    open_for_the_end(&s, dir, 2, 300000000);
    assert_int_equal(children_of(getpid(), child), 1);
    kill(child[0], SIGSTOP);
    assert_int_equal(waitpid(child[0], NULL, WUNTRACED), child[0]);
    const uint64_t from = se_clock_ns();
    assert_int_equal(step_once(&s), -EIO);
    assert_non_null(strstr(se_err_text(), "rank 1 of 2 did not come within 0.3 s"));
    assert_true(se_clock_ns() - from < SOON_NS);
    close_at_the_end(&s, dir);
}

/* Rank 0 is killed, so that it can tell nobody. */
static void orphans_end(void **state)
{
    int pair[2];
    uint32_t n = 0;
    pid_t child[CHILDREN_MAX], parent;
    char status;
    (void)state;
    assert_int_equal(pipe(pair), 0);
    const pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        char dir[TINY_PATH_MAX_B];
        struct subject s;
        open_for_the_end(&s, dir, 3, 0);
        tiny_remove(dir);
        if (step_once(&s) != 0 || write(pair[1], "!", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(pair[0], &status, 1), 1);
    n = children_of(process, child);
    assert_int_equal(n, 2);
    assert_int_equal(kill(process, SIGKILL), 0);
    assert_int_equal(waitpid(process, NULL, 0), process);
    const uint64_t from = se_clock_ns();
    for (uint32_t i = 0; i < n; i++) {
        while (look_at_process(child[i], &parent, &status) && status != 'Z')
            assert_true(se_clock_ns() - from < SOON_NS);
    }
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if !defined(TEST_ON_GPU)
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(what_cannot_be_shared_is_named),
#endif
        cmocka_unit_test(ranks_agree_with_one),
        cmocka_unit_test(not_finite_is_no_end),
        cmocka_unit_test(nothing_stays_behind),
        cmocka_unit_test(a_killed_rank_is_missed),
        cmocka_unit_test(a_stopped_rank_is_not_waited_for),
        cmocka_unit_test(orphans_end),
    };
    seed = tiny_seed();
    return cmocka_run_group_tests_name("ranks", tests, NULL, NULL);
}
