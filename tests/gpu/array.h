/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/array.h - what a check of kernels needs of a device: arrays, and a stream to launch on.
 *
 * Over kernels/cuda/device.h alone, so that the same check goes through the emulator, where the
 * host cannot touch the device's memory and work is done as late as may be, and over a card.
 * Whatever goes wrong ends the trial (tests/gpu/trial.h).
 *
 *   array_simt.cc   the emulator's: guards of its own, orders in which threads run
 *   array_card.cc   a card's: guards around each array */
#ifndef SE_TESTS_GPU_ARRAY_H
#define SE_TESTS_GPU_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "kernels/cuda/device.h"

/* One at a time. Guards: not under compute-sanitizer, which would take them for the array's own. */
void device_open(uint32_t number, bool guards);
void device_close(void);

se_gpu_stream device_stream(void);
/* Until all launches are done. Nothing may have been written beside an array. */
void device_wait(void);

/* ---- the two kinds of device differ in these */

/* In which order blocks, warps and lanes begin, where that can be chosen: simt_order(). */
void device_order(unsigned order);
/* Memory of 0xff, which is NaN in every float format. NULL: there is not that much. */
void *device_alloc(size_t size_b, bool guards);
void device_free(void *memory);
/* NULL: nothing was written beside any of it, otherwise what was. */
const char *device_look(void);

/* ---- arrays */

void *array_new(size_t size_b);
void array_free(void *memory);
void array_write(void *to, const void *from, size_t size_b);
void array_read(void *to, const void *from, size_t size_b);

/* n elements on the device, poisoned, or those of a vector. `at` is for kernels alone. */
template <typename T>
struct device_array {
    T *const at;
    const size_t n;

    explicit device_array(size_t size) : at((T *)array_new(size * sizeof(T))), n(size) {}
    explicit device_array(const std::vector<T> &from) : device_array(from.size())
    {
        write(0, from.data(), n);
    }
    device_array(const device_array &) = delete;
    ~device_array() { array_free(at); }

    void write(size_t first, const T *from, size_t size)
    {
        array_write(at + first, from, size * sizeof(T));
    }
    std::vector<T> read(size_t first, size_t size) const
    {
        std::vector<T> to(size);
        array_read(to.data(), at + first, size * sizeof(T));
        return to;
    }
    std::vector<T> read(void) const { return read(0, n); }
};

/* Whether all of it is as it was at first. */
template <typename T>
static inline bool is_poison(const std::vector<T> &values, size_t first = 0)
{
    const unsigned char *bytes = (const unsigned char *)values.data();
    for (size_t i = first * sizeof(T); i < values.size() * sizeof(T); i++)
        if (bytes[i] != 0xff)
            return false;
    return true;
}

#endif
