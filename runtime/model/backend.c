/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/model/nodes.h"

static int read_devices(const char *text, const char *number, struct se_devices *devices)
{
    for (;; number++) {
        char *end = NULL;
        const unsigned long value = strtoul(number, &end, 10);
        if (*number < '0' || *number > '9' || value > 1023 || (*end && *end != ','))
            return se_fail(-EINVAL, "backend: '%s' names no device, as cuda:0 does", text);
        for (uint32_t i = 0; i < devices->n; i++) {
            if (devices->of[i] == value)
                return se_fail(-EINVAL, "backend: '%s' names device %lu twice", text, value);
        }
        if (devices->n == SE_DEVICES_MAX)
            return se_fail(-EINVAL, "backend: '%s' names more than %d devices", text,
                           SE_DEVICES_MAX);
        devices->of[devices->n++] = (uint16_t)value;
        number = end;
        if (!*number)
            return 0;
    }
}

int se_backend_read(const char *text, enum se_backend_kind *kind, struct se_devices *devices)
{
    *devices = (struct se_devices){ 0 };
    *kind = SE_BACKEND_AUTO;
    if (!text || strcmp(text, "auto") == 0)
        return 0;
    *kind = SE_BACKEND_CPU;
    if (strcmp(text, "cpu") == 0)
        return 0;
    *kind = SE_BACKEND_CUDA;
    if (strcmp(text, "cuda") == 0)
        return 0;
    if (strncmp(text, "cuda:", 5) == 0)
        return read_devices(text, text + 5, devices);
    return se_fail(-EINVAL, "backend: '%s' is none of auto, cpu, cuda, cuda:DEVICE[,DEVICE...]",
                   text);
}

/* Every rank needs a GPU of its own. */
const struct se_backend_ops *se_backend_of_ranks(const struct se_engine_options *options,
                                                 uint32_t here)
{
    if (options->devices.n > 0 && options->devices.n != here) {
        se_fail(-EINVAL,
                "backend: %u ranks on this machine, and %u devices are named; each rank "
                "needs one of its own",
                here, options->devices.n);
        return NULL;
    }
    if (options->ops)
        return options->ops;
    if (options->backend == SE_BACKEND_AUTO)
        return se_backend_cuda_devices() >= here ? &se_backend_cuda : &se_backend_cpu;
    return options->backend == SE_BACKEND_CUDA ? &se_backend_cuda : &se_backend_cpu;
}

static int open_ranks(const struct se_backend_ops **ops, struct se_backend **out,
                      const struct se_model *model, const struct se_engine_options *options)
{
    struct se_engine_options own = *options;
    const uint32_t machines = options->nodes ? options->nodes->machines : 1;
    own.ops = se_backend_of_ranks(options, machines > 1 ? options->tp / machines : options->tp);
    if (!own.ops)
        return -EINVAL;
    *ops = own.ops->walks ? &se_backend_ranks_that_walk : &se_backend_ranks;
    return (*ops)->open(out, model, &own);
}

int se_backend_open(const struct se_backend_ops **ops, struct se_backend **out,
                    const struct se_model *model, const struct se_engine_options *options)
{
    if (options->tp > 1 || options->devices.n > 1)
        return open_ranks(ops, out, model, options);
    if (options->ops) {
        *ops = options->ops;
        return options->ops->open(out, model, options);
    }
    *ops = &se_backend_cuda;
    if (options->backend != SE_BACKEND_CPU) {
        const int r = se_backend_cuda.open(out, model, options);
        if (r != -ENODEV || options->backend == SE_BACKEND_CUDA)
            return r;
    }
    *ops = &se_backend_cpu;
    return se_backend_cpu.open(out, model, options);
}
