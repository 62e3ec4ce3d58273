/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "runtime/base/err.h"
#include "tests/transport/link_suite.h"
#include "transport/area.h"

static char folder[] = "/tmp/specedge-test-shm-XXXXXX", url[sizeof(folder) + 16];
static const char *path = url + 6; /* after shm:// */

/* A server, an edge that has joined it, and frames for both. */
struct pair {
    struct se_frames *frames;
    struct se_link *server, *edge;
    se_link_peer peer;
};

static void send_one(struct se_link *link, se_link_peer to, struct se_frames *frames, uint32_t len)
{
    struct se_frame *frame = se_frame_get(frames);
    assert_non_null(frame);
    frame->len_b = len;
    memset(frame->data, 42, len);
    assert_int_equal(se_link_send(link, to, frame), 0);
}

static void expect_one(struct se_link *link, se_link_peer from)
{
    se_link_peer peer;
    struct se_frame *frame = link_suite_expect(link, 0, &peer);
    assert_true(peer == from);
    assert_int_equal(frame->data[0], 42);
    se_frame_put(frame);
}

static void begin(struct pair *p)
{
    se_link_peer peer;
    assert_int_equal(se_frames_new(&p->frames, 64, 1000), 0);
    const struct se_link_options options = link_suite_options(p->frames);
    assert_int_equal(se_link_listen(&p->server, url, &options), 0);
    assert_int_equal(se_link_connect(&p->edge, url, &options), 0);
    link_suite_expect(p->edge, SE_LINK_JOINED, &peer);
    link_suite_expect(p->server, SE_LINK_JOINED, &p->peer);
}

/* The two still understand each other. */
static void finish(struct pair *p)
{
    se_link_peer peer;
    send_one(p->edge, SE_LINK_SERVER, p->frames, 1);
    expect_one(p->server, p->peer);
    send_one(p->server, p->peer, p->frames, 1);
    expect_one(p->edge, SE_LINK_SERVER);
    se_link_fini(p->edge);
    link_suite_expect(p->server, SE_LINK_GONE, &peer);
    assert_true(peer == p->peer);
    se_link_fini(p->server);
    assert_int_equal(se_frames_out(p->frames), 0);
    se_frames_free(p->frames);
    assert_int_equal(access(path, F_OK), -1);
}

static int knock(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void refused(const char *at, int code)
{
    struct se_frames *frames;
    struct se_link *link = NULL;
    assert_int_equal(se_frames_new(&frames, 1, 10), 0);
    const struct se_link_options options = se_link_options(frames);
    assert_int_equal(se_link_listen(&link, at, &options), code);
    assert_null(link);
    assert_non_null(strstr(se_err_text(), "shm://"));
    se_frames_free(frames);
}

static void addresses_that_cannot_be_had_are_refused(void **state)
{
    char far[200] = "shm:///tmp/";
    struct pair p;
    (void)state;
    memset(far + strlen(far), 'x', 150);
    refused("shm://tmp", -EINVAL);
    refused("shm:///", -EINVAL);
    refused("shm:///nowhere/at/all", -ENOENT);
    refused(far, -ENAMETOOLONG);
    begin(&p);
    refused(url, -EADDRINUSE);
    finish(&p);
    const int file = open(path, O_CREAT | O_WRONLY, 0600); /* not ours to remove */
    assert_true(file >= 0);
    close(file);
    refused(url, -ENOTSOCK);
    assert_int_equal(unlink(path), 0);
}

static void a_file_that_nobody_listens_at_is_replaced(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct pair p;
    (void)state;
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(fd); /* as a server that was killed leaves it */
    begin(&p);
    finish(&p);
}

static void another_one_s_file_is_left_alone(void **state)
{
    struct pair p, q;
    (void)state;
    begin(&p);
    assert_int_equal(unlink(path), 0);
    begin(&q);
    se_link_fini(p.edge);
    se_link_fini(p.server);
    se_frames_free(p.frames);
    finish(&q);
}

static void a_server_listens_on_several_urls(void **state)
{
    char urls[2 * sizeof(url) + 8];
    struct se_frames *frames;
    struct se_link *server, *edge[2];
    se_link_peer peer;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 8, 100), 0);
    const struct se_link_options options = link_suite_options(frames);
    snprintf(urls, sizeof(urls), "%s,%s2", url, url);
    assert_int_equal(se_link_listen(&server, urls, &options), 0);
    assert_string_equal(se_link_url(server), urls);
    *strchr(urls, ',') = 0;
    const char *each[] = { urls, urls + strlen(urls) + 1 };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(se_link_connect(&edge[i], each[i], &options), 0);
        link_suite_expect(edge[i], SE_LINK_JOINED, &peer);
        send_one(edge[i], SE_LINK_SERVER, frames, 1);
        link_suite_expect(server, SE_LINK_JOINED, &peer);
        expect_one(server, peer);
    }
    for (int i = 0; i < 2; i++)
        se_link_fini(edge[i]);
    se_link_fini(server);
    se_frames_free(frames);
}

