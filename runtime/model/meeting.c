/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/meeting.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/socket.h"

enum {
    GUESTS_MAX = 16,    /* that have not said yet who they are */
    LOOK_MS = 100,      /* between two checks */
    STRANGERS_SAID = 8, /* so many are told of, or a scan fills the log */
    SAID_B = 512
};
#define HELLO_NS 2000000000u  /* for a hello, once connected */
#define MEET_NS 600000000000u /* files may be read for the first time */

/* At the door. */
struct guest {
    int fd; /* -1: nobody */
    uint64_t until_ns;
    struct se_hello hello;
    size_t hello_b; /* of it so far */
    char name[SE_SOCKET_NAME_B];
};

struct machine {
    int fd; /* -1: not here; rank 0's own has none */
    uint64_t ticket;
    char name[SE_SOCKET_NAME_B];
};

struct se_meeting {
    struct se_meeting_options o;
    int listener;
    uint32_t each; /* ranks of a machine */
    uint32_t strangers;
    struct guest guest[GUESTS_MAX];
    struct machine machine[SE_COLLECTIVE_RANKS_MAX];
    int seat[SE_COLLECTIVE_RANKS_MAX]; /* by rank; -1: empty */
    char address[SE_SOCKET_NAME_B];
};

static void say(const struct se_meeting *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct se_meeting *m, const char *format, ...)
{
    const struct se_nodes_watch *watch = &m->o.nodes->watch;
    char text[SAID_B];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (watch->say)
        watch->say(watch->context, text);
}

static int new_ticket(uint64_t *ticket)
{
    if (getrandom(ticket, sizeof *ticket, 0) == (ssize_t)sizeof *ticket)
        return 0;
    return se_fail(-errno, "no random numbers: %s", strerror(errno));
}

int se_meeting_open(struct se_meeting **out, const struct se_meeting_options *options)
{
    int r = se_nodes_check(options->nodes, options->terms.size);
    if (r < 0)
        return r;
    struct se_meeting *m = se_mem_zero(1, sizeof *m);
    if (!m)
        return se_trace(-ENOMEM);
    m->o = *options;
    m->each = options->terms.size / options->nodes->machines;
    for (uint32_t i = 0; i < GUESTS_MAX; i++)
        m->guest[i].fd = -1;
    for (uint32_t i = 0; i < SE_COLLECTIVE_RANKS_MAX; i++)
        m->seat[i] = m->machine[i].fd = -1;
    m->listener = -1;
    r = new_ticket(&m->machine[0].ticket);
    if (r == 0)
        r = se_socket_listen(&m->listener, options->nodes->address, m->address);
    if (r < 0) {
        se_meeting_close(m);
        return se_trace(r);
    }
    *out = m;
    return 0;
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void se_meeting_close(struct se_meeting *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < GUESTS_MAX; i++)
        drop(&m->guest[i].fd);
    for (uint32_t i = 0; i < SE_COLLECTIVE_RANKS_MAX; i++) {
        drop(&m->seat[i]);
        drop(&m->machine[i].fd);
    }
    drop(&m->listener);
    se_mem_free(m);
}

const char *se_meeting_address(const struct se_meeting *m) { return m->address; }

uint64_t se_meeting_ticket(const struct se_meeting *m) { return m->machine[0].ticket; }

/* Who is here. */

static bool is_here(const struct se_meeting *m, uint32_t machine)
{
    return machine == 0 || m->machine[machine].fd >= 0;
}

/* The first machine that is not here; as many as there are: all are. */
static uint32_t next_machine(const struct se_meeting *m)
{
    uint32_t i = 0;
    while (i < m->o.nodes->machines && is_here(m, i))
        i++;
    return i;
}

/* The first rank without a seat; as many as there are: all have one. */
static uint32_t next_rank(const struct se_meeting *m)
{
    uint32_t i = 1;
    while (i < m->o.terms.size && m->seat[i] >= 0)
        i++;
    return i;
}

static void say_who_is_missed(const struct se_meeting *m)
{
    const uint32_t machine = next_machine(m), rank = next_rank(m);
    if (machine < m->o.nodes->machines)
        say(m, "waiting for machine %u of %u at %s", machine + 1, m->o.nodes->machines, m->address);
    else if (rank < m->o.terms.size && rank >= m->each)
        say(m, "waiting for machine %u of %u, %s, to load the model", rank / m->each + 1,
            m->o.nodes->machines, m->machine[rank / m->each].name);
}

static int nobody_came(const struct se_meeting *m, uint64_t meet_ns)
{
    const uint32_t machine = next_machine(m), rank = next_rank(m);
    const double s = (double)meet_ns * 1e-9;
    if (machine < m->o.nodes->machines)
        return se_fail(-ETIMEDOUT, "machine %u of %u did not come to %s within %.1f s", machine + 1,
                       m->o.nodes->machines, m->address, s);
    return se_fail(-ETIMEDOUT, "rank %u of %u, of machine %u%s%s, was not ready within %.1f s",
                   rank, m->o.terms.size, rank / m->each + 1, rank < m->each ? "" : ", ",
                   m->machine[rank / m->each].name, s);
}

