/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/device.h"
#include "runtime/base/err.h"
#include "tests/gpu/checks.h"
#include "tests/gpu/driver.h"
#include "tests/gpu/report.h"

enum { COPIES = 40, PRODUCTS = 20, PRODUCT = 8192 };

static size_t size_of_copies(const struct se_gpu_device *device)
{
    const size_t most = (size_t)2 << 30, share = device->free_b / 8;
    return (share < most ? share : most) & ~(size_t)0xfffff;
}

static void measure_copies(const struct se_gpu_device *device, struct machine *machine)
{
    struct se_hist hist = SE_HIST_NULL;
    const size_t size_b = size_of_copies(device);
    const int r = driver_copies(size_b, COPIES, &hist);
    if (r < 0)
        report_note("copy bandwidth", "not measured: %s", se_err_text());
    else
        machine->copies_b = se_hist_at(&hist, 0.5);
    if (r == 0)
        report_figure("copy bandwidth", NULL, false,
                      "%.0f GB/s read and written (%.0f to %.0f, %d copies of %.1f GiB)",
                      machine->copies_b * 1e-9, se_hist_at(&hist, 0) * 1e-9,
                      se_hist_at(&hist, 1) * 1e-9, COPIES, (double)size_b / (1 << 30));
    report_samples("copy_bytes_per_s", "bytes/s", &hist);
    se_hist_fini(&hist);
}

static void measure_products(struct machine *machine)
{
    struct se_hist hist = SE_HIST_NULL;
    const int r = driver_products(PRODUCT, PRODUCTS, &hist);
    if (r < 0)
        report_note("bf16 matmul rate", "not measured: %s", se_err_text());
    else
        machine->products = se_hist_at(&hist, 0.5);
    if (r == 0)
        report_figure("bf16 matmul rate", NULL, false, "%.0f TFLOP/s (%.0f to %.0f, %s, %d cubed)",
                      machine->products * 1e-12, se_hist_at(&hist, 0) * 1e-12,
                      se_hist_at(&hist, 1) * 1e-12, driver_products_by(), PRODUCT);
    report_samples("matmul_ops_per_s", "op/s", &hist);
    se_hist_fini(&hist);
}

void check_machine(const struct check_size *size, struct machine *machine)
{
    struct se_gpu_device device;
    memset(machine, 0, sizeof *machine);
    const int r = se_cuda_pass_on(se_gpu_device_open((int)size->device, &device));
    report_check(r, "device", "%s, sm_%u%u, %u multiprocessors, %.1f GiB, %.1f free", device.name,
                 device.major, device.minor, device.multiprocessors,
                 (double)device.memory_b / (1 << 30), (double)device.free_b / (1 << 30));
    if (r < 0 || size->tiny)
        return;
    report_word("device", device.name);
    if (driver_open() < 0) {
        report_note("driver", "%s", se_err_text());
        return;
    }
    report_note("driver", "%s", driver_version());
    report_word("driver", driver_version());
    measure_copies(&device, machine);
    measure_products(machine);
}
