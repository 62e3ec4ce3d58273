/* SPDX-License-Identifier: Apache-2.0 */
/* test_suite_keys [KIND] - what link.h promises, of links with keys; without KIND of all kinds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "tests/transport/keys.h"
#include "tests/transport/link_suite.h"

static char folder[] = "/tmp/specedge-test-keys-XXXXXX";

int main(int argc, char **argv)
{
    char shm[64], ipc[64], all[160], there[64];
    const char *only = argc > 1 ? argv[1] : "";
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(shm, sizeof(shm), "shm://%s/socket", folder);
    snprintf(ipc, sizeof(ipc), "ipc://%s/ipc", folder);
    struct se_guard *guard = keys_suite();
    if (guard == NULL) {
        printf("skipped: %s\n", se_err_text());
        rmdir(folder);
        return 77;
    }
    const bool zmq = strstr(se_link_schemes(there, sizeof(there)), "tcp") != NULL;
    snprintf(all, sizeof(all), zmq ? "%s,tcp://127.0.0.1:0,%s2" : "%s", shm, ipc);
    const struct link_suite suites[] = {
        { .name = "loop",
          .url = "loop://suite",
          .farewell = true,
          .refuses = true,
          .guard = guard },
        { .name = "loop, spinning",
          .url = "loop://suite",
          .farewell = true,
          .refuses = true,
          .spin_ns = 20000,
          .guard = guard },
        { .name = "shm", .url = shm, .farewell = true, .room = 2, .refuses = true, .guard = guard },
        { .name = "shm, spinning",
          .url = shm,
          .farewell = true,
          .room = 2,
          .refuses = true,
          .spin_ns = 20000,
          .guard = guard },
        { .name = "tcp", .url = "tcp://127.0.0.1:0", .guard = guard },
        { .name = "ipc", .url = ipc, .guard = guard },
        { .name = "joint", .url = all, .room = 2, .refuses = !zmq, .guard = guard },
    };
    int failed = 0, ran = 0;
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        const bool is_zmq = suites[i].url == ipc || strncmp(suites[i].url, "tcp", 3) == 0;
        if (strncmp(suites[i].name, only, strlen(only)) != 0)
            continue;
        ran += !is_zmq || zmq;
        if (!is_zmq || zmq)
            failed += link_suite_run(&suites[i]);
        else
            printf("skipped: %s: this build has no ZeroMQ\n", suites[i].name);
    }
    rmdir(folder);
    return ran == 0 ? 77 : failed != 0;
}
