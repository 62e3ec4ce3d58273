/* SPDX-License-Identifier: Apache-2.0 */
/* Operations over TCP: a star with rank 0 in its middle.
 *
 *             rank 0                           rank 1 (and every other, over a line of its own)
 *   sum       receives each one's, adds  ◄───  x
 *             from rank 0 on, sends      ───►  x
 *   bytes     sends                      ───►  receives
 *   gather    receives                   ◄───  sends
 *
 * A frame is a head and what it announces. Operations are numbered, and every rank knows which
 * frame comes next, of what kind and of how many bytes: whatever else comes breaks the group. So
 * bytes go straight to where they belong, and nothing is kept but the head of a frame that comes
 * before its operation.
 *
 * Large sums go CHUNK_B at a time, each with a number of its own, and all that can move moves: a
 * rank receives the sum of one chunk while it sends another, so that sockets that are full at
 * both ends empty again.
 *
 * The last frame of a line may be GIVE_UP with the sentence why. Rank 0 passes it on. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/collective.h"
#include "runtime/model/socket.h"

enum kind { REDUCE, SUM, BROADCAST, GATHER, GIVE_UP, KINDS };
enum {
    CHUNK_B = 1 << 18,
    WHY_B = 512,
    MAGIC = 0x6b6e7253,
    LAST_WORDS_NS = 200000000, /* that a rank which gives up stays for to say it */
    MS_NS = 1000000
};
/* As in shared memory: what is shorter than a wake is spun. */
#define SPIN_NS 50000u
/* How long a sleep lasts before the sleeper calls its check. */
#define LOOK_NS 10000000u
#define IDLE_LOOK_NS 100000000u
#define IDLE_NS 1000000000u

struct head {
    uint32_t magic, kind;
    uint64_t at; /* the operation; of GIVE_UP: 1: the sentence says who, 0: it is the sender */
    uint64_t size_b;
};

/* To another rank. */
struct line {
    int fd;
    uint32_t rank;
    uint32_t received, sent; /* frames of this operation, the one on its way out included */
    bool ended;              /* the other has left; no matter until it is needed */

    bool expects; /* a frame, as in expected; its bytes go to into */
    struct head expected;
    unsigned char *into;
    struct head head; /* of the frame that comes, head_b bytes of it so far */
    size_t head_b;
    bool opened;       /* it is what was expected, or GIVE_UP */
    unsigned char *to; /* to_b more */
    size_t to_b;

    struct head out; /* of the frame that goes, out_b bytes of it left */
    size_t out_b;
    const unsigned char *from; /* from_b more behind it */
    size_t from_b;

    char words[WHY_B]; /* the other's last */
    char name[SE_SOCKET_NAME_B];
};

struct tcp {
    struct se_collective base;
    struct se_collective_options options;
    uint64_t at;       /* the operation this rank is at */
    uint64_t quiet_ns; /* since when nothing has moved; 0: something has */
    float *tray;       /* of rank 0: a chunk of every other rank */
    size_t tray_cap;
    bool broken;
    char why[WHY_B];
    uint32_t n_lines;
    struct line line[];
};

static struct tcp *tcp_of(struct se_collective *group) { return (struct tcp *)(void *)group; }

static bool is_sending(const struct line *line) { return line->out_b + line->from_b > 0; }

static void send_frame(struct line *line, enum kind kind, uint64_t at, const void *from,
                       size_t size_b)
{
    line->out = (struct head){ MAGIC, (uint32_t)kind, at, size_b };
    line->out_b = sizeof line->out;
    line->from = from;
    line->from_b = size_b;
    line->sent++;
}

static void expect_frame(struct line *line, enum kind kind, uint64_t at, void *into, size_t size_b)
{
    line->expected = (struct head){ MAGIC, (uint32_t)kind, at, size_b };
    line->into = into;
    line->expects = true;
}

/* The end of a group. */

