/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tests/gpu/random_model.h"

/* As cuda.h and cublas_v2.h have them; both keep what they once had. */
enum { CAPTURE_OF_THREAD = 1, R_16BF = 14, COMPUTE_32F = 68, OP_N = 0, OP_T = 1, ANY_WAY = -1 };

static struct {
    void *library;
    char version[64];
    int (*driver_version)(int *version);
    int (*copy)(unsigned long long to, unsigned long long from, size_t size_b, void *stream);
    int (*synchronize)(void *stream);
    int (*begin)(void *stream, int mode);
    int (*end)(void *stream, void **graph);
    int (*nodes)(void *graph, void **nodes, size_t *n);
    int (*destroy)(void *graph);
} driver;

static struct {
    void *library;
    char version[64];
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*get_version)(void *handle, int *version);
    int (*product)(void *handle, int ta, int tb, int m, int n, int k, const void *alpha,
                   const void *a, int type_a, int lda, const void *b, int type_b, int ldb,
                   const void *beta, void *c, int type_c, int ldc, int compute, int algorithm);
} blas;

/* 0, or -ENODEV. A function pointer by way of its bytes, as C has no cast for it. */
static int find(void *library, const char *name, void *function)
{
    void *at = dlsym(library, name);
    if (!at)
        return se_fail(-ENODEV, "%s is not there", name);
    memcpy(function, &at, sizeof at);
    return 0;
}

static int failed(int code, const char *doing)
{
    return code == 0 ? 0 : se_fail(-EIO, "%s: error %d", doing, code);
}

/* ---- the driver */

/* The kernel's module says it; inside some machines nobody does. */
static void read_version(void)
{
    char line[256] = "", *at;
    int cuda = 0;
    unsigned major = 0, minor = 0, patch = 0;
    FILE *file = fopen("/proc/driver/nvidia/version", "r");
    if (file && fgets(line, sizeof line, file) && (at = strstr(line, "Module")))
        for (; *at && sscanf(at, "%u.%u.%u", &major, &minor, &patch) < 2; at++)
            major = 0;
    if (file)
        fclose(file);
    driver.driver_version(&cuda);
    if (major)
        snprintf(driver.version, sizeof driver.version, "%u.%u.%02u, CUDA %d.%d", major, minor,
                 patch, cuda / 1000, cuda % 1000 / 10);
    else
        snprintf(driver.version, sizeof driver.version, "CUDA %d.%d", cuda / 1000,
                 cuda % 1000 / 10);
}

int driver_open(void)
{
    if (driver.library)
        return 0;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return se_fail(-ENODEV, "%s", dlerror());
    const struct {
        const char *name;
        void *function;
    } of[] = {
        { "cuDriverGetVersion", &driver.driver_version },
        { "cuMemcpyDtoDAsync_v2", &driver.copy },
        { "cuStreamSynchronize", &driver.synchronize },
        { "cuStreamBeginCapture_v2", &driver.begin },
        { "cuStreamEndCapture", &driver.end },
        { "cuGraphGetNodes", &driver.nodes },
        { "cuGraphDestroy", &driver.destroy },
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        const int r = find(library, of[i].name, of[i].function);
        if (r < 0) {
            dlclose(library);
            return r;
        }
    }
    driver.library = library;
    read_version();
    return 0;
}

const char *driver_version(void) { return driver.version; }

static int time_copies(void *to, void *from, size_t size_b, uint32_t n, struct se_hist *bytes_per_s)
{
    enum { BEFORE = 3 };
    const unsigned long long t = (uintptr_t)to, f = (uintptr_t)from;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < n + BEFORE; i++) {
        const uint64_t from_ns = se_clock_ns();
        r = failed(driver.copy(t, f, size_b, NULL), "a copy");
        if (r == 0)
            r = failed(driver.synchronize(NULL), "a copy");
        const double s = (double)(se_clock_ns() - from_ns) * 1e-9;
        if (r == 0 && i >= BEFORE)
            r = se_hist_add(bytes_per_s, 2 * (double)size_b / s);
    }
    return r;
}

int driver_copies(size_t size_b, uint32_t n, struct se_hist *bytes_per_s)
{
    int r = driver_open();
    if (r < 0)
        return r;
    void *from = se_gpu_alloc(size_b, "copies"), *to = from ? se_gpu_alloc(size_b, "copies") : NULL;
    r = to ? se_cuda_pass_on(se_gpu_fill(from, 0x5a, size_b)) : se_cuda_pass_on(-ENOMEM);
    if (r == 0)
        r = time_copies(to, from, size_b, n, bytes_per_s);
    se_gpu_free(from);
    se_gpu_free(to);
    return r;
}