/* ---- who does not keep to the rules */

static void say(int fd, const void *words, size_t len_b, const int *gift, int n)
{
    char bytes[CMSG_SPACE(4 * sizeof(int))] = { 0 };
    struct iovec text = { (void *)(uintptr_t)words, len_b };
    struct msghdr message = { .msg_iov = &text, .msg_iovlen = 1 };
    if (n > 0) {
        message.msg_control = bytes;
        message.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
        memcpy(CMSG_DATA(head), gift, (size_t)n * sizeof(int));
    }
    assert_true(sendmsg(fd, &message, MSG_NOSIGNAL) >= 0);
}

static int memory(off_t size_b, int seals)
{
    const int fd = memfd_create("test", MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size_b), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* The server has hung up on it, and nobody has heard of it. */
static void is_sent_away(struct pair *p, int fd)
{
    struct se_frame *frame;
    se_link_peer peer;
    char byte;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN) {
        assert_int_equal(se_link_recv(p->server, &peer, &frame), SE_LINK_AGAIN);
        se_link_wait(p->server, 1000000);
    }
    close(fd);
}

static void a_stranger_is_sent_away(void **state)
{
    static const char right[] = "se-shm 1";
    const off_t size_b = sizeof(struct se_area);
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    const int gift[] = { memory(size_b, F_SEAL_SHRINK | F_SEAL_GROW), memory(size_b - 1, all),
                         memory(size_b, F_SEAL_GROW | F_SEAL_SEAL), open("/dev/null", O_RDWR),
                         memory(size_b, all | F_SEAL_WRITE) };
    const int good[] = { memory(size_b, all), memory(size_b, all), memory(size_b, all) };
    struct pair p;
    (void)state;
    begin(&p);
    for (size_t i = 0; i < sizeof(gift) / sizeof(gift[0]); i++) {
        const int fd = knock();
        say(fd, right, sizeof(right), &gift[i], 1);
        is_sent_away(&p, fd);
        close(gift[i]);
    }
    for (int n = 0; n < 4; n++) { /* no memory at all, other words, too much memory */
        const int fd = knock();
        say(fd, n == 1 ? "se-shm 0" : right, sizeof(right), good, n);
        is_sent_away(&p, fd);
    }
    for (int i = 0; i < 3; i++)
        close(good[i]);
    close(knock()); /* who leaves without a word */
    finish(&p);
}

/* Strangers who take every seat and say nothing keep nobody out for long. */
static void the_silent_make_room(void **state)
{
    enum { SEATS = 4 };
    struct se_frames *frames;
    struct se_link *server, *edge;
    se_link_peer peer;
    int fd[SEATS];
    (void)state;
    assert_int_equal(se_frames_new(&frames, 16, 1000), 0);
    struct se_link_options options = link_suite_options(frames);
    options.peers_max = SEATS;
    assert_int_equal(se_link_listen(&server, url, &options), 0);
    for (int i = 0; i < SEATS; i++) {
        struct se_frame *frame;
        fd[i] = knock();
        assert_int_equal(se_link_recv(server, &peer, &frame), SE_LINK_AGAIN);
    }
    assert_int_equal(se_link_connect(&edge, url, &options), 0);
    for (int r = SE_LINK_AGAIN; r != SE_LINK_JOINED;) {
        struct se_frame *frame;
        se_link_recv(edge, &peer, &frame); /* it tries again */
        se_link_wait(server, 20000000);
        r = se_link_recv(server, &peer, &frame);
        assert_true(r == SE_LINK_AGAIN || r == SE_LINK_JOINED);
    }
    for (int i = 0; i < SEATS; i++)
        close(fd[i]);
    se_link_fini(edge);
    se_link_fini(server);
    se_frames_free(frames);
}

