/* SPDX-License-Identifier: Apache-2.0 */
/* tests/simt/device_simt.h - a device of the emulator's, and what can go wrong with it.
 *
 * Work of a stream is done when somebody waits for it, not before; memory of the device cannot be
 * touched by the host; a graph does again what was put down, with the arguments of its capture. */
#ifndef SE_TESTS_SIMT_DEVICE_SIMT_H
#define SE_TESTS_SIMT_DEVICE_SIMT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct simt_device_faults {
    int devices;         /* how many there are; 0: eight */
    size_t memory_b;     /* all that there is; 0: no limit */
    bool absent;         /* there is no device */
    bool no_capture;     /* a capture cannot begin */
    bool no_graph;       /* what was captured cannot be made a graph */
    bool no_launch;      /* a graph cannot be launched */
    bool no_ranks;       /* several of them cannot meet */
    bool hangs;          /* nothing is done, however long one waits */
    unsigned long fails; /* it fails for good at this unit of work from now on, from 1; 0: never */
};
void simt_device_set(const struct simt_device_faults *faults);
const struct simt_device_faults *simt_device_told(void);

struct simt_device_counts {
    unsigned long alive;            /* graphs that are not freed */
    unsigned long launches, graphs; /* kernels started, graphs included; graphs */
    unsigned long waits;            /* calls of se_gpu_stream_wait */
};
struct simt_device_counts simt_device_seen(void);

#ifdef __cplusplus
}
#endif

#endif
