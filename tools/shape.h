/* SPDX-License-Identifier: Apache-2.0 */
/* tools/shape.h - known model shapes by name, as the config.json they would have. */
#ifndef SE_TOOLS_SHAPE_H
#define SE_TOOLS_SHAPE_H

#include <jansson.h>

/* A new object, or NULL: the error text says which names there are. */
json_t *se_shape_config(const char *name);

/* "llama-150m|llama-1b|..." */
#define SE_SHAPE_NAMES \
    "tiny-llama|tiny-mistral|tiny-qwen2|tiny-qwen3|llama-150m|llama-1b|qwen3-0.6b|qwen3-1.7b|" \
    "qwen3-14b"

#endif
