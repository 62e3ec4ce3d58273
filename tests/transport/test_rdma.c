/* SPDX-License-Identifier: Apache-2.0 */
/* test_rdma [--short] [DEVICE] - the link over real verbs, of this device or the last there is.
 *
 * "tools/dev vm-test" runs it in a machine with Soft-RoCE. Every connection is made with
 * rnr_retry=0: a piece that found no chunk would end it. */
#include <arpa/inet.h>
#include <errno.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "tests/transport/keys.h"
#include "tests/transport/link_suite.h"
#include "transport/rdma_url.h"

enum { TEXT_B = 256, MANY = 200 };
#define LAST (1u << 31)
#define BYTES (1u << 30)

static char url[TEXT_B], device[64];
static bool writes; /* edges write into the server's memory */

static void send_one(struct se_link *link, se_link_peer to, struct se_frames *frames)
{
    struct se_frame *frame = se_frame_get(frames);
    int r;
    assert_non_null(frame);
    frame->len_b = 100;
    memset(frame->data, 42, 100);
    while ((r = se_link_send(link, to, frame)) == SE_LINK_AGAIN)
        se_link_wait(link, 1000000);
    assert_int_equal(r, 0);
}

static void expect_one(struct se_link *link, se_link_peer from)
{
    se_link_peer peer;
    struct se_frame *frame = link_suite_expect(link, 0, &peer);
    assert_true(peer == from);
    assert_int_equal(frame->len_b, 100);
    assert_int_equal(frame->data[99], 42);
    se_frame_put(frame);
}

/* A server, and an edge that has joined it. */
struct pair {
    struct se_frames *frames;
    struct se_link *server, *edge;
    se_link_peer peer;
};

static void begin_at(struct pair *p, const char *own, const char *to)
{
    char where[2 * TEXT_B];
    assert_int_equal(se_frames_new(&p->frames, 64, 70 * 900), 0);
    struct se_link_options options = link_suite_options(p->frames);
    options.silence_ns = 60000000000; /* this thread is all there is, and busy elsewhere */
    if (se_link_listen(&p->server, own, &options) < 0)
        fail_msg("%s", se_err_text());
    snprintf(where, sizeof(where), "%s%s", se_link_url(p->server), to);
    if (se_link_connect(&p->edge, where, &options) < 0)
        fail_msg("%s", se_err_text());
    link_suite_await_joined(p->edge, p->server);
    link_suite_expect(p->server, SE_LINK_JOINED, &p->peer);
}

static void begin(struct pair *p) { begin_at(p, url, ""); }

static void end(struct pair *p)
{
    se_link_fini(p->edge);
    se_link_fini(p->server);
    assert_int_equal(se_frames_out(p->frames), 0);
    se_frames_free(p->frames);
}

/* The pair goes on, whoever else was rude. */
static void take_turns(struct pair *p, int n)
{
    for (int i = 0; i < n; i++) {
        send_one(p->edge, SE_LINK_SERVER, p->frames);
        expect_one(p->server, p->peer);
        send_one(p->server, p->peer, p->frames);
        expect_one(p->edge, SE_LINK_SERVER);
    }
}

static void refused(const char *text, int code, const char *part, bool listens)
{
    struct se_frames *frames;
    struct se_link *link;
    assert_int_equal(se_frames_new(&frames, 4, 100), 0);
    const struct se_link_options options = se_link_options(frames);
    const int r =
        listens ? se_link_listen(&link, text, &options) : se_link_connect(&link, text, &options);
    if (r != code || strstr(se_err_text(), part) == NULL)
        fail_msg("'%s': %d, not %d, and not '%s' in: %s", text, r, code, part, se_err_text());
    se_frames_free(frames);
}