/* Its place is free again. */
static void let_go(struct se_meeting *m, uint32_t machine)
{
    for (uint32_t i = 0; i < m->each; i++)
        drop(&m->seat[machine * m->each + i]);
    drop(&m->machine[machine].fd);
    say(m, "machine %u of %u, %s, has gone", machine + 1, m->o.nodes->machines,
        m->machine[machine].name);
    say_who_is_missed(m);
}

/* At the door. */

static bool send_reply(int fd, const struct se_reply *reply)
{
    /* The first words on a connection: there is room for them. */
    return send(fd, reply, sizeof *reply, MSG_NOSIGNAL) == (ssize_t)sizeof *reply;
}

/* With the text of the last failure. What the guest sent and nobody read would make the system
 * take the answer back. */
static void refuse(struct se_meeting *m, struct guest *guest)
{
    struct se_reply reply;
    char rest[256];
    se_reply_init(&reply);
    se_reply_refuse(&reply);
    say(m, "%s was refused: %s", guest->name, se_err_text());
    send_reply(guest->fd, &reply);
    shutdown(guest->fd, SHUT_WR);
    const ssize_t ignored = recv(guest->fd, rest, sizeof rest, 0); /* or the reply might be lost */
    (void)ignored;
    drop(&guest->fd);
}

static void turn_away(struct se_meeting *m, struct guest *guest)
{
    if (m->strangers++ < STRANGERS_SAID)
        say(m, "a stranger at %s was turned away", guest->name);
    drop(&guest->fd);
}

static int take_machine(struct se_meeting *m, struct guest *guest)
{
    const uint32_t number = next_machine(m), machines = m->o.nodes->machines;
    struct machine *machine = &m->machine[number % SE_COLLECTIVE_RANKS_MAX];
    struct se_reply reply;
    if (guest->hello.model != m->o.shape)
        return se_fail(-EACCES, "the model there is of another shape than that of rank 0");
    if (number == machines)
        return se_fail(-EACCES, "%u of %u machines are here already", machines, machines);
    int r = new_ticket(&machine->ticket);
    if (r < 0)
        return r;
    se_reply_init(&reply);
    reply.terms = m->o.terms;
    reply.terms.first = number * m->each;
    reply.terms.n = m->each;
    reply.terms.ticket = machine->ticket;
    if (!send_reply(guest->fd, &reply))
        return se_fail(-EPIPE, "it has gone");
    machine->fd = guest->fd;
    memcpy(machine->name, guest->name, sizeof machine->name);
    guest->fd = -1;
    say(m, "machine %u of %u, %s, has come, for ranks %u to %u", number + 1, machines,
        machine->name, reply.terms.first, reply.terms.first + m->each - 1);
    say_who_is_missed(m);
    return 0;
}

static int take_rank(struct se_meeting *m, struct guest *guest)
{
    const struct se_hello *hello = &guest->hello;
    const uint32_t rank = hello->rank, size = m->o.terms.size;
    struct se_reply reply;
    if (rank < 1 || rank >= size || !is_here(m, rank / m->each) || m->seat[rank] >= 0 ||
        hello->ticket != m->machine[rank / m->each].ticket)
        return se_fail(-EACCES, "there is no such seat");
    if (hello->model != m->o.identity)
        return se_fail(-EACCES,
                       "the model of rank %u, at %s, has other weights than that of rank 0", rank,
                       guest->name);
    if (strcmp(hello->backend, m->o.backend) != 0)
        return se_fail(-EACCES, "rank %u, at %s, computes with %s, and rank 0 with %s", rank,
                       guest->name, hello->backend, m->o.backend);
    se_reply_init(&reply);
    reply.terms = m->o.terms;
    if (!send_reply(guest->fd, &reply))
        return se_fail(-EPIPE, "it has gone");
    m->seat[rank] = guest->fd;
    guest->fd = -1;
    return 0;
}

