/* SPDX-License-Identifier: Apache-2.0 */
/* tools/pin.h - the processor that a thread keeps to while it is measured. */
#ifndef SE_TOOLS_PIN_H
#define SE_TOOLS_PIN_H

/* The calling thread, and what it starts from now on; < 0: wherever it may run already. 0 or
 * -errno. */
int se_pin(int processor);

#endif