static void urls_that_cannot_be_had_are_refused_with_help(void **state)
{
    (void)state;
    refused("rdma://10.77.0.2", -EINVAL, "no port", true);
    refused("rdma://10.77.0.2:0", -EINVAL, "from 1 to 65535", false);
    refused("rdma://10.77.0.2:99999", -EINVAL, "99999", true);
    refused("rdma://*:7077", -EINVAL, "one host", false);
    refused("rdma://*:7077?speed=9", -EINVAL, "ack_timeout=", true);
    refused("rdma://*:7077?retry=8", -EINVAL, "from 0 to 7", true);
    refused("rdma://*:7077?gid=0", -EINVAL, "device=", true);
    refused("rdma://*:7077?device=mlx9_0", -ENODEV, device, true);
    refused("rdma://*:7077?device=", -EINVAL, "name", true);
    refused("rdma://192.0.2.1:7077", -EADDRNOTAVAIL, "no RDMA device has this address", true);
}

/* ---- a peer that is no link of ours */

struct rude {
    struct rdma_cm_id *id;
    struct ibv_mr *mr;
    unsigned char bytes[8192];
    struct ibv_cq *cq;
    uint32_t slot_key; /* what the server's hello says of slots */
    uint64_t slots_at;
};

static struct rdma_cm_event *next_event(struct rude *rude)
{
    struct rdma_cm_event *event;
    assert_int_equal(rdma_get_cm_event(rude->id->channel, &event), 0);
    return event;
}

/* Connects with this hello, while the server is looked after; what the end of it was. */
static enum rdma_cm_event_type call(struct rude *rude, struct se_link *server, const void *hello,
                                    size_t hello_b)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    char host[TEXT_B];
    struct rdma_event_channel *channel = rdma_create_event_channel();
    snprintf(host, sizeof(host), "%s", se_link_url(server) + strlen("rdma://"));
    to.sin_port = htons((uint16_t)atoi(strchr(host, ':') + 1));
    *strchr(host, ':') = 0;
    assert_int_equal(inet_pton(AF_INET, host, &to.sin_addr), 1);
    assert_non_null(channel);
    assert_int_equal(rdma_create_id(channel, &rude->id, NULL, RDMA_PS_TCP), 0);
    assert_int_equal(rdma_resolve_addr(rude->id, NULL, (struct sockaddr *)&to, 2000), 0);
    rdma_ack_cm_event(next_event(rude));
    assert_int_equal(rdma_resolve_route(rude->id, 2000), 0);
    rdma_ack_cm_event(next_event(rude));
    rude->cq = ibv_create_cq(rude->id->verbs, 256, NULL, NULL, 0);
    assert_non_null(rude->cq);
    struct ibv_qp_init_attr pair = {
        .send_cq = rude->cq,
        .recv_cq = rude->cq,
        .cap = { .max_send_wr = 200, .max_recv_wr = 100, .max_send_sge = 1, .max_recv_sge = 1 },
        .qp_type = IBV_QPT_RC,
    };
    assert_int_equal(rdma_create_qp(rude->id, rude->id->pd, &pair), 0);
    rude->mr = ibv_reg_mr(rude->id->pd, rude->bytes, sizeof(rude->bytes), IBV_ACCESS_LOCAL_WRITE);
    assert_non_null(rude->mr);
    struct ibv_sge part = { (uintptr_t)rude->bytes, sizeof(rude->bytes), rude->mr->lkey };
    struct ibv_recv_wr *bad, receive = { .sg_list = &part, .num_sge = 1 };
    for (int i = 0; i < 100; i++)
        assert_int_equal(ibv_post_recv(rude->id->qp, &receive, &bad), 0);
    struct rdma_conn_param asked = { .private_data = hello,
                                     .private_data_len = (uint8_t)hello_b,
                                     .retry_count = 7,
                                     .rnr_retry_count = 7 };
    assert_int_equal(rdma_connect(rude->id, &asked), 0);
    struct pollfd ready = { .fd = channel->fd, .events = POLLIN };
    while (poll(&ready, 1, 1) == 0)
        se_link_wait(server, 0);
    struct rdma_cm_event *event = next_event(rude);
    const enum rdma_cm_event_type type = event->event;
    if (type == RDMA_CM_EVENT_ESTABLISHED) {
        const unsigned char *told = event->param.conn.private_data;
        assert_true(event->param.conn.private_data_len >= 32);
        memcpy(&rude->slot_key, told + 20, sizeof(rude->slot_key));
        memcpy(&rude->slots_at, told + 24, sizeof(rude->slots_at));
    }
    rdma_ack_cm_event(event);
    return type;
}

