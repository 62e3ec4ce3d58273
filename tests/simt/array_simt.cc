/* SPDX-License-Identifier: Apache-2.0 */
/* The emulator's half of tests/gpu/array.h: memory is poisoned and guarded by itself. */
#include "tests/gpu/array.h"
#include "tests/simt/simt.h"

void device_order(unsigned order) { simt_order(order); }

void *device_alloc(size_t size_b, bool guards)
{
    (void)guards;
    return se_gpu_alloc(size_b, "an array");
}

void device_free(void *memory) { se_gpu_free(memory); }

/* At the end of each kernel the emulator has looked, and would have ended the program. */
const char *device_look(void) { return NULL; }
