/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char groups[] = "/sys/fs/cgroup";

/* "MemAvailable:   21948292 kB" */
static uint64_t available(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib * 1024;
}

/* A file of one number; "max" is none. */
static bool number_in(const char *folder, const char *name, uint64_t *number)
{
    char path[PATH_MAX + sizeof groups];
    if (snprintf(path, sizeof path, "%s%s/%s", groups, folder, name) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    bool found = file && fscanf(file, "%" SCNu64, number) == 1;
    if (file)
        fclose(file);
    return found;
}

/* The group of this process, "/a/b", in the hierarchy that the systems of today have. */
static bool own_group(char folder[PATH_MAX])
{
    char line[PATH_MAX];
    bool found = false;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && !found && fgets(line, sizeof line, file))
        if (!strncmp(line, "0::", 3)) {
            line[strcspn(line, "\n")] = '\0';
            memcpy(folder, line + 3, strlen(line + 3) + 1);
            found = true;
        }
    if (file)
        fclose(file);
    return found;
}

uint64_t se_memory_free(void)
{
    char folder[PATH_MAX];
    uint64_t least = available();
    bool more = own_group(folder);
    while (more) { /* it and all above it, the topmost being "" */
        uint64_t most = 0, used = 0;
        if (number_in(folder, "memory.max", &most) && number_in(folder, "memory.current", &used)) {
            uint64_t left = most > used ? most - used : 0;
            least = left < least ? left : least;
        }
        char *end = strrchr(folder, '/');
        more = end != NULL;
        if (end)
            *end = '\0';
    }
    return least;
}