static void write_at(struct rude *rude, uint64_t at, uint32_t len_b, uint32_t word)
{
    struct ibv_sge part = { (uintptr_t)rude->bytes, len_b, rude->mr->lkey };
    struct ibv_send_wr *bad, request = {
        .sg_list = &part,
        .num_sge = len_b > 0,
        .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
        .send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED,
        .imm_data = htonl(word),
        .wr.rdma = { .remote_addr = at, .rkey = rude->slot_key },
    };
    ibv_post_send(rude->id->qp, &request, &bad);
}

static void say(struct rude *rude, uint32_t len_b, uint32_t word, bool with_word)
{
    struct ibv_sge part = { (uintptr_t)rude->bytes, len_b, rude->mr->lkey };
    struct ibv_send_wr *bad, request = {
        .sg_list = &part,
        .num_sge = 1,
        .opcode = with_word ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND,
        .send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED,
        .imm_data = htonl(word),
    };
    ibv_post_send(rude->id->qp, &request, &bad);
}

static void hang_up(struct rude *rude)
{
    struct rdma_event_channel *channel = rude->id->channel;
    rdma_disconnect(rude->id);
    rdma_destroy_qp(rude->id);
    ibv_dereg_mr(rude->mr);
    ibv_destroy_cq(rude->cq);
    rdma_destroy_id(rude->id);
    rdma_destroy_event_channel(channel);
}

static void a_rude_peer_is_cut_off_and_harms_nobody(void **state)
{
    static const char good[] = "se-rdma\1\0\40\0\0\40\0\0"; /* and a zero: 8192, 32 */
    static const struct {
        const char *hello;
        size_t hello_b;
    } bad[] = {
        { "se-rdma\2\0\40\0\0\40\0\0", 16 },
        { "se-rdma\1\0\0\0\0\40\0\0", 16 },
        { "se-rdma\1\0\40\0\0\1\0\0", 16 },
        { "se-rdma\1\0\40\0\0\0\0\40", 16 },
        { "se-rdma\1\0\40", 10 },
        { "", 0 },
    };
    static const struct {
        uint32_t len_b, word;
        int times;
        bool with_word;
    } wrong[] = {
        { 0, BYTES | LAST, 1, true }, /* no bytes, and a frame of them */
        { 9, 0, 1, true },            /* bytes, and a message without */
        { 0, LAST, 1, true },         /* the end of nothing */
        { 9, BYTES | 7, 1, true },    /* credits that nobody owes */
        { 9, BYTES, 1, false },       /* no word */
        { 2000, BYTES, 1, true },     /* more than a chunk */
        { 1000, BYTES, 66, true },    /* a frame without end */
    };
    struct pair p;
    struct rude *rude = calloc(1, sizeof(*rude));
    se_link_peer peer;
    (void)state;
    begin(&p);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(call(rude, p.server, bad[i].hello, bad[i].hello_b),
                         RDMA_CM_EVENT_REJECTED);
        hang_up(rude);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(call(rude, p.server, good, 16), RDMA_CM_EVENT_ESTABLISHED);
        link_suite_expect(p.server, SE_LINK_JOINED, &peer);
        for (int n = 0; n < wrong[i].times; n++)
            say(rude, wrong[i].len_b, wrong[i].word, wrong[i].with_word);
        const se_link_peer who = peer;
        link_suite_expect(p.server, SE_LINK_GONE, &peer);
        assert_true(who == peer);
        hang_up(rude);
        take_turns(&p, 100);
    }
    free(rude);
    end(&p);
}