int driver_count_nodes(struct se_backend *b, uint32_t bucket, uint32_t *n)
{
    void *graph = NULL;
    size_t nodes = 0;
    int r = driver_open();
    if (r == 0)
        r = failed(driver.begin(b->stream, CAPTURE_OF_THREAD), "a capture");
    if (r < 0)
        return r;
    se_cuda_pass(b, bucket, bucket);
    r = failed(driver.end(b->stream, &graph), "a capture");
    if (r == 0)
        r = failed(driver.nodes(graph, NULL, &nodes), "a graph's nodes");
    if (graph)
        driver.destroy(graph);
    *n = (uint32_t)nodes;
    return r;
}

/* ---- cuBLAS */

/* Where the linker finds it, where the toolkit lies, or where SE_CUBLAS says. */
static void *open_blas(void)
{
    static const char *const names[] = {
        "libcublas.so.13",
        "libcublas.so.12",
        "/usr/local/cuda/lib64/libcublas.so.13",
        "/usr/local/cuda/lib64/libcublas.so.12",
        "/usr/local/cuda/lib64/libcublas.so",
        "libcublas.so.11",
    };
    const char *named = getenv("SE_CUBLAS");
    void *library = named && *named ? dlopen(named, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

static int find_blas(void)
{
    if (blas.library)
        return 0;
    void *library = open_blas();
    if (!library)
        return se_fail(-ENODEV, "no libcublas (SE_CUBLAS=PATH names one)");
    int r = find(library, "cublasCreate_v2", &blas.create);
    if (r == 0)
        r = find(library, "cublasDestroy_v2", &blas.destroy);
    if (r == 0)
        r = find(library, "cublasGetVersion_v2", &blas.get_version);
    if (r == 0)
        r = find(library, "cublasGemmEx", &blas.product);
    if (r < 0)
        dlclose(library);
    else
        blas.library = library;
    return r;
}

const char *driver_products_by(void) { return blas.version; }

static int time_products(void *handle, const void *a, const void *b, void *c, int n, uint32_t times,
                         struct se_hist *ops_per_s)
{
    enum { BEFORE = 3, AT_ONCE = 4 };
    const float one = 1, none = 0;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < times + BEFORE; i++) {
        const uint64_t from_ns = se_clock_ns();
        for (int k = 0; r == 0 && k < AT_ONCE; k++)
            r = failed(blas.product(handle, OP_T, OP_N, n, n, n, &one, a, R_16BF, n, b, R_16BF, n,
                                    &none, c, R_16BF, n, COMPUTE_32F, ANY_WAY),
                       "a product of cuBLAS");
        if (r == 0)
            r = failed(driver.synchronize(NULL), "a product of cuBLAS");
        const double s = (double)(se_clock_ns() - from_ns) * 1e-9;
        if (r == 0 && i >= BEFORE)
            r = se_hist_add(ops_per_s, AT_ONCE * 2.0 * n * n * n / s);
    }
    return r;
}

static int products_of(const void *a, const void *b, void *c, uint32_t n, uint32_t times,
                       struct se_hist *ops_per_s)
{
    void *handle = NULL;
    int version = 0;
    int r = failed(blas.create(&handle), "opening cuBLAS");
    if (r < 0)
        return r;
    blas.get_version(handle, &version);
    snprintf(blas.version, sizeof blas.version, "cuBLAS %d.%d.%d", version / 10000,
             version / 100 % 100, version % 100);
    r = time_products(handle, a, b, c, (int)n, times, ops_per_s);
    blas.destroy(handle);
    return r;
}

int driver_products(uint32_t n, uint32_t times, struct se_hist *ops_per_s)
{
    const size_t size_b = (size_t)n * n * sizeof(uint16_t);
    void *of[3] = { NULL };
    uint16_t *values = NULL;
    int r = driver_open();
    if (r == 0)
        r = find_blas();
    for (int i = 0; r == 0 && i < 3; i++) {
        of[i] = se_gpu_alloc(size_b, "products");
        r = of[i] ? 0 : se_cuda_pass_on(-ENOMEM);
    }
    if (r == 0 && !(values = se_mem_new((size_t)n * n, sizeof *values)))
        r = -ENOMEM;
    if (r == 0)
        random_bf16(values, (size_t)n * n, 1, 1); /* zeroes would be faster: they cost less power */
    for (int i = 0; r == 0 && i < 2; i++)
        r = se_cuda_pass_on(se_gpu_upload(of[i], values, size_b));
    if (r == 0)
        r = products_of(of[0], of[1], of[2], n, times, ops_per_s);
    for (int i = 0; i < 3; i++)
        se_gpu_free(of[i]);
    se_mem_free(values);
    return r;
}
