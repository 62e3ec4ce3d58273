/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/tap.h - the CUDA backend, and what it asks of the device, counted.
 *
 * Calls of kernels/cuda/device.h go through here by way of the linker (--wrap), in a program for
 * a real GPU as in one for the emulator. One thread. */
#ifndef SE_TESTS_GPU_TAP_H
#define SE_TESTS_GPU_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/model/backend.h"
#include "runtime/model/cuda/inside.h"

/* Graphs as the backend has them, or none: each capture is refused. */
extern const struct se_backend_ops tap_ops, tap_plain_ops;

/* The last backend that was opened by one of them; NULL once it is closed. */
struct se_backend *tap_backend(void);

struct tap_counts {
    uint64_t graphs;    /* launches of one */
    uint64_t plain;     /* passes whose launches were made one by one, or put down for a graph */
    uint64_t waits;     /* for a stream to come to rest */
    uint64_t copies;    /* of loading: each waits for the device */
    uint64_t words;     /* waits for a word in memory */
    uint64_t waited_ns; /* in those: the rest of a step's time is the host's own */
};
struct tap_counts tap_seen(void);

#endif