static void who_writes_what_is_none_is_cut_off(void **state)
{
    static const char sends[] = "se-rdma\1\0\40\0\0\40\0\0";       /* and a zero: 8192, 32 */
    static const char hello[32] = "se-rdma\1\0\40\0\0\40\0\0\0\1"; /* and it would write */
    static const struct {
        uint32_t len_b, word;
    } wrong[] = {
        { 2000, BYTES | LAST },  /* more than a slot */
        { 0, 0 },                /* what has no bytes is sent */
        { 9, LAST },             /* bytes, and a message without */
        { 9, BYTES | LAST | 9 }, /* credits that nobody owes */
        { 9, BYTES | LAST },     /* nothing is wrong with it but that it was not let in for that */
    };
    enum { N = sizeof(wrong) / sizeof(wrong[0]) };
    struct pair p;
    struct rude *rude = calloc(1, sizeof(*rude));
    se_link_peer peer;
    uint32_t key = 0;
    uint64_t at = 0;
    (void)state;
    begin(&p);
    for (size_t i = 0; i < N; i++) {
        const bool asks = i + 1 < N;
        assert_int_equal(call(rude, p.server, asks ? hello : sends, asks ? 32 : 16),
                         RDMA_CM_EVENT_ESTABLISHED);
        link_suite_expect(p.server, SE_LINK_JOINED, &peer);
        assert_true((rude->slots_at != 0) == (writes && asks));
        key = asks ? rude->slot_key : key; /* the last knows what others were told */
        at = asks ? rude->slots_at : at;
        rude->slot_key = key;
        write_at(rude, at, wrong[i].len_b, wrong[i].word);
        const se_link_peer who = peer;
        if (!writes)
            hang_up(rude); /* there is no such memory, which only its own device is told */
        link_suite_expect(p.server, SE_LINK_GONE, &peer);
        assert_true(who == peer);
        if (writes)
            hang_up(rude);
        take_turns(&p, 20);
    }
    /* Past the last slot of all: the device turns it away. */
    struct ibv_wc wc = { .status = IBV_WC_SUCCESS };
    assert_int_equal(call(rude, p.server, hello, 32), RDMA_CM_EVENT_ESTABLISHED);
    link_suite_expect(p.server, SE_LINK_JOINED, &peer);
    write_at(rude, rude->slots_at + (UINT64_C(1) << 30), 9, BYTES | LAST);
    while (ibv_poll_cq(rude->cq, 1, &wc) == 0)
        se_link_wait(p.server, 0);
    assert_int_equal(wc.status, IBV_WC_REM_ACCESS_ERR);
    hang_up(rude);
    link_suite_expect(p.server, SE_LINK_GONE, &peer);
    take_turns(&p, 20);
    free(rude);
    end(&p);
}

/* One end would write, the other would not, or has never heard of it. */
static void ends_that_do_not_both_write_send(void **state)
{
    char other[TEXT_B];
    struct pair p;
    (void)state;
    snprintf(other, sizeof(other), "rdma://*:0?device=%s&rnr_retry=0&write=%d", device, !writes);
    begin_at(&p, url, writes ? "&write=0" : "&write=1");
    take_turns(&p, 100);
    end(&p);
    begin_at(&p, other, writes ? "&write=1" : "&write=0");
    take_turns(&p, 100);
    end(&p);
}

/* ---- credits */

