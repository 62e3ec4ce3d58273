/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the module and hands every call on to it. */
#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/model/backend.h"
#include "runtime/model/cuda/module.h"

/* Opened once, and for good: a driver's threads do not like to be unloaded. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct se_cuda_module *module;

/* ---- finding it */

/* Where a program that was installed, or built, has it. */
static const char *const beside[] = {
    "../lib/specedge/" SE_CUDA_MODULE_FILE,
    "../runtime/model/cuda/" SE_CUDA_MODULE_FILE,
    SE_CUDA_MODULE_FILE,
};

static void *open_beside(void)
{
    char program[PATH_MAX], path[PATH_MAX + 64];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return NULL;
    program[n] = '\0';
    const char *folder = dirname(program);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, beside[i]);
        if (access(path, F_OK) == 0)
            return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return dlopen(SE_CUDA_MODULE_FILE, RTLD_NOW | RTLD_LOCAL);
}

static int check(const struct se_cuda_module *found, const char *name)
{
    const bool same = found->abi == SE_CUDA_MODULE_ABI &&
                      found->model_b == sizeof(struct se_model) &&
                      found->options_b == sizeof(struct se_engine_options) &&
                      found->batch_b == sizeof(struct se_batch);
    if (!same)
        return se_fail(-ENODEV, "cuda: %s is of another build than this program", name);
    const struct se_backend_ops *ops = found->ops;
    const bool whole = ops && ops->name && ops->open && ops->close && ops->text && ops->memory &&
                       ops->forward && ops->move && found->devices && found->error;
    return whole ? 0 : se_fail(-ENODEV, "cuda: %s lacks a part of its table", name);
}

static int open_module(void)
{
    const char *named = getenv("SE_CUDA_MODULE"), *name = named ? named : SE_CUDA_MODULE_FILE;
    void *handle = named ? dlopen(named, RTLD_NOW | RTLD_LOCAL) : open_beside();
    if (!handle)
        return se_fail(-ENODEV,
                       "cuda: the module cannot be opened: %s (built without CUDA? SE_CUDA_MODULE "
                       "names another place)",
                       dlerror());
    const struct se_cuda_module *found = dlsym(handle, SE_CUDA_MODULE_SYMBOL);
    const int r =
        found ? check(found, name) : se_fail(-ENODEV, "cuda: %s is no module of ours", name);
    if (r < 0)
        dlclose(handle);
    else
        module = found;
    return r;
}

static int need_module(void)
{
    pthread_mutex_lock(&lock);
    const int r = module ? 0 : open_module();
    pthread_mutex_unlock(&lock);
    return r;
}

/* ---- how many there are */

/* In a process of its own, which comes to no other end than this. */
static void count_apart(void)
{
    const int n = module->devices();
    _exit(n < 0 ? 0 : n > SE_DEVICES_MAX ? SE_DEVICES_MAX : n);
}

uint32_t se_backend_cuda_devices(void)
{
    int status = 0;
    if (need_module() < 0)
        return 0;
    const pid_t process = fork();
    if (process == 0)
        count_apart();
    while (process > 0 && waitpid(process, &status, 0) < 0 && errno == EINTR)
        continue;
    return process > 0 && WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0;
}

/* ---- the operations */

/* What failed in the module, said here. */
static int pass_on(int r) { return r < 0 ? se_fail(r, "%s", module->error()) : r; }

static int cuda_open(struct se_backend **out, const struct se_model *model,
                     const struct se_engine_options *options)
{
    const int r = need_module();
    return r < 0 ? r : pass_on(module->ops->open(out, model, options));
}

static void cuda_close(struct se_backend *backend)
{
    if (backend)
        module->ops->close(backend);
}

static const char *cuda_text(const struct se_backend *backend)
{
    return module->ops->text(backend);
}

static size_t cuda_memory(const struct se_backend *backend) { return module->ops->memory(backend); }

static int cuda_forward(struct se_backend *backend, const struct se_batch *batch)
{
    return pass_on(module->ops->forward(backend, batch));
}

static void cuda_move(struct se_backend *backend, const struct se_kv_move *move, uint32_t n)
{
    module->ops->move(backend, move, n);
}

const struct se_backend_ops se_backend_cuda = {
    .name = "cuda",
    .walks = true,
    .open = cuda_open,
    .close = cuda_close,
    .text = cuda_text,
    .memory = cuda_memory,
    .forward = cuda_forward,
    .move = cuda_move,
};
