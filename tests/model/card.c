/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/card.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/err.h"

static int open_or_skip(struct se_backend **out, const struct se_model *model,
                        const struct se_engine_options *options)
{
    const int r = se_backend_cuda.open(out, model, options);
    if (r == -ENODEV) {
        printf("skipped: %s\n", se_err_text());
        exit(77);
    }
    return r;
}

static void close_card(struct se_backend *backend) { se_backend_cuda.close(backend); }

static const char *text(const struct se_backend *backend) { return se_backend_cuda.text(backend); }

static size_t memory(const struct se_backend *backend) { return se_backend_cuda.memory(backend); }

static int forward(struct se_backend *backend, const struct se_batch *batch)
{
    return se_backend_cuda.forward(backend, batch);
}

static void move(struct se_backend *backend, const struct se_kv_move *moves, uint32_t n)
{
    se_backend_cuda.move(backend, moves, n);
}

const struct se_backend_ops card_ops = {
    .name = "cuda",
    .walks = true,
    .open = open_or_skip,
    .close = close_card,
    .text = text,
    .memory = memory,
    .forward = forward,
    .move = move,
};
