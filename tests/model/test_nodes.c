/* SPDX-License-Identifier: Apache-2.0 */
/* A model shared among ranks of several machines, which here are processes: the bits are those of
 * one machine, strangers and wrong ones are turned away, and whoever is lost is named everywhere.
 *
 * Machines are forked when rank 0 says where it listens, so that the system can pick the port. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/rng.h"
#include "runtime/model/identity.h"
#include "runtime/model/ranks.h"
#include "runtime/model/socket.h"
#include "runtime/model/split.h"
#include "tests/model/tiny.h"

enum { ROWS = 24, PAGES = 16, MACHINES_MAX = 4, TEXT_B = 600, SAID_B = 4096 };
#define SOON_NS 8000000000u /* far below the half minute that ranks wait for each other */

static uint64_t seed;

/* What a process that is forked at the meeting does; what it returns is its exit status. */
typedef int comer_fn(const char *address, const char *dir, int report);

struct comer {
    comer_fn *come;
    const char *dir;
    pid_t process;
    int report; /* to read from: a sentence */
};

struct subject {
    char dir[TINY_PATH_MAX_B];
    struct se_model *model;
    struct se_engine *engine;
    struct se_seq *seq;
    struct se_nodes nodes;
    struct comer comer[MACHINES_MAX];
    uint32_t n_comers;
    char said[SAID_B], address[SE_SOCKET_NAME_B];
};

static struct tiny_spec spec_for(uint32_t ranks, uint64_t number)
{
    struct tiny_spec spec = tiny_draw(seed + number, SE_DTYPE_F32);
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

/* Machines. */

static int say_end(int report, int r)
{
    char text[TEXT_B];
    const int n = snprintf(text, sizeof text, "%d %s", r, r ? se_err_text() : "left");
    return write(report, text, (size_t)n) == n ? 0 : 1;
}

/* insists: when all places are taken, until one is free. */
static int join(const char *address, const char *dir, bool insists, int *fd,
                struct se_nodes_terms *terms)
{
    const struct se_nodes_watch watch = { 0 };
    const uint64_t until = se_clock_ns() + SOON_NS;
    struct se_config config;
    int r = se_config_read(&config, dir);
    if (r < 0)
        return r;
    do {
        r = se_nodes_join(fd, terms, address, se_identity_shape(&config), &watch);
    } while (insists && r == -EACCES && se_clock_ns() < until);
    return r;
}

/* As se-rank does. */
static int be_machine(const char *address, const char *dir, bool insists, int report)
{
    const struct se_nodes_watch watch = { 0 };
    const struct se_engine_options options = { .backend = SE_BACKEND_CPU };
    struct se_nodes_terms terms;
    struct se_model *model = NULL;
    int fd, r = join(address, dir, insists, &fd, &terms);
    if (r < 0)
        return say_end(report, r);
    const struct se_model_options of_model = { .weights = (enum se_weights)terms.weights };
    r = se_model_open(&model, dir, &of_model);
    if (r == 0)
        r = se_ranks_serve(model, address, &terms, &options, &watch);
    se_model_close(model);
    close(fd);
    return say_end(report, r);
}

static int machine_comes(const char *address, const char *dir, int report)
{
    return be_machine(address, dir, false, report);
}

static int machine_insists(const char *address, const char *dir, int report)
{
    poll(NULL, 0, 50); /* behind the other, mostly */
    return be_machine(address, dir, true, report);
}

/* Comes, and never loads. */
static int machine_dawdles(const char *address, const char *dir, int report)
{
    struct se_nodes_terms terms;
    int fd;
    if (join(address, dir, false, &fd, &terms) == 0)
        poll(NULL, 0, 20000);
    return say_end(report, 0);
}

/* Comes, and goes again. */
static int machine_goes(const char *address, const char *dir, int report)
{
    struct se_nodes_terms terms;
    int fd;
    join(address, dir, false, &fd, &terms);
    return say_end(report, 0);
}

static void keep_only(int fd)
{
    for (int i = STDERR_FILENO + 1; i < 256; i++)
        if (i != fd)
            close(i);
}

static void send_comer(struct comer *comer, const char *address)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    comer->process = fork();
    assert_true(comer->process >= 0);
    if (comer->process == 0) {
        keep_only(ends[1]);
        _exit(comer->come(address, comer->dir, ends[1]));
    }
    close(ends[1]);
    comer->report = ends[0];
}