/* All peers send what they can while nobody looks; with rnr_retry=0 a chunk too few ends one. */
static void the_last_of_many_has_chunks_too(void **state)
{
    struct se_frames *frames;
    struct se_link *server, *edge[MANY];
    se_link_peer peer;
    uint32_t sent = 0, got = 0;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 8192, 4000), 0);
    struct se_link_options options = link_suite_options(frames);
    options.peers_max = MANY;
    options.silence_ns = 60000000000;
    assert_int_equal(se_link_listen(&server, url, &options), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(se_link_connect(&edge[i], se_link_url(server), &options), 0);
        link_suite_await_joined(edge[i], server);
        link_suite_expect(server, SE_LINK_JOINED, &peer);
    }
    for (int i = 0; i < MANY; i++) {
        for (;; sent++) {
            struct se_frame *frame = se_frame_get(frames);
            assert_non_null(frame);
            frame->len_b = 4;
            const int r = se_link_send(edge[i], SE_LINK_SERVER, frame);
            if (r != 0)
                se_frame_put(frame);
            if (r == SE_LINK_AGAIN)
                break;
            assert_int_equal(r, 0);
        }
    }
    assert_true(sent >= 2 * MANY && sent < 3 * MANY + 2048);
    for (; got < sent; got++)
        se_frame_put(link_suite_expect(server, 0, &peer));
    /* There is room again, also for a frame of more pieces than a peer has credits. */
    for (int i = 0; i < MANY; i++) {
        struct se_frame *frame = se_frame_get(frames), *back = NULL;
        assert_non_null(frame);
        frame->len_b = 4000;
        for (bool gone = false; back == NULL;) {
            gone = gone || se_link_send(edge[i], SE_LINK_SERVER, frame) == 0;
            int r = se_link_recv(server, &peer, &back);
            assert_true(r == 0 || r == SE_LINK_AGAIN);
            if (r == SE_LINK_AGAIN)
                r = se_link_recv(edge[i], &peer, &back);
            assert_true(r == 0 || r == SE_LINK_AGAIN);
        }
        assert_int_equal(back->len_b, 4000);
        se_frame_put(back);
    }
    for (int i = 0; i < MANY; i++)
        se_link_fini(edge[i]);
    for (int i = 0; i < MANY; i++)
        link_suite_expect(server, SE_LINK_GONE, &peer);
    se_link_fini(server);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

/* ---- other processes: this program again, as "--live URL" */

static struct se_link_options impatient(struct se_frames *frames)
{
    struct se_link_options options = link_suite_options(frames);
    options.heartbeat_ns = 50000000;
    options.silence_ns = 1000000000;
    options.peers_max = MANY;
    return options;
}

/* Listens and tells where, or connects and sends; sends back what it gets until it is killed. */
static int live(const char *at)
{
    struct se_frames *frames;
    struct se_link *link;
    struct se_frame *frame;
    se_link_peer peer;
    const bool listens = strchr(at, '*') != NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (se_frames_new(&frames, 64, 1000) < 0)
        return 1;
    const struct se_link_options options = impatient(frames);
    if ((listens ? se_link_listen(&link, at, &options) : se_link_connect(&link, at, &options)) <
        0) {
        fprintf(stderr, "%s\n", se_err_text());
        return 1;
    }
    if (listens) {
        printf("%s\n", se_link_url(link));
        fflush(stdout);
    }
    for (;;) {
        const int r = se_link_recv(link, &peer, &frame);
        if (r == SE_LINK_JOINED && !listens)
            send_one(link, SE_LINK_SERVER, frames);
        else if (r == SE_LINK_AGAIN)
            se_link_wait(link, 1000000000);
        else if (r == 0 && (!listens || se_link_send(link, peer, frame) != 0))
            se_frame_put(frame);
    }
}

/* Its number; a server's URL goes into where. */
static pid_t start(const char *at, char *where)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(out[1], 1);
        close(out[0]);
        execl("/proc/self/exe", "test_rdma", "--live", at, (char *)NULL);
        _exit(1);
    }
    close(out[1]);
    if (where != NULL) {
        FILE *said = fdopen(out[0], "r");
        assert_non_null(fgets(where, TEXT_B, said));
        where[strcspn(where, "\n")] = 0;
        fclose(said);
    } else {
        close(out[0]);
    }
    return child;
}

/* A process that does not get to its link for twice as long as silence may last is not gone: its
 * device answers. */