/* More of a hello is there, or its end. */
static void hear(struct se_meeting *m, struct guest *guest)
{
    struct se_hello *hello = &guest->hello;
    const size_t head_b = sizeof hello->head;
    const ssize_t n =
        recv(guest->fd, (unsigned char *)hello + guest->hello_b, sizeof *hello - guest->hello_b, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    guest->hello_b += n > 0 ? (size_t)n : 0;
    int r = n <= 0 ? -EBADMSG : 0;
    if (r == 0 && guest->hello_b >= head_b)
        r = se_hello_check_head(&hello->head);
    if (r == 0 && guest->hello_b < sizeof *hello)
        return;
    if (r == 0)
        r = se_hello_check(hello);
    if (r == 0)
        r = hello->kind == SE_HELLO_JOIN ? take_machine(m, guest) : take_rank(m, guest);
    if (r == -EBADMSG)
        turn_away(m, guest);
    else if (r < 0)
        refuse(m, guest);
}

/* Whoever has had his time goes. */
static void clear_door(struct se_meeting *m)
{
    const uint64_t now = se_clock_ns();
    for (uint32_t i = 0; i < GUESTS_MAX; i++)
        if (m->guest[i].fd >= 0 && now >= m->guest[i].until_ns)
            turn_away(m, &m->guest[i]);
}

static struct guest *free_place(struct se_meeting *m)
{
    for (uint32_t i = 0; i < GUESTS_MAX; i++)
        if (m->guest[i].fd < 0)
            return &m->guest[i];
    return NULL;
}

static void open_door(struct se_meeting *m)
{
    struct guest *guest = free_place(m);
    while (guest && se_socket_accept(&guest->fd, m->listener, guest->name) == 0) {
        guest->hello_b = 0;
        guest->until_ns = se_clock_ns() + HELLO_NS;
        guest = free_place(m);
    }
}

/* Waiting. */

/* Everything that may say something; number: the guest's, the machine's or the rank's. */
struct ears {
    struct pollfd of[1 + GUESTS_MAX + 2 * SE_COLLECTIVE_RANKS_MAX];
    uint32_t number[1 + GUESTS_MAX + 2 * SE_COLLECTIVE_RANKS_MAX];
    uint32_t guests, machines, seats; /* where they end */
};

static uint32_t add_ear(struct ears *e, uint32_t n, int fd, short events, uint32_t number)
{
    if (fd < 0)
        return n;
    e->of[n] = (struct pollfd){ .fd = fd, .events = events };
    e->number[n] = number;
    return n + 1;
}

static void prick_up(struct se_meeting *m, struct ears *e)
{
    uint32_t n = 1;
    /* While the door is full the next ones wait outside it. */
    e->of[0] = (struct pollfd){ .fd = m->listener, .events = free_place(m) ? POLLIN : 0 };
    for (uint32_t i = 0; i < GUESTS_MAX; i++)
        n = add_ear(e, n, m->guest[i].fd, POLLIN, i);
    e->guests = n;
    for (uint32_t i = 0; i < m->o.nodes->machines; i++)
        n = add_ear(e, n, m->machine[i].fd, POLLRDHUP, i);
    e->machines = n;
    for (uint32_t i = 1; i < m->o.terms.size; i++)
        n = add_ear(e, n, m->seat[i], POLLRDHUP, i);
    e->seats = n;
}

/* One that has been heard may be gone since: its descriptor is looked at again. */
static int answer(struct se_meeting *m, const struct ears *e)
{
    uint32_t i = 1;
    for (; i < e->guests; i++)
        if (e->of[i].revents && m->guest[e->number[i]].fd == e->of[i].fd)
            hear(m, &m->guest[e->number[i]]);
    for (; i < e->machines; i++)
        if (e->of[i].revents && m->machine[e->number[i]].fd == e->of[i].fd)
            let_go(m, e->number[i]);
    for (; i < e->seats; i++) {
        const uint32_t rank = e->number[i], machine = rank / m->each;
        if (!e->of[i].revents || m->seat[rank] != e->of[i].fd)
            continue;
        if (machine == 0)
            return se_fail(-EPIPE, "rank %u of %u, of this machine, has gone", rank,
                           m->o.terms.size);
        let_go(m, machine);
    }
    if (e->of[0].revents)
        open_door(m);
    return 0;
}

static int check(const struct se_meeting *m)
{
    const struct se_nodes_watch *watch = &m->o.nodes->watch;
    int r = m->o.check ? m->o.check(m->o.context) : 0;
    if (r >= 0 && watch->check)
        r = watch->check(watch->context);
    return r < 0 ? r : 0;
}

int se_meeting_wait(struct se_meeting *m, int *fd)
{
    const uint64_t meet_ns = m->o.nodes->meet_ns ? m->o.nodes->meet_ns : MEET_NS;
    const uint64_t until = se_clock_ns() + meet_ns;
    struct ears ears;
    say_who_is_missed(m);
    while (next_rank(m) < m->o.terms.size) {
        int r = check(m);
        if (r == 0 && se_clock_ns() >= until)
            r = nobody_came(m, meet_ns);
        prick_up(m, &ears);
        if (r == 0 && poll(ears.of, ears.seats, LOOK_MS) > 0)
            r = answer(m, &ears);
        if (r < 0)
            return se_trace(r);
        clear_door(m);
    }
    for (uint32_t i = 1; i < m->o.terms.size; i++) {
        fd[i - 1] = m->seat[i];
        m->seat[i] = -1;
    }
    return 0;
}