/* Its end, within a moment: the sentence. */
static void hear_end(struct comer *comer, char text[TEXT_B])
{
    struct pollfd of = { .fd = comer->report, .events = POLLIN };
    assert_int_equal(poll(&of, 1, (int)(SOON_NS / 1000000u)), 1);
    const ssize_t n = read(comer->report, text, TEXT_B - 1);
    text[n > 0 ? n : 0] = '\0';
    close(comer->report);
    assert_int_equal(waitpid(comer->process, NULL, 0), comer->process);
    comer->process = 0;
}

static void check_end(struct comer *comer, const char *words)
{
    char text[TEXT_B];
    hear_end(comer, text);
    if (!strstr(text, words))
        fail_msg("a machine ended with '%s', not with '%s'", text, words);
}

/* Rank 0. */

/* The first line says where it listens: all come then. */
static void on_say(void *context, const char *text)
{
    struct subject *s = context;
    const char *at = strstr(text, " at 127.0.0.1:");
    const size_t len = strlen(s->said);
    snprintf(s->said + len, sizeof s->said - len, "%s\n", text);
    if (s->address[0] || !at)
        return;
    snprintf(s->address, sizeof s->address, "%s", at + 4);
    for (uint32_t i = 0; i < s->n_comers; i++)
        send_comer(&s->comer[i], s->address);
}

static void set_up(struct subject *s, uint32_t tp, uint64_t number)
{
    const struct tiny_spec spec = spec_for(tp, number);
    *s = (struct subject){ .nodes = { .address = "127.0.0.1:0", .machines = 2 } };
    tiny_write(s->dir, &spec);
    s->nodes.watch = (struct se_nodes_watch){ .say = on_say, .context = s };
}

static void add_comer(struct subject *s, comer_fn *come, const char *dir)
{
    s->comer[s->n_comers++] = (struct comer){ .come = come, .dir = dir ? dir : s->dir };
}

static int try_start(struct subject *s, uint32_t tp, uint64_t wait_ns)
{
    const struct se_engine_options options = { .backend = SE_BACKEND_CPU,
                                               .max_rows = ROWS,
                                               .n_pages = PAGES,
                                               .kv_dtype = SE_DTYPE_F32,
                                               .tp = tp,
                                               .tp_wait_ns = wait_ns,
                                               .nodes = s->nodes.machines > 1 ? &s->nodes : NULL };
    if (!s->model)
        s->model = open_model(s->dir, (enum se_weights)s->nodes.weights);
    return se_engine_new(&s->engine, s->model, &options);
}

static void start(struct subject *s, uint32_t tp, uint64_t wait_ns)
{
    if (try_start(s, tp, wait_ns) < 0 || se_seq_new(&s->seq, se_engine_kv(s->engine)) < 0)
        fail_msg("%u ranks, %u machines: %s; %s", tp, s->nodes.machines, se_err_text(), s->said);
}

static void stop(struct subject *s)
{
    se_seq_free(s->seq);
    se_engine_free(s->engine);
    s->seq = NULL;
    s->engine = NULL;
}

/* Nothing is left: no process that this one has started. */
static void tear_down(struct subject *s)
{
    stop(s);
    for (uint32_t i = 0; i < s->n_comers; i++)
        assert_int_equal(s->comer[i].process, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    se_model_close(s->model);
    tiny_remove(s->dir);
}

static void check_said(const struct subject *s, const char *words)
{
    if (!strstr(s->said, words))
        fail_msg("rank 0 did not say '%s' but '%s'", words, s->said);
}

static int step_once(struct subject *s)
{
    enum { N = 8, LOGITS = 1 << 15 };
    static const uint32_t token[N] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    static float logits[LOGITS]; /* wanted, so that rank 0 waits for the others */
    struct se_part part = {
        .seq = s->seq, .token = token, .n_rows = N, .want = SE_WANT_LOGITS, .logits = logits
    };
    assert_true(s->model->config.vocab <= LOGITS / N);
    se_seq_rewind(s->seq, 0);
    return se_step(s->engine, &part, 1);
}

/* Bits. */

/* Logits of a prompt's end, of a tree behind it, and of the same tree when some are committed. */
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
    tree.logits = logits + (size_t)NODES * s->model->config.vocab;
    assert_int_equal(se_step(s->engine, &tree, 1), 0);
}

