/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/crowd_server.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "sched/server/parts.h"

/* What the child answers: first that it listens, then each question. */
struct answer {
    int result;
    char text[512]; /* URL, or what is wrong */
    struct se_crowd_facts facts;
};

/* ---- the child */

uint32_t se_crowd_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint32_t n = 0;
    if (!dir)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* that of dir */
}

static uint64_t resident_b(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* While its thread stands still. */
static struct se_crowd_facts facts_of(const struct se_server *s)
{
    struct se_crowd_facts facts = { .resident_b = resident_b(),
                                    .fds = se_crowd_fds(),
                                    .sessions = s->sessions.n,
                                    .peers = s->peers.n };
    facts.held_b = (uint64_t)s->sessions.used * sizeof *s->sessions.session +
                   ((uint64_t)s->sessions.by_id.mask + s->sessions.by_nonce.mask + 2) *
                       sizeof(struct se_map_cell);
    for (uint32_t i = 0; i < s->sessions.used; i++)
        facts.text_b += s->sessions.session[i].cap * sizeof *s->sessions.session[i].text;
    return facts;
}

static bool answer_with(int fd, struct answer *answer)
{
    if (answer->result < 0)
        snprintf(answer->text, sizeof answer->text, "%s", se_err_text());
    return se_child_answer(fd, answer, sizeof *answer);
}

static void serve(int fd, const void *options)
{
    static struct se_hollow_server of;
    struct answer answer = { 0 };
    /* A huge page is taken for its first byte: 2 KiB for each of a thousand sessions. */
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    answer.result = se_hollow_server_open(&of, options);
    if (answer.result == 0)
        snprintf(answer.text, sizeof answer.text, "%s", se_link_url(of.link));
    while (answer_with(fd, &answer) && answer.result == 0) {
        answer = (struct answer){ .result = se_hollow_server_start(&of) };
        if (answer.result == 0 && !se_child_asked(fd))
            break;
        if (answer.result == 0)
            answer.result = se_hollow_server_stop(&of);
        if (answer.result == 0)
            answer.facts = facts_of(of.server);
    }
    se_hollow_server_close(&of);
}

/* ---- who asks */

static int hear(struct se_crowd_server *of, struct answer *answer)
{
    int r = se_child_hear(&of->child, answer, sizeof *answer);
    if (r != 0)
        return r;
    return answer->result < 0 ? se_fail(answer->result, "%s", answer->text) : 0;
}

int se_crowd_server_open(struct se_crowd_server *of, const struct se_hollow_options *options)
{
    struct answer answer;
    int r = se_child_open(&of->child, serve, options);
    if (r == 0)
        r = hear(of, &answer);
    if (r != 0)
        return r;
    snprintf(of->url, sizeof of->url, "%s", answer.text);
    return 0;
}

int se_crowd_server_ask(struct se_crowd_server *of, struct se_crowd_facts *facts)
{
    struct answer answer;
    int r = se_child_ask(&of->child);
    if (r == 0)
        r = hear(of, &answer);
    if (r != 0)
        return r;
    *facts = answer.facts;
    return 0;
}

void se_crowd_server_close(struct se_crowd_server *of) { se_child_close(&of->child); }
