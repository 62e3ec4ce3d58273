/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench_url.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/outcome.h"

int se_bench_url(const char *word, char *url, size_t size_b)
{
    static const struct {
        const char *word, *before, *behind; /* the process's number stands in between, if behind */
    } kinds[] = {
        { "loop", "loop://se-bench-", "" },
        { "shm", "shm:///tmp/se-bench-", ".shm" },
        { "ipc", "ipc:///tmp/se-bench-", ".ipc" },
        { "tcp", "tcp://127.0.0.1:0", NULL },
    };
    int n = -1;
    if (strstr(word, "://"))
        n = snprintf(url, size_b, "%s", word);
    for (size_t i = 0; n < 0 && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(word, kinds[i].word) != 0)
            continue;
        n = kinds[i].behind
                ? snprintf(url, size_b, "%s%ld%s", kinds[i].before, (long)getpid(), kinds[i].behind)
                : snprintf(url, size_b, "%s", kinds[i].before);
    }
    if (n < 0)
        return se_usage("link: '%s' is none of loop, shm, tcp and ipc, and no URL", word);
    return (size_t)n < size_b ? 0 : se_usage("link: '%s' is too long", word);
}