/* Sends what is left of a frame, as far as it goes at once. 0 or -errno. */
static int push_bytes(struct line *line)
{
    while (is_sending(line)) {
        struct iovec piece[] = {
            { (unsigned char *)&line->out + sizeof line->out - line->out_b, line->out_b },
            { (void *)(uintptr_t)line->from, line->from_b },
        };
        const struct msghdr message = { .msg_iov = piece, .msg_iovlen = 2 };
        const ssize_t n = sendmsg(line->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        const size_t of_head = (size_t)n < line->out_b ? (size_t)n : line->out_b;
        line->out_b -= of_head;
        line->from += (size_t)n - of_head;
        line->from_b -= (size_t)n - of_head;
    }
    return 0;
}

static void push_until(struct line *line, uint64_t until_ns)
{
    struct pollfd of = { .fd = line->fd, .events = POLLOUT };
    while (push_bytes(line) == -EAGAIN && se_clock_ns() < until_ns)
        poll(&of, 1, 1);
}

/* Tells the others. A frame that is half on its way is sent to its end first: they could not tell
 * the last words from its bytes. Who takes none of it sees at least that there will be no more.
 * but: who knows already, if only this rank. */
static void tell(struct tcp *tcp, const char *text, bool says_who, uint32_t but)
{
    const uint64_t until = se_clock_ns() + LAST_WORDS_NS;
    for (uint32_t i = 0; i < tcp->n_lines; i++) {
        struct line *line = &tcp->line[i];
        push_until(line, until);
        if (line->rank != but && !is_sending(line)) {
            send_frame(line, GIVE_UP, says_who, text, strnlen(text, WHY_B - 1));
            push_until(line, until);
        }
        if (is_sending(line))
            shutdown(line->fd, SHUT_WR);
    }
}

/* Breaks the group here, for a reason that is the text of the last failure; returns r. */
static int break_off(struct tcp *tcp, int r)
{
    snprintf(tcp->why, sizeof tcp->why, "%s", se_err_text());
    tcp->broken = true;
    tell(tcp, tcp->why, false, tcp->base.rank);
    return se_fail(r, "%s", tcp->why);
}

static void tcp_give_up(struct se_collective *group, const char *why)
{
    struct tcp *tcp = tcp_of(group);
    if (tcp->broken)
        return; /* the words that count have been said */
    snprintf(tcp->why, sizeof tcp->why, "rank %u of %u gave up: %s", group->rank, group->size, why);
    tcp->broken = true;
    tell(tcp, why, false, group->rank);
}

/* Whether the group still stands. 0 or -errno. */
static int look(const struct tcp *tcp) { return tcp->broken ? se_fail(-EPIPE, "%s", tcp->why) : 0; }

/* "rank 2 of 3 at 10.0.0.7:41234" */
static const char *who(const struct tcp *tcp, const struct line *line,
                       char text[SE_SOCKET_NAME_B + 40])
{
    snprintf(text, SE_SOCKET_NAME_B + 40, "rank %u of %u at %s", line->rank, tcp->base.size,
             line->name);
    return text;
}

static int gone(struct tcp *tcp, const struct line *line, int error)
{
    char text[SE_SOCKET_NAME_B + 40];
    se_fail(-EPIPE, "%s has gone%s%s", who(tcp, line, text), error ? ": " : "",
            error ? strerror(error) : "");
    return break_off(tcp, -EPIPE);
}

/* It said why itself; rank 0 tells the rest. */
static int take_last_words(struct tcp *tcp, struct line *line)
{
    char text[SE_SOCKET_NAME_B + 40];
    size_t n = (size_t)line->head.size_b;
    for (size_t i = 0; i < n; i++) { /* they go to a terminal */
        if ((unsigned char)line->words[i] < ' ' || line->words[i] == 127)
            line->words[i] = '?';
    }
    line->words[n] = '\0';
    if (line->head.at)
        snprintf(tcp->why, sizeof tcp->why, "%s", line->words);
    else
        snprintf(tcp->why, sizeof tcp->why, "%s gave up: %.380s", who(tcp, line, text),
                 line->words);
    tcp->broken = true;
    if (tcp->base.rank == 0)
        tell(tcp, tcp->why, true, line->rank);
    return se_fail(-EPIPE, "%s", tcp->why);
}

/* Receiving and sending, as far as it goes at once. */

/* A head is there: opens the frame, or leaves it for its operation. 0 or -errno. */
static int open_frame(struct tcp *tcp, struct line *line)
{
    static const char *const names[KINDS] = { "a rank's part of a sum", "a sum", "rank 0's bytes",
                                              "a rank's bytes", "last words" };
    const struct head *head = &line->head, *expected = &line->expected;
    char text[SE_SOCKET_NAME_B + 40];
    if (head->magic != MAGIC || head->kind >= KINDS ||
        (head->kind == GIVE_UP && (head->size_b >= WHY_B || head->at > 1))) {
        se_fail(-EBADMSG, "what %s sends are no frames", who(tcp, line, text));
        return break_off(tcp, -EBADMSG);
    }
    if (head->kind == GIVE_UP) {
        line->to = (unsigned char *)line->words;
    } else if (!line->expects) {
        return 0;
    } else if (memcmp(head, expected, sizeof *head) != 0) {
        se_fail(-EBADMSG, "%s sent %s, %llu bytes for operation %llu, and not %s, %llu for %llu",
                who(tcp, line, text), names[head->kind], (unsigned long long)head->size_b,
                (unsigned long long)head->at, names[expected->kind],
                (unsigned long long)expected->size_b, (unsigned long long)expected->at);
        return break_off(tcp, -EBADMSG);
    } else {
        line->to = line->into;
    }
    line->to_b = (size_t)head->size_b;
    line->opened = true;
    return 0;
}

static int close_frame(struct tcp *tcp, struct line *line)
{
    if (line->head.kind == GIVE_UP)
        return take_last_words(tcp, line);
    line->opened = line->expects = false;
    line->head_b = 0;
    line->received++;
    return 0;
}

/* Where the next bytes go. NULL: nowhere yet, the frame is of an operation to come. */
static unsigned char *room_of(struct line *line, size_t *room_b)
{
    if (line->opened) {
        *room_b = line->to_b;
        return line->to;
    }
    *room_b = sizeof line->head - line->head_b;
    return *room_b ? (unsigned char *)&line->head + line->head_b : NULL;
}

static int take_bytes(struct tcp *tcp, struct line *line, size_t n)
{
    if (!line->opened) {
        line->head_b += n;
        return line->head_b == sizeof line->head ? open_frame(tcp, line) : 0;
    }
    line->to += n;
    line->to_b -= n;
    return 0;
}

/* > 0: something moved; 0: nothing can at the moment; < 0: the group is broken. */
static int pull(struct tcp *tcp, struct line *line)
{
    int moved = 0, r = 0;
    if (!line->opened && line->head_b == sizeof line->head)
        r = open_frame(tcp, line);
    while (r == 0) {
        size_t room_b;
        if (line->opened && line->to_b == 0) {
            r = close_frame(tcp, line);
            moved = 1;
            if (r < 0 || !line->expects)
                break;
            continue;
        }
        unsigned char *room = room_of(line, &room_b);
        if (!room)
            break;
        const ssize_t n = recv(line->fd, room, room_b, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        line->ended = n == 0 && !line->expects && line->head_b == 0;
        if (line->ended)
            break;
        if (n <= 0)
            return gone(tcp, line, n < 0 ? errno : 0);
        moved = 1;
        r = take_bytes(tcp, line, (size_t)n);
    }
    return r < 0 ? r : moved;
}

/* The same for what goes out. Whoever no longer listens may have said why. */
static int push(struct tcp *tcp, struct line *line)
{
    const size_t before = line->out_b + line->from_b;
    const int r = push_bytes(line);
    if (r < 0 && r != -EAGAIN) {
        int said = pull(tcp, line);
        while (said > 0)
            said = pull(tcp, line);
        return said < 0 ? said : gone(tcp, line, -r);
    }
    return line->out_b + line->from_b < before;
}

/* Waiting. */

/* What is done now and then while waiting; ends the wait when it returns other than 0. */
static int consider(struct tcp *tcp)
{
    const int r = tcp->options.check ? tcp->options.check(tcp->options.context) : 0;
    return r < 0 ? break_off(tcp, r) : 0;
}

/* Sleeps until something can move, and moves it; heads that come early are taken, since a rank's
 * last words may stand behind the bytes of this operation. > 0: something moved. */
static int sleep_once(struct tcp *tcp, uint64_t ns)
{
    struct pollfd of[SE_COLLECTIVE_RANKS_MAX];
    int r = 0, moved = 0;
    for (uint32_t i = 0; i < tcp->n_lines; i++) {
        struct line *line = &tcp->line[i];
        size_t room_b;
        of[i] = (struct pollfd){ .fd = line->fd };
        if (line->ended && !line->expects && !is_sending(line)) {
            of[i].fd = -1;
            continue;
        }
        if (room_of(line, &room_b))
            of[i].events |= POLLIN;
        if (is_sending(line))
            of[i].events |= POLLOUT;
    }
    if (poll(of, tcp->n_lines, (int)((ns + MS_NS - 1) / MS_NS)) <= 0)
        return 0;
    for (uint32_t i = 0; r >= 0 && i < tcp->n_lines; i++) {
        struct line *line = &tcp->line[i];
        if (of[i].revents & (POLLERR | POLLHUP) && !(of[i].events & POLLIN))
            r = gone(tcp, line, 0);
        else if (of[i].revents & (POLLIN | POLLERR | POLLHUP))
            r = pull(tcp, line);
        moved |= r > 0;
        if (r >= 0 && of[i].revents & POLLOUT)
            r = push(tcp, line);
        moved |= r > 0;
    }
    return r < 0 ? r : moved;
}

/* Everything that is wanted and can be moved. */
static int turn(struct tcp *tcp)
{
    int moved = 0;
    for (uint32_t i = 0; i < tcp->n_lines; i++) {
        struct line *line = &tcp->line[i];
        int r = is_sending(line) ? push(tcp, line) : 0;
        moved |= r;
        if (r >= 0 && line->expects) {
            r = pull(tcp, line);
            moved |= r;
        }
        if (r < 0)
            return r;
    }
    return moved;
}

/* The others wait for rank 0, which may be as late as a rank may, and wait as long for another. */
static uint64_t patience_ns(const struct tcp *tcp)
{
    return tcp->base.rank == 0 ? tcp->base.deadline_ns : 2 * tcp->base.deadline_ns;
}

static int late(struct tcp *tcp)
{
    char text[SE_SOCKET_NAME_B + 40];
    const struct line *line = tcp->line;
    for (uint32_t i = 0; i < tcp->n_lines; i++) {
        line = &tcp->line[i];
        if (line->expects || is_sending(line))
            break;
    }
    se_fail(-ETIMEDOUT, "%s did not come within %.1f s", who(tcp, line, text),
            (double)patience_ns(tcp) * 1e-9);
    return break_off(tcp, -ETIMEDOUT);
}

/* For an operation that is not over: something moves, or a moment passes. 0 or -errno. */
static int go_on(struct tcp *tcp)
{
    int r = turn(tcp);
    const uint64_t now = r == 0 ? se_clock_ns() : 0;
    if (r != 0) {
        tcp->quiet_ns = 0;
        return r < 0 ? r : 0;
    }
    tcp->quiet_ns = tcp->quiet_ns ? tcp->quiet_ns : now;
    const uint64_t quiet = now - tcp->quiet_ns, patience = patience_ns(tcp);
    if (tcp->options.spin && quiet < SPIN_NS)
        return 0;
    r = consider(tcp);
    if (r < 0)
        return r;
    if (quiet >= patience)
        return late(tcp);
    const uint64_t look_ns = quiet < IDLE_NS ? LOOK_NS : IDLE_LOOK_NS;
    r = sleep_once(tcp, patience - quiet < look_ns ? patience - quiet : look_ns);
    if (r > 0)
        tcp->quiet_ns = 0;
    return r < 0 ? r : 0;
}

/* Begins an operation of so many numbers; *at is the first of them. 0 or -errno. */
static int begin(struct tcp *tcp, uint64_t numbers, uint64_t *at)
{
    const int r = look(tcp);
    *at = tcp->at + 1;
    tcp->at += numbers;
    tcp->quiet_ns = 0;
    for (uint32_t i = 0; i < tcp->n_lines; i++)
        tcp->line[i].received = tcp->line[i].sent = 0;
    return r;
}

/* Until nothing is expected any more and all is sent. */
static int finish(struct tcp *tcp)
{
    int r = 0;
    for (;;) {
        bool open = false;
        for (uint32_t i = 0; i < tcp->n_lines; i++)
            open |= tcp->line[i].expects || is_sending(&tcp->line[i]);
        if (r < 0 || !open)
            return r;
        r = go_on(tcp);
    }
}

/* Sums, a chunk at a time. */

enum { MOST = CHUNK_B / sizeof(float) };

struct sum {
    float *x;
    size_t n;
    uint64_t at;     /* number of the first chunk */
    uint32_t chunks; /* in all */
    uint32_t summed; /* of rank 0: so many are done */
};

static size_t chunk_n(const struct sum *sum, uint32_t number)
{
    const size_t from = (size_t)number * MOST;
    return sum->n - from < MOST ? sum->n - from : MOST;
}

static float *chunk_of(const struct sum *sum, uint32_t number)
{
    return sum->x + (size_t)number * MOST;
}

/* What a line of rank 0 can do next. True: it has done all. */
static bool arrange_line(struct tcp *tcp, const struct sum *sum, uint32_t number)
{
    struct line *line = &tcp->line[number];
    const uint32_t in = line->received, out = line->sent;
    if (!line->expects && in == sum->summed && in < sum->chunks)
        expect_frame(line, REDUCE, sum->at + in, tcp->tray + (size_t)number * MOST,
                     chunk_n(sum, in) * sizeof(float));
    if (!is_sending(line) && out < sum->summed)
        send_frame(line, SUM, sum->at + out, chunk_of(sum, out), chunk_n(sum, out) * sizeof(float));
    return line->sent == sum->chunks && !is_sending(line);
}

/* The chunk that all have sent, rank by rank. */
static void add_up(const struct tcp *tcp, struct sum *sum)
{
    float *x = chunk_of(sum, sum->summed);
    const size_t n = chunk_n(sum, sum->summed);
    for (uint32_t k = 0; k < tcp->n_lines; k++) {
        const float *from = tcp->tray + (size_t)k * MOST;
        for (size_t i = 0; i < n; i++)
            x[i] += from[i];
    }
    sum->summed++;
}

static int sum_all(struct tcp *tcp, struct sum *sum)
{
    int r = se_mem_grow(&tcp->tray, &tcp->tray_cap, (size_t)tcp->n_lines * MOST, sizeof *tcp->tray);
    if (r < 0)
        return break_off(tcp, r);
    while (r == 0) {
        bool done = true, full = sum->summed < sum->chunks;
        for (uint32_t i = 0; i < tcp->n_lines; i++) {
            done &= arrange_line(tcp, sum, i);
            full &= tcp->line[i].received > sum->summed;
        }
        if (full)
            add_up(tcp, sum);
        else if (done)
            return 0;
        else
            r = go_on(tcp);
    }
    return r;
}

/* Another rank: a chunk's sum may come once the chunk has gone. */
static int share_all(struct tcp *tcp, const struct sum *sum)
{
    struct line *line = tcp->line;
    int r = 0;
    while (r == 0 && line->received < sum->chunks) {
        const uint32_t in = line->received;
        if (!is_sending(line) && line->sent < sum->chunks)
            send_frame(line, REDUCE, sum->at + line->sent, chunk_of(sum, line->sent),
                       chunk_n(sum, line->sent) * sizeof(float));
        if (!line->expects && in + is_sending(line) < line->sent)
            expect_frame(line, SUM, sum->at + in, chunk_of(sum, in),
                         chunk_n(sum, in) * sizeof(float));
        r = go_on(tcp);
    }
    return r;
}

static int tcp_all_reduce(struct se_collective *group, float *x, size_t n)
{
    struct tcp *tcp = tcp_of(group);
    struct sum sum = { .x = x, .n = n, .chunks = (uint32_t)((n + MOST - 1) / MOST) };
    int r = begin(tcp, sum.chunks, &sum.at);
    if (r == 0)
        r = group->rank == 0 ? sum_all(tcp, &sum) : share_all(tcp, &sum);
    return r < 0 ? se_trace(r) : 0;
}

static int tcp_broadcast(struct se_collective *group, void *bytes, size_t n_b)
{
    struct tcp *tcp = tcp_of(group);
    uint64_t at;
    int r = begin(tcp, 1, &at);
    if (r < 0 || n_b == 0)
        return r < 0 ? se_trace(r) : 0;
    for (uint32_t i = 0; i < tcp->n_lines; i++) {
        if (group->rank == 0)
            send_frame(&tcp->line[i], BROADCAST, at, bytes, n_b);
        else
            expect_frame(&tcp->line[i], BROADCAST, at, bytes, n_b);
    }
    r = finish(tcp);
    return r < 0 ? se_trace(r) : 0;
}

static int tcp_gather(struct se_collective *group, const void *mine, size_t n_b, void *all)
{
    struct tcp *tcp = tcp_of(group);
    uint64_t at;
    int r = begin(tcp, 1, &at);
    if (r < 0 || n_b == 0)
        return r < 0 ? se_trace(r) : 0;
    if (group->rank == 0)
        memmove(all, mine, n_b);
    for (uint32_t i = 0; i < tcp->n_lines; i++) {
        if (group->rank == 0)
            expect_frame(&tcp->line[i], GATHER, at, (unsigned char *)all + (i + 1) * n_b, n_b);
        else
            send_frame(&tcp->line[i], GATHER, at, mine, n_b);
    }
    r = finish(tcp);
    return r < 0 ? se_trace(r) : 0;
}

/* Reads what no operation has asked for yet: a head, or an end. */
static int listen_once(struct tcp *tcp)
{
    int r = look(tcp);
    for (uint32_t i = 0; r >= 0 && i < tcp->n_lines; i++) {
        r = pull(tcp, &tcp->line[i]);
        if (r >= 0 && tcp->line[i].ended)
            r = gone(tcp, &tcp->line[i], 0);
    }
    return r < 0 ? r : 0;
}

static int tcp_await(struct se_collective *group, uint64_t ns)
{
    struct tcp *tcp = tcp_of(group);
    const uint64_t from = se_clock_ns();
    for (;;) {
        int r = listen_once(tcp);
        if (r == 0 && tcp->line->head_b == sizeof tcp->line->head && !tcp->line->opened)
            return 0;
        const uint64_t quiet = se_clock_ns() - from;
        if (r == 0 && tcp->options.spin && quiet < SPIN_NS && quiet < ns)
            continue;
        if (r == 0)
            r = consider(tcp);
        if (r == 0 && quiet >= ns)
            return SE_COLLECTIVE_IDLE;
        const uint64_t look_ns = quiet < IDLE_NS ? LOOK_NS : IDLE_LOOK_NS;
        if (r == 0)
            r = sleep_once(tcp, ns - quiet < look_ns ? ns - quiet : look_ns);
        if (r < 0)
            return se_trace(r);
    }
}

static int tcp_check(struct se_collective *group)
{
    struct tcp *tcp = tcp_of(group);
    int r = listen_once(tcp);
    if (r == 0)
        r = consider(tcp);
    return r < 0 ? se_trace(r) : 0;
}

static void tcp_close(struct se_collective *group)
{
    struct tcp *tcp = tcp_of(group);
    if (!tcp)
        return;
    for (uint32_t i = 0; i < tcp->n_lines; i++)
        close(tcp->line[i].fd);
    se_mem_free(tcp->tray);
    se_mem_free(tcp);
}

static const struct se_collective_ops ops = {
    .name = "tcp",
    .all_reduce = tcp_all_reduce,
    .broadcast = tcp_broadcast,
    .gather = tcp_gather,
    .await = tcp_await,
    .check = tcp_check,
    .error = se_err_text,
    .give_up = tcp_give_up,
    .close = tcp_close,
};

int se_collective_tcp_open(struct se_collective **out, const int *fd, uint32_t rank, uint32_t size,
                           const struct se_collective_options *options)
{
    if (size < 1 || size > SE_COLLECTIVE_RANKS_MAX || rank >= size)
        return se_fail(-EINVAL, "rank %u of %u, of %d at most", rank, size,
                       SE_COLLECTIVE_RANKS_MAX);
    const uint32_t n = rank == 0 ? size - 1 : 1;
    struct tcp *tcp = se_mem_zero(1, sizeof *tcp + n * sizeof *tcp->line);
    if (!tcp)
        return se_trace(-ENOMEM);
    tcp->base = (struct se_collective){
        .ops = &ops, .rank = rank, .size = size, .deadline_ns = options->deadline_ns
    };
    tcp->options = *options;
    tcp->n_lines = n;
    for (uint32_t i = 0; i < n; i++) {
        tcp->line[i].fd = fd[i];
        tcp->line[i].rank = rank == 0 ? i + 1 : 0;
        se_socket_peer(fd[i], tcp->line[i].name);
    }
    *out = &tcp->base;
    return 0;
}
