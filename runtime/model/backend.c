/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"

static int read_device(const char *text, const char *number, uint32_t *device)
{
    char *end = NULL;
    const unsigned long value = strtoul(number, &end, 10);
    if (*number < '0' || *number > '9' || value > 1023 || (*end && *end != ','))
        return se_fail(-EINVAL, "backend: '%s' names no device, as cuda:0 does", text);
    if (*end == ',')
        return se_fail(-ENOTSUP, "backend: '%s': more than one device is not known here yet", text);
    *device = (uint32_t)value;
    return 0;
}

int se_backend_read(const char *text, enum se_backend_kind *kind, uint32_t *device)
{
    *device = 0;
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
        return read_device(text, text + 5, device);
    return se_fail(-EINVAL, "backend: '%s' is none of auto, cpu, cuda, cuda:DEVICE", text);
}

static int open_ranks(const struct se_backend_ops **ops, struct se_backend **out,
                      const struct se_model *model, const struct se_engine_options *options)
{
    if ((options->ops && options->ops != &se_backend_cpu) || options->backend == SE_BACKEND_CUDA)
        return se_fail(-ENOTSUP, "tp %u: only the processor's backend knows ranks so far",
                       options->tp);
    *ops = &se_backend_ranks;
    return se_backend_ranks.open(out, model, options);
}

int se_backend_open(const struct se_backend_ops **ops, struct se_backend **out,
                    const struct se_model *model, const struct se_engine_options *options)
{
    if (options->tp > 1)
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
