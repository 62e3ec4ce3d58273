/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "runtime/base/cpu.h"

/* Where a processor has no name, it is not told. */
static void look_at_processor(char *name, size_t size_b)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(name, size_b, "a processor without a name");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        snprintf(name, size_b, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (file)
        fclose(file);
}

void se_machine_look(struct se_machine *machine)
{
    struct utsname system;
    look_at_processor(machine->processor, sizeof machine->processor);
    if (uname(&system) == 0)
        snprintf(machine->system, sizeof machine->system, "%s %.*s, %s", system.sysname,
                 (int)strcspn(system.release, "-"), system.release, system.machine);
    else
        snprintf(machine->system, sizeof machine->system, "an unknown system");
    machine->processors = se_cpu_count();
}

double se_machine_load(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : NAN;
}