/* A peer of our making, with the memory in our hands. */
static int intrude(struct pair *p, struct se_area **area, se_link_peer *peer)
{
    const int fd = knock();
    assert_int_equal(se_area_send(fd, area), 0);
    link_suite_expect(p->server, SE_LINK_JOINED, peer);
    return fd;
}

static void who_breaks_the_rules_is_disconnected(void **state)
{
    static const uint64_t tails[] = { UINT64_MAX, SE_TUBE_LINES + 1, 1 }; /* length 0 */
    struct pair p;
    struct se_area *area;
    se_link_peer bad, peer;
    (void)state;
    begin(&p);
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        const int fd = intrude(&p, &area, &bad);
        struct se_tube_end writer = { .tube = &area->up };
        if (i == 0)
            assert_int_equal(se_tube_put(&writer, "****", 4, 9) & ~SE_TUBE_ASLEEP, 0);
        if (i == 0)
            expect_one(p.server, bad); /* what came before is heard */
        atomic_store(&area->up.tail, tails[i]);
        send(fd, "", 1, MSG_NOSIGNAL);
        link_suite_expect(p.server, SE_LINK_GONE, &peer);
        assert_true(peer == bad);
        close(fd);
        se_area_free(area);
    }
    int fd = intrude(&p, &area, &bad); /* longer than the server wants */
    struct se_tube_end writer = { .tube = &area->up };
    static char giant[1001];
    se_tube_put(&writer, giant, sizeof(giant), 9);
    link_suite_expect(p.server, SE_LINK_GONE, &peer);
    close(fd);
    se_area_free(area);
    fd = intrude(&p, &area, &bad); /* takes what was never sent */
    atomic_store(&area->down.head, UINT64_C(77) << 32);
    struct se_frame *frame = se_frame_get(p.frames);
    frame->len_b = 1000;
    int r;
    while ((r = se_link_send(p.server, bad, frame)) == 0) {
        frame = se_frame_get(p.frames);
        frame->len_b = 1000;
    }
    assert_int_equal(r, SE_LINK_GONE);
    se_frame_put(frame);
    link_suite_expect(p.server, SE_LINK_GONE, &peer);
    assert_true(peer == bad);
    close(fd);
    se_area_free(area);
    finish(&p);
}

/* It hangs up and goes on writing: what came before is heard, and no more. */
static void who_is_gone_is_not_heard(void **state)
{
    struct pair p;
    struct se_area *area;
    se_link_peer bad, peer;
    struct se_frame *frame;
    int r, n = 0;
    (void)state;
    begin(&p);
    const int fd = intrude(&p, &area, &bad);
    struct se_tube_end writer = { .tube = &area->up };
    se_tube_put(&writer, "*", 1, 999);
    close(fd);
    while ((r = se_link_recv(p.server, &peer, &frame)) != SE_LINK_GONE) {
        if (r == 0)
            se_frame_put(frame);
        else
            se_link_wait(p.server, 1000000);
        se_tube_put(&writer, "*", 1, 999);
        assert_true(++n < 100000);
    }
    assert_true(peer == bad);
    se_area_free(area);
    finish(&p);
}

/* ---- other processes */

static void live(bool listens)
{
    struct se_frames *frames;
    struct se_link *link;
    struct se_frame *frame;
    se_link_peer peer;
    int n = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (se_frames_new(&frames, 64, 1000) < 0)
        _exit(1);
    const struct se_link_options options = link_suite_options(frames);
    if ((listens ? se_link_listen : se_link_connect)(&link, url, &options) < 0)
        _exit(1);
    for (;;) {
        const int r = se_link_recv(link, &peer, &frame);
        if (r == 0 && se_link_send(link, peer, frame) != 0)
            se_frame_put(frame);
        for (; r == SE_LINK_JOINED && !listens && n < 10; n++)
            send_one(link, SE_LINK_SERVER, frames, 100);
        if (r == SE_LINK_AGAIN)
            se_link_wait(link, 1000000000);
    }
}