static void bits_are_those_of_one_machine(void **state)
{
    static const struct {
        uint32_t tp, machines;
        enum se_weights weights;
    } cases[] = { { 2, 2, SE_WEIGHTS_STORED },
                  { 4, 2, SE_WEIGHTS_Q8 },
                  { 4, 4, SE_WEIGHTS_BF16 },
                  { 3, 3, SE_WEIGHTS_F32 } };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct subject s;
        set_up(&s, cases[k].tp, k);
        s.nodes.weights = cases[k].weights;
        s.nodes.machines = 1;
        start(&s, cases[k].tp, 0);
        const size_t n = (size_t)16 * s.model->config.vocab;
        float *one = calloc(n, sizeof *one), *several = calloc(n, sizeof *several);
        compute(&s, one);
        stop(&s);
        s.nodes.machines = cases[k].machines;
        for (uint32_t i = 1; i < cases[k].machines; i++)
            add_comer(&s, machine_comes, NULL);
        start(&s, cases[k].tp, 0);
        compute(&s, several);
        stop(&s);
        assert_memory_equal(one, several, n * sizeof *one);
        for (uint32_t i = 0; i < s.n_comers; i++)
            check_end(&s.comer[i], "0 left");
        free(one);
        free(several);
        tear_down(&s);
    }
}

/* The meeting. */

/* Another model is refused, whether its shape or its weights tell; the right one comes behind. */
static void another_model_is_refused(void **state)
{
    static const char *const words[] = { "the model there is of another shape than that of rank 0",
                                         "has other weights than that of rank 0" };
    (void)state;
    for (uint64_t k = 0; k < 2; k++) {
        struct subject s;
        char other[TINY_PATH_MAX_B];
        struct tiny_spec spec = spec_for(2, 7);
        set_up(&s, 2, 7);
        spec.seed += k;
        spec.mlp *= k == 0 ? 2 : 1;
        tiny_write(other, &spec);
        add_comer(&s, machine_comes, other);
        add_comer(&s, machine_insists, NULL);
        start(&s, 2, 0);
        check_end(&s.comer[0], words[k]);
        check_said(&s, "was refused: ");
        assert_int_equal(step_once(&s), 0);
        stop(&s);
        check_end(&s.comer[1], "0 left");
        tear_down(&s);
        tiny_remove(other);
    }
}

static int knock(const char *address)
{
    int fd = -1;
    return se_socket_connect(&fd, address, se_clock_ns() + SOON_NS) == 0 ? fd : -1;
}

/* What comes until the other end closes, within a moment; -1: it does not. */
static ssize_t hear_all(int fd, void *bytes, size_t size_b)
{
    struct pollfd of = { .fd = fd, .events = POLLIN };
    size_t n_b = 0;
    while (poll(&of, 1, (int)(SOON_NS / 1000000u)) == 1) {
        const ssize_t n = recv(fd, (char *)bytes + n_b, size_b - n_b, 0);
        if (n <= 0)
            return (ssize_t)n_b;
        n_b += (size_t)n;
    }
    return -1;
}

/* More than may stand at the door, a scan, half a hello and silence, words of another kind: none
 * is answered, all are turned away. */
static const char *be_strangers(const char *address)
{
    enum { MANY = 24 };
    int fd[MANY];
    char bytes[1024] = "GET / HTTP/1.0\r\n\r\n";
    struct se_hello hello;
    se_hello_init(&hello, SE_HELLO_JOIN, 1);
    for (int i = 0; i < MANY; i++)
        fd[i] = knock(address);
    for (int i = 0; i < MANY; i++)
        close(fd[i]);
    const int wrong = knock(address);
    if (send(wrong, bytes, 18, 0) != 18 || hear_all(wrong, bytes, sizeof bytes) != 0)
        return "nonsense was answered";
    const int half = knock(address);
    if (send(half, &hello, 20, 0) != 20 || hear_all(half, bytes, sizeof bytes) != 0)
        return "half a hello was not turned away";
    close(wrong);
    close(half);
    return NULL;
}

