/* SPDX-License-Identifier: Apache-2.0 */
/* tools/machine.h - on what and beside what something was measured, in words. */
#ifndef SE_TOOLS_MACHINE_H
#define SE_TOOLS_MACHINE_H

#include <stdint.h>

struct se_machine {
    char processor[128], system[256]; /* "AMD EPYC 9B14", "Linux 6.18.5, x86_64" */
    uint32_t processors;              /* that this process may run on */
};
void se_machine_look(struct se_machine *machine);

/* Programs that wanted a processor, over the last minute; NaN: it cannot be told. */
double se_machine_load(void);

#endif
