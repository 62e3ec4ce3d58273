/* SPDX-License-Identifier: Apache-2.0 */
/* tools/signals.h - signals one behind the other, for the one thread that waits for them.
 *
 * For programs that have more to say to a signal than to stop; the others use interrupt.h. */
#ifndef SE_TOOLS_SIGNALS_H
#define SE_TOOLS_SIGNALS_H

#include <stdint.h>

/* Of the process: once. 0 or -errno. */
int se_signals_open(void);
/* Signals that are watched do what they did before again. */
void se_signals_close(void);

/* From now on this signal does nothing but to come out of se_signals_next(). */
int se_signals_watch(int number);

/* The next that came, or 0 when none did within ns. */
int se_signals_next(uint64_t ns);

/* As if that signal had come; 1 to 127, also numbers that no signal has. Any thread. */
void se_signals_send(int number);

#endif