/* Who is of ours, and cannot be let in, hears why. */
static const char *be_refused(const char *address)
{
    static const struct {
        size_t at;
        uint32_t value;
        const char *words;
    } cases[] = {
        { offsetof(struct se_hello, head.version), 9, "one side speaks version 9 of the ranks' " },
        { offsetof(struct se_hello, head.size_b), 9, "the two sides are of different builds" },
        { offsetof(struct se_hello, layout), 9, "the two sides are of different builds" },
        { offsetof(struct se_hello, rank), 9, "there is no such seat" },
        { offsetof(struct se_hello, rank), 1, "there is no such seat" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct se_hello hello;
        struct se_reply reply;
        const int fd = knock(address);
        se_hello_init(&hello, SE_HELLO_SIT, 1);
        memcpy((char *)&hello + cases[i].at, &cases[i].value, sizeof cases[i].value);
        if (send(fd, &hello, sizeof hello, 0) != sizeof hello ||
            hear_all(fd, &reply, sizeof reply) != sizeof reply ||
            se_reply_check(&reply) != -EACCES || !strstr(se_err_text(), cases[i].words))
            return cases[i].words;
        close(fd);
    }
    return NULL;
}

static int all_kinds_come(const char *address, const char *dir, int report)
{
    const char *fault = be_strangers(address);
    if (!fault)
        fault = be_refused(address);
    if (fault)
        return say_end(report, se_fail(-EINVAL, "%s", fault));
    return machine_comes(address, dir, report);
}

static void strangers_are_turned_away(void **state)
{
    struct subject s;
    (void)state;
    set_up(&s, 2, 11);
    s.nodes.meet_ns = SOON_NS;
    add_comer(&s, all_kinds_come, NULL);
    start(&s, 2, 0);
    assert_int_equal(step_once(&s), 0);
    stop(&s);
    check_end(&s.comer[0], "0 left");
    check_said(&s, "a stranger at 127.0.0.1:");
    tear_down(&s);
}

static void who_is_late_at_the_meeting_is_named(void **state)
{
    static const struct {
        comer_fn *come;
        const char *words;
    } cases[] = { { NULL, "machine 2 of 2 did not come to 127.0.0.1:" },
                  { machine_dawdles, "rank 1 of 2, of machine 2, 127.0.0.1:" } };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct subject s;
        set_up(&s, 2, 12);
        s.nodes.meet_ns = 300000000;
        if (cases[i].come)
            add_comer(&s, cases[i].come, NULL);
        assert_int_equal(try_start(&s, 2, 0), -ETIMEDOUT);
        if (!strstr(se_err_text(), cases[i].words) || !strstr(se_err_text(), "within 0.3 s"))
            fail_msg("'%s' does not say '%s'", se_err_text(), cases[i].words);
        if (cases[i].come) {
            kill(s.comer[0].process, SIGKILL);
            check_end(&s.comer[0], "");
        }
        tear_down(&s);
    }
}

static int is_interrupted(void *context)
{
    (void)context;
    return se_fail(-EINTR, "interrupted");
}

static void the_wait_can_be_ended(void **state)
{
    struct subject s;
    (void)state;
    set_up(&s, 4, 13);
    s.nodes.watch.check = is_interrupted;
    assert_int_equal(try_start(&s, 4, 0), -EINTR);
    tear_down(&s);
}

/* A place at the meeting is free again when who had it goes. */
static void who_goes_leaves_a_place(void **state)
{
    struct subject s;
    (void)state;
    set_up(&s, 4, 14);
    add_comer(&s, machine_goes, NULL);
    add_comer(&s, machine_insists, NULL);
    start(&s, 4, 0);
    assert_int_equal(step_once(&s), 0);
    check_said(&s, ", has gone");
    stop(&s);
    check_end(&s.comer[0], "0 left");
    check_end(&s.comer[1], "0 left");
    tear_down(&s);
}

/* Losses. */

/* Steps until one fails: its sentence, and the same for every later one. */
static void check_failure(struct subject *s, const char *who, const char *what)
{
    const uint64_t from = se_clock_ns();
    int r = 0;
    while (r == 0 && se_clock_ns() - from < SOON_NS)
        r = step_once(s);
    for (int i = 0; i < 2; i++, r = step_once(s)) {
        const char *at = strstr(se_err_text(), who);
        if (r != -EIO || !at || !strstr(at, what))
            fail_msg("%d, '%s', and not '%s%s'", r, se_err_text(), who, what);
    }
    assert_true(se_clock_ns() - from < SOON_NS);
}

