/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/transport/relay.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEPT_B = 1 << 20 };

struct relay {
    int listener, stop[2];
    struct sockaddr_in to;
    pthread_t thread;
    unsigned char *kept;
    size_t len_b;
};

/* False when one of the ends is gone. */
static int pass(struct relay *r, int from, int to)
{
    unsigned char bytes[4096];
    const ssize_t n = read(from, bytes, sizeof(bytes));
    if (n <= 0 || r->len_b + (size_t)n > KEPT_B)
        return 0;
    memcpy(r->kept + r->len_b, bytes, (size_t)n);
    r->len_b += (size_t)n;
    return write(to, bytes, (size_t)n) == n;
}

static void *run(void *of)
{
    struct relay *r = of;
    int client = -1, server = -1;
    for (int alive = 1; alive;) {
        struct pollfd fd[] = { { r->stop[0], POLLIN, 0 },
                               { client < 0 ? r->listener : client, POLLIN, 0 },
                               { server, POLLIN, 0 } };
        if (poll(fd, 3, -1) < 0 || fd[0].revents != 0)
            break;
        if (client < 0) {
            client = accept(r->listener, NULL, NULL);
            server = socket(AF_INET, SOCK_STREAM, 0);
            alive = client >= 0 && connect(server, (struct sockaddr *)&r->to, sizeof(r->to)) == 0;
            continue;
        }
        if (fd[1].revents != 0)
            alive = pass(r, client, server);
        if (alive && fd[2].revents != 0)
            alive = pass(r, server, client);
    }
    if (client >= 0)
        close(client);
    if (server >= 0)
        close(server);
    return NULL;
}

struct relay *relay_new(uint16_t to_port, uint16_t *port)
{
    struct relay *r = calloc(1, sizeof(*r));
    struct sockaddr_in own = { .sin_family = AF_INET };
    socklen_t len = sizeof(own);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->to = own;
    r->to.sin_port = htons(to_port);
    r->kept = malloc(KEPT_B);
    r->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (r->kept == NULL || bind(r->listener, (struct sockaddr *)&own, sizeof(own)) < 0 ||
        listen(r->listener, 4) < 0 || getsockname(r->listener, (struct sockaddr *)&own, &len) < 0 ||
        pipe(r->stop) < 0 || pthread_create(&r->thread, NULL, run, r) != 0)
        abort();
    *port = ntohs(own.sin_port);
    return r;
}

unsigned char *relay_free(struct relay *r, size_t *len_b)
{
    unsigned char *kept = r->kept;
    if (write(r->stop[1], "", 1) != 1)
        abort();
    pthread_join(r->thread, NULL);
    *len_b = r->len_b;
    close(r->stop[0]);
    close(r->stop[1]);
    close(r->listener);
    free(r);
    return kept;
}