static void stop_for_a_while(struct se_link *link, pid_t child)
{
    int status;
    const uint64_t end_ns = se_clock_ns() + 2000000000;
    struct se_frame *frame;
    se_link_peer peer;
    assert_int_equal(kill(child, SIGSTOP), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    while (se_clock_ns() < end_ns) {
        assert_int_equal(se_link_recv(link, &peer, &frame), SE_LINK_AGAIN);
        se_link_wait(link, 100000000);
    }
    assert_int_equal(kill(child, SIGCONT), 0);
}

/* What it says when it may neither pin memory nor is root. */
static void memory_that_may_not_be_pinned_is_told(void **state)
{
    static const struct rlimit little = { .rlim_cur = 65536, .rlim_max = 65536 };
    char said[1024] = "";
    int out[2], status;
    (void)state;
    assert_int_equal(pipe(out), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 2);
        if (setrlimit(RLIMIT_MEMLOCK, &little) < 0 || (getuid() == 0 && setuid(65534) < 0))
            _exit(2);
        execl("/proc/self/exe", "test_rdma", "--live", url, (char *)NULL);
        _exit(2);
    }
    close(out[1]);
    for (size_t at = 0; at < sizeof(said) - 1;) {
        const ssize_t n = read(out[0], said + at, sizeof(said) - 1 - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 1);
    if (strstr(said, "ulimit -l") == NULL || strstr(said, "limit is 64 KiB") == NULL)
        fail_msg("said: %s", said);
}

static void kill_it(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void an_edge_that_dies_is_gone(void **state)
{
    struct se_frames *frames;
    struct se_link *server;
    se_link_peer first, peer;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 8, 100), 0);
    const struct se_link_options options = impatient(frames);
    assert_int_equal(se_link_listen(&server, url, &options), 0);
    const pid_t child = start(se_link_url(server), NULL);
    link_suite_expect(server, SE_LINK_JOINED, &first);
    expect_one(server, first);
    stop_for_a_while(server, child);
    const uint64_t begin_ns = se_clock_ns();
    kill_it(child);
    link_suite_expect(server, SE_LINK_GONE, &peer);
    assert_true(peer == first);
    printf("    an edge's death is known after %.0f ms\n",
           (double)(se_clock_ns() - begin_ns) / 1e6);
    se_link_fini(server);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static void a_server_that_dies_is_gone_and_found_again(void **state)
{
    char where[TEXT_B], again[TEXT_B + 32];
    struct se_frames *frames;
    struct se_link *edge;
    se_link_peer peer;
    (void)state;
    pid_t child = start(url, where);
    assert_int_equal(se_frames_new(&frames, 8, 100), 0);
    const struct se_link_options options = impatient(frames);
    assert_int_equal(se_link_connect(&edge, where, &options), 0);
    link_suite_expect(edge, SE_LINK_JOINED, &peer);
    stop_for_a_while(edge, child);
    uint64_t begin_ns = se_clock_ns();
    kill_it(child);
    link_suite_expect(edge, SE_LINK_GONE, &peer);
    printf("    a server's death is known after %.0f ms\n",
           (double)(se_clock_ns() - begin_ns) / 1e6);
    snprintf(again, sizeof(again), "rdma://*:%d?device=%s&rnr_retry=0",
             atoi(strrchr(where, ':') + 1), device);
    child = start(again, where);
    begin_ns = se_clock_ns();
    link_suite_expect(edge, SE_LINK_JOINED, &peer);
    printf("    and that it is back after %.0f ms\n", (double)(se_clock_ns() - begin_ns) / 1e6);
    send_one(edge, SE_LINK_SERVER, frames);
    expect_one(edge, SE_LINK_SERVER);
    kill_it(child);
    se_link_fini(edge);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static long kib_of(pid_t process, const char *key)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)process);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            kib = atol(line + strlen(key));
    }
    fclose(file);
    return kib;
}

