/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels for checks alone, as C++ for the emulator. */
#include "tests/gpu/probe.cu"