static pid_t start(bool listens)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        live(listens);
    return child;
}

static void end(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void an_edge_is_killed(void **state)
{
    struct pair p;
    se_link_peer killed, peer;
    (void)state;
    begin(&p);
    const pid_t child = start(false);
    link_suite_expect(p.server, SE_LINK_JOINED, &killed);
    expect_one(p.server, killed);
    send_one(p.server, killed, p.frames, 3);
    for (int i = 0; i < 10; i++)
        expect_one(p.server, killed); /* nine more, and the one that came back */
    end(child);
    link_suite_expect(p.server, SE_LINK_GONE, &peer);
    assert_true(peer == killed);
    finish(&p);
}

static void a_server_is_killed_and_another_comes(void **state)
{
    struct se_frames *frames;
    struct se_link *edge;
    se_link_peer peer;
    (void)state;
    assert_int_equal(se_frames_new(&frames, 64, 1000), 0);
    const struct se_link_options options = link_suite_options(frames);
    assert_int_equal(se_link_connect(&edge, url, &options), 0);
    for (int i = 0; i < 3; i++) {
        const pid_t child = start(true);
        link_suite_expect(edge, SE_LINK_JOINED, &peer);
        send_one(edge, SE_LINK_SERVER, frames, 200);
        expect_one(edge, SE_LINK_SERVER);
        end(child);
        link_suite_expect(edge, SE_LINK_GONE, &peer);
    }
    se_link_fini(edge);
    assert_int_equal(se_frames_out(frames), 0);
    se_frames_free(frames);
    unlink(path); /* who was killed has left it */
}

/* ---- limits of the system */

static void without_descriptors_nobody_is_let_in_and_nothing_spins(void **state)
{
    struct rlimit limit, none;
    struct pair p;
    struct se_frame *frame;
    se_link_peer peer;
    (void)state;
    begin(&p);
    const int fd = knock();
    struct se_area *area;
    assert_int_equal(se_area_send(fd, &area), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3; /* all taken */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int waits = 0;
    for (; waits < 10; waits++) { /* each ends for the retry after 20 ms, or for the knock */
        assert_int_equal(se_link_recv(p.server, &peer, &frame), SE_LINK_AGAIN);
        if (se_link_wait(p.server, 5000000) == SE_LINK_AGAIN)
            break;
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(waits < 10);
    link_suite_expect(p.server, SE_LINK_JOINED, &peer);
    close(fd);
    se_area_free(area);
    link_suite_expect(p.server, SE_LINK_GONE, &peer);
    finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_cannot_be_had_are_refused),
        cmocka_unit_test(a_file_that_nobody_listens_at_is_replaced),
        cmocka_unit_test(another_one_s_file_is_left_alone),
        cmocka_unit_test(a_server_listens_on_several_urls),
        cmocka_unit_test(a_stranger_is_sent_away),
        cmocka_unit_test(the_silent_make_room),
        cmocka_unit_test(who_breaks_the_rules_is_disconnected),
        cmocka_unit_test(who_is_gone_is_not_heard),
        cmocka_unit_test(an_edge_is_killed),
        cmocka_unit_test(a_server_is_killed_and_another_comes),
        cmocka_unit_test(without_descriptors_nobody_is_let_in_and_nothing_spins),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(url, sizeof(url), "shm://%s/socket", folder);
    const struct link_suite suites[] = {
        { .name = "shm", .url = url, .farewell = true, .room = 2 },
        { .name = "shm, spinning", .url = url, .farewell = true, .room = 2, .spin_ns = 20000 },
    };
    int failed = link_suite_run(&suites[0]) + link_suite_run(&suites[1]);
    failed += cmocka_run_group_tests_name("shm", tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed != 0;
}