static void two_hundred_edges_share_one_queue(void **state)
{
    char where[TEXT_B];
    struct se_frames *frames;
    struct se_link *edge[MANY];
    se_link_peer peer;
    long first = 0, first_pinned = 0, first_all = 0;
    (void)state;
    const pid_t child = start(url, where);
    assert_int_equal(se_frames_new(&frames, 512, 100), 0);
    const struct se_link_options options = impatient(frames);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(se_link_connect(&edge[i], where, &options), 0);
        link_suite_expect(edge[i], SE_LINK_JOINED, &peer);
        for (int n = 0; n < 5; n++) {
            send_one(edge[i], SE_LINK_SERVER, frames);
            expect_one(edge[i], SE_LINK_SERVER);
        }
        if (i == 9) {
            first = kib_of(child, "RssAnon:");
            first_all = kib_of(child, "VmRSS:");
            first_pinned = kib_of(child, "VmPin:");
        }
    }
    const long last = kib_of(child, "RssAnon:"), last_all = kib_of(child, "VmRSS:");
    const long last_pinned = kib_of(child, "VmPin:");
    printf(
        "    the server's own memory with 10 edges %ld KiB, with %d %ld KiB; pinned %ld, %ld KiB; "
        "with the queues that the device shares with it %ld, %ld KiB\n",
        first, MANY, last, first_pinned, last_pinned, first_all, last_all);
    assert_int_equal(first_pinned, last_pinned);
    assert_true(last - first < (MANY - 10) * 8); /* what libibverbs keeps of a queue pair */
    for (int i = 0; i < MANY; i++)
        se_link_fini(edge[i]);
    kill_it(child);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
}

static bool find_device(const char *wanted)
{
    int n = 0;
    struct ibv_device **list = ibv_get_device_list(&n);
    for (int i = 0; i < n; i++) {
        const char *name = ibv_get_device_name(list[i]);
        if (wanted == NULL || strcmp(wanted, name) == 0)
            snprintf(device, sizeof(device), "%s", name);
    }
    if (list != NULL)
        ibv_free_device_list(list);
    return device[0] != 0;
}

/* The same, before which both ends prove their keys. */
static int run_with_keys(const struct link_suite *plain)
{
    char name[TEXT_B];
    struct link_suite links = *plain;
    links.guard = keys_suite();
    if (links.guard == NULL) {
        printf("skipped: %s\n", se_err_text());
        return 0;
    }
    snprintf(name, sizeof(name), "%s, keys", plain->name);
    links.name = name;
    return link_suite_run(&links);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_cannot_be_had_are_refused_with_help),
        cmocka_unit_test(memory_that_may_not_be_pinned_is_told),
        cmocka_unit_test(a_rude_peer_is_cut_off_and_harms_nobody),
        cmocka_unit_test(who_writes_what_is_none_is_cut_off),
        cmocka_unit_test(ends_that_do_not_both_write_send),
        cmocka_unit_test(an_edge_that_dies_is_gone),
        cmocka_unit_test(a_server_that_dies_is_gone_and_found_again),
    };
    const struct CMUnitTest crowds[] = {
        cmocka_unit_test(the_last_of_many_has_chunks_too),
        cmocka_unit_test(two_hundred_edges_share_one_queue),
    };
    static const char *const names[2][2] = {
        { "rdma", "rdma, written" },
        { "rdma, spinning", "rdma, written, spinning" },
    };
    struct link_suite links = { .url = url, .farewell = true, .refuses = true, .room = 1 };
    int failed = 0;
    if (argc == 3 && strcmp(argv[1], "--live") == 0)
        return live(argv[2]);
    const bool brief = argc > 1 && strcmp(argv[1], "--short") == 0;
    if (se_rdma_check_devices("rdma://*:0") < 0) {
        printf("skipped: %s\n", se_err_text());
        return 77;
    }
    if (!find_device(argc > 1 + brief ? argv[1 + brief] : NULL)) {
        printf("skipped: no RDMA device %s\n", argv[1 + brief]);
        return 77;
    }
    for (int written = 0; written < 2; written++) {
        writes = written != 0;
        snprintf(url, sizeof(url), "rdma://*:0?device=%s&rnr_retry=0&write=%d", device, written);
        links.name = names[0][written];
        links.spin_ns = 0;
        failed += link_suite_run(&links);
        failed += run_with_keys(&links);
        failed += cmocka_run_group_tests_name(links.name, tests, NULL, NULL);
        if (brief)
            continue;
        links.name = names[1][written];
        links.spin_ns = 20000;
        failed += link_suite_run(&links);
        failed += cmocka_run_group_tests_name("rdma, many", crowds, NULL, NULL);
    }
    return failed != 0;
}