static void a_lost_machine_is_named(void **state)
{
    struct subject s;
    (void)state;
    set_up(&s, 4, 21);
    s.nodes.machines = 4;
    for (int i = 0; i < 3; i++)
        add_comer(&s, machine_comes, NULL);
    start(&s, 4, 0);
    assert_int_equal(step_once(&s), 0);
    kill(s.comer[1].process, SIGKILL);
    check_failure(&s, " of 4 at 127.0.0.1:", " has gone");
    check_end(&s.comer[0], " has gone"); /* the others were told */
    check_end(&s.comer[1], "");
    check_end(&s.comer[2], " has gone");
    tear_down(&s);
}

static void a_stopped_machine_is_not_waited_for(void **state)
{
    struct subject s;
    int status;
    (void)state;
    set_up(&s, 2, 22);
    add_comer(&s, machine_comes, NULL);
    start(&s, 2, 300000000);
    assert_int_equal(step_once(&s), 0);
    kill(s.comer[0].process, SIGSTOP);
    assert_int_equal(waitpid(s.comer[0].process, &status, WUNTRACED), s.comer[0].process);
    check_failure(&s, "rank 1 of 2 at 127.0.0.1:", " did not come within 0.3 s");
    kill(s.comer[0].process, SIGCONT);
    check_end(&s.comer[0], "rank 0 of 2 at 127.0.0.1:");
    tear_down(&s);
}

/* This process has two: the machine, and a rank. */
static pid_t other_child(pid_t one)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    pid_t other = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        const pid_t process = (pid_t)strtol(entry->d_name, NULL, 10);
        if (process > 0 && process != one && waitpid(process, NULL, WNOHANG) == 0)
            other = process;
    }
    closedir(folder);
    assert_true(other > 0);
    return other;
}

/* A rank on rank 0's machine: the other machine hears of it. */
static void a_lost_rank_ends_all(void **state)
{
    struct subject s;
    (void)state;
    set_up(&s, 4, 23);
    add_comer(&s, machine_comes, NULL);
    start(&s, 4, 0);
    kill(other_child(s.comer[0].process), SIGKILL);
    check_failure(&s, "rank 1 of 4", "");
    check_end(&s.comer[0], "rank 1 of 4");
    tear_down(&s);
}

/* The others end within seconds, by themselves. */
static void without_rank_0_all_end(void **state)
{
    int ends[2];
    struct pollfd of = { .events = POLLIN };
    char text[TEXT_B] = "";
    (void)state;
    assert_int_equal(pipe(ends), 0);
    const pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        struct subject s;
        set_up(&s, 4, 24);
        add_comer(&s, machine_comes, NULL);
        start(&s, 4, 0);
        tiny_remove(s.dir);
        if (step_once(&s) != 0)
            _exit(1);
        if (write(ends[1], &s.comer[0].process, sizeof s.comer[0].process) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    pid_t machine = 0;
    of.fd = ends[0];
    assert_int_equal(poll(&of, 1, (int)(SOON_NS / 1000000u)), 1);
    assert_int_equal(read(ends[0], &machine, sizeof machine), sizeof machine);
    kill(process, SIGKILL);
    assert_int_equal(waitpid(process, NULL, 0), process);
    const uint64_t from = se_clock_ns();
    snprintf(text, sizeof text, "/proc/%d/stat", (int)machine);
    for (char status = 'R'; status != 'Z';) {
        FILE *file = fopen(text, "r");
        if (!file || fscanf(file, "%*d (%*[^)]) %c", &status) != 1)
            status = 'Z';
        if (file)
            fclose(file);
        if (se_clock_ns() - from > SOON_NS)
            fail_msg("process %d does not end", (int)machine);
        poll(NULL, 0, 5);
    }
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_those_of_one_machine),
        cmocka_unit_test(another_model_is_refused),
        cmocka_unit_test(strangers_are_turned_away),
        cmocka_unit_test(who_is_late_at_the_meeting_is_named),
        cmocka_unit_test(the_wait_can_be_ended),
        cmocka_unit_test(who_goes_leaves_a_place),
        cmocka_unit_test(a_lost_machine_is_named),
        cmocka_unit_test(a_stopped_machine_is_not_waited_for),
        cmocka_unit_test(a_lost_rank_ends_all),
        cmocka_unit_test(without_rank_0_all_end),
    };
    seed = tiny_seed();
    return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
