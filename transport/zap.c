/* SPDX-License-Identifier: Apache-2.0 */
/* A question is: version, number, domain, address, routing id, mechanism, key. The answer: version,
 * number, status, words, the name that zmq_msg_gets() then gives with each message, nothing. */
#include "transport/zap.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <zmq.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum { VERSION, NUMBER, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, KEY, PARTS, PART_B = 256 };
static const char version[] = "1.0", mechanism[] = "CURVE";
const char se_zap_domain[] = "specedge";

struct se_zap {
    void *socket;
    struct se_guard *guard;
};

struct part {
    unsigned char b[PART_B];
    size_t len; /* may be more than there is room for: what came, not what was kept */
};

static bool is(const struct part *part, const char *text)
{
    return part->len == strlen(text) && memcmp(part->b, text, part->len) == 0;
}

static bool more(void *socket)
{
    int any = 0;
    size_t size = sizeof(any);
    return zmq_getsockopt(socket, ZMQ_RCVMORE, &any, &size) == 0 && any != 0;
}

/* How many parts the question has; 0: there is none. */
static int receive(struct se_zap *zap, struct part part[PARTS])
{
    struct part rest;
    int n = 0;
    do {
        struct part *to = n < PARTS ? &part[n] : &rest;
        const int len = zmq_recv(zap->socket, to->b, PART_B, ZMQ_DONTWAIT);
        if (len < 0)
            return n;
        to->len = (size_t)len;
        n++;
    } while (more(zap->socket));
    return n;
}

/* The words go to the one who asks to come in, so they say no more than that it may not. */
static void answer(struct se_zap *zap, const struct part *number, const struct se_key *key)
{
    char name[SE_KEY_TEXT_B] = "";
    if (key != NULL)
        se_key_text(key, name);
    const char *status = key != NULL ? "200" : "400", *words = key != NULL ? "" : "refused";
    const size_t number_b = number->len < PART_B ? number->len : PART_B;
    zmq_send(zap->socket, version, sizeof(version) - 1, ZMQ_SNDMORE);
    zmq_send(zap->socket, number->b, number_b, ZMQ_SNDMORE);
    zmq_send(zap->socket, status, 3, ZMQ_SNDMORE);
    zmq_send(zap->socket, words, strlen(words), ZMQ_SNDMORE);
    zmq_send(zap->socket, name, strlen(name), ZMQ_SNDMORE);
    zmq_send(zap->socket, "", 0, 0);
}

/* Anything that is no question of a CURVE server of ours is answered with no. */
static const struct se_keyring_entry *judge(struct se_zap *zap, const struct part part[PARTS],
                                            int n)
{
    struct se_key curve;
    if (n != PARTS || !is(&part[VERSION], version) || !is(&part[DOMAIN], se_zap_domain) ||
        !is(&part[MECHANISM], mechanism) || part[KEY].len != SE_KEY_B)
        return NULL;
    memcpy(curve.b, part[KEY].b, SE_KEY_B);
    return se_guard_admit_curve(zap->guard, &curve);
}

void se_zap_serve(struct se_zap *zap)
{
    struct part part[PARTS];
    int n;
    while ((n = receive(zap, part)) > 0) {
        const struct se_keyring_entry *entry = judge(zap, part, n);
        if (n <= NUMBER)
            part[NUMBER].len = 0;
        answer(zap, &part[NUMBER], entry != NULL ? &entry->key : NULL);
    }
}

int se_zap_fd(const struct se_zap *zap)
{
    int fd = -1;
    size_t size = sizeof(fd);
    return zmq_getsockopt(zap->socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

int se_zap_open(struct se_zap **out, void *context, struct se_guard *guard)
{
    struct se_zap *zap = se_mem_zero(1, sizeof(*zap));
    const int none = 0;
    if (zap == NULL)
        return se_trace(-ENOMEM);
    zap->guard = guard;
    zap->socket = zmq_socket(context, ZMQ_REP);
    if (zap->socket == NULL || zmq_setsockopt(zap->socket, ZMQ_LINGER, &none, sizeof(none)) < 0 ||
        zmq_bind(zap->socket, "inproc://zeromq.zap.01") < 0) {
        const int r = -errno;
        se_zap_close(zap);
        return r;
    }
    *out = zap;
    return 0;
}

void se_zap_close(struct se_zap *zap)
{
    if (zap != NULL && zap->socket != NULL)
        zmq_close(zap->socket);
    se_mem_free(zap);
}
