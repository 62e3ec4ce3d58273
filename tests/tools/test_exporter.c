/* SPDX-License-Identifier: Apache-2.0 */
/* What is said over HTTP of a server that does not exist, in all of its states. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/err.h"
#include "tools/exporter.h"

enum { TEXT_B = 65536, DEADLINE_MS = 10000, CROWD = 300 };

static int connect_to(const char *url)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    at.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

/* All that comes until the other end closes; closes. */
static const char *read_all(int fd)
{
    static char text[TEXT_B];
    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < TEXT_B - 1) {
        struct pollfd of = { .fd = fd, .events = POLLIN };
        assert_int_equal(poll(&of, 1, DEADLINE_MS), 1);
        n = recv(fd, text + len, TEXT_B - 1 - len, 0);
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    close(fd);
    return text;
}

static const char *get(const char *url, const char *path)
{
    char request[128];
    int fd = connect_to(url);
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    assert_int_equal(send(fd, request, (size_t)len, MSG_NOSIGNAL), len);
    return read_all(fd);
}

static void assert_says(const char *url, const char *path, const char *status, const char *body)
{
    const char *answer = get(url, path), *end = strstr(answer, "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.1 ", 9) || strncmp(answer + 9, status, strlen(status)) || !end ||
        !strstr(end, body))
        fail_msg("%s: no %s and '%s' in\n%s", path, status, body, answer);
}

static struct se_exporter *open_at(const char *address, unsigned idle_s)
{
    struct se_exporter *exporter = NULL;
    struct se_exporter_options options = se_exporter_options(address);
    options.idle_s = idle_s;
    if (se_exporter_open(&exporter, &options) != 0)
        fail_msg("%s", se_err_text());
    return exporter;
}

static void health_is_told(void **state)
{
    struct se_exporter *e = open_at(":0", 10);
    const char *url = se_exporter_url(e);
    (void)state;
    assert_memory_equal(url, "http://127.0.0.1:", 17);
    assert_says(url, "/healthz", "503", "starting\n");
    se_exporter_tell(e, SE_EXPORTER_STARTING, "loads the model");
    assert_says(url, "/healthz", "503", "starting: loads the model\n");
    assert_says(url, "/metrics", "200", "\nspecedge_ready 0\n");
    se_exporter_tell(e, SE_EXPORTER_SERVING, "not shown");
    assert_says(url, "/healthz", "200", "\r\n\r\nok\n");
    assert_says(url, "/metrics", "200", "\nspecedge_ready 1\n");
    se_exporter_tell(e, SE_EXPORTER_DRAINING, "finishes what is under way");
    assert_says(url, "/healthz", "503", "draining: finishes what is under way\n");
    se_exporter_tell(e, SE_EXPORTER_FAILED, "the engine is gone");
    assert_says(url, "/healthz", "503", "failed: the engine is gone\n");
    assert_says(url, "/metrics", "200", "\nspecedge_ready 0\n");
    se_exporter_close(e);
}

static void counters_come_and_go(void **state)
{
    struct se_exporter *e = open_at("127.0.0.1:0", 10);
    const char *url = se_exporter_url(e);
    struct se_stat *stat = NULL;
    (void)state;
    assert_int_equal(se_stat_create(&stat, NULL, se_counter_labels, SE_COUNT_END), 0);
    assert_null(strstr(get(url, "/metrics"), "specedge_tokens_total"));
    const struct se_metric_source source = { .backend = "none", .model = "m", .stat = stat };
    se_exporter_show(e, &source);
    se_stat_add(stat, SE_COUNT_TOKENS, 7);
    assert_says(url, "/metrics", "200", "\nspecedge_tokens_total 7\n");
    assert_says(url, "/metrics", "200", "backend=\"none\",model=\"m\"} 1\n");
    assert_null(strstr(get(url, "/metrics"), "process_start_time_seconds 0\n"));
    se_exporter_show(e, &(struct se_metric_source){ 0 });
    se_stat_free(stat);
    assert_null(strstr(get(url, "/metrics"), "specedge_tokens_total"));
    se_exporter_close(e);
}

static void who_says_nothing_is_hung_up_on(void **state)
{
    struct se_exporter *e = open_at("127.0.0.1:0", 1);
    (void)state;
    int fd = connect_to(se_exporter_url(e));
    assert_int_equal(send(fd, "GET /metr", 9, MSG_NOSIGNAL), 9);
    read_all(fd); /* until the other end closes */
    se_exporter_close(e);
}

/* They never time out, and are more than there is room for. */
static void a_crowd_keeps_nobody_out(void **state)
{
    struct se_exporter *e = open_at("127.0.0.1:0", 1000);
    static int fd[CROWD];
    (void)state;
    for (int i = 0; i < CROWD; i++) {
        fd[i] = connect_to(se_exporter_url(e));
        assert_true(send(fd[i], "GET / HTTP/1.1\r\nX", 17, MSG_NOSIGNAL) == 17);
        if (i % 50 == 49)
            assert_says(se_exporter_url(e), "/", "200", "/metrics");
    }
    read_all(fd[0]); /* the first one was shown out */
    for (int i = 1; i < CROWD; i++)
        close(fd[i]);
    assert_says(se_exporter_url(e), "/", "200", "/metrics");
    se_exporter_close(e);
}

static void a_place_that_is_taken_is_told(void **state)
{
    struct se_exporter *e = open_at("127.0.0.1:0", 10), *other = NULL;
    char address[64];
    snprintf(address, sizeof address, "%s", se_exporter_url(e) + strlen("http://"));
    const struct se_exporter_options same = se_exporter_options(address);
    const struct se_exporter_options far = se_exporter_options("192.0.2.1:0");
    (void)state;
    assert_true(se_exporter_open(&other, &same) < 0);
    assert_non_null(strstr(se_err_text(), "ddress already in use"));
    assert_true(se_exporter_open(&other, &far) < 0);
    assert_null(other);
    se_exporter_close(e);
    e = open_at(address, 10); /* and free again */
    se_exporter_close(e);
}

static void nobody_asked(void **state)
{
    (void)state;
    se_exporter_tell(NULL, SE_EXPORTER_SERVING, "");
    se_exporter_show(NULL, &(struct se_metric_source){ 0 });
    se_exporter_close(NULL);
    assert_string_equal(se_exporter_url(NULL), "");
}

static void addresses(void **state)
{
    static const char *const good[] = { "127.0.0.1:9464", "[::1]:9464", ":0", ":65535", "name:1" };
    static const char *const bad[] = {
        "", ":", "9464", "127.0.0.1", ":65536", "::1:9464", ":http"
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(se_exporter_check(good[i]), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_true(se_exporter_check(bad[i]) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(health_is_told),
        cmocka_unit_test(counters_come_and_go),
        cmocka_unit_test(who_says_nothing_is_hung_up_on),
        cmocka_unit_test(a_crowd_keeps_nobody_out),
        cmocka_unit_test(a_place_that_is_taken_is_told),
        cmocka_unit_test(nobody_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
