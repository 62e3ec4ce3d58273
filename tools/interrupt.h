/* SPDX-License-Identifier: Apache-2.0 */
/* tools/interrupt.h - the user's wish to stop (SIGINT, SIGTERM), asked for at good moments.
 *
 * A second signal ends the program at once. One thread asks. */
#ifndef SE_TOOLS_INTERRUPT_H
#define SE_TOOLS_INTERRUPT_H

#include <stdbool.h>

/* From now on the signals only raise a flag. */
void se_interrupt_watch(void);
bool se_interrupt_came(void);

/* For a program that stops what it was at and goes on: the flag is lowered, and the next SIGINT is
 * a first one again. SIGTERM means the program itself, and is not forgotten. */
void se_interrupt_met(void);
/* Whether SIGTERM came. */
bool se_interrupt_ends(void);

#endif
