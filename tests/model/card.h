/* SPDX-License-Identifier: Apache-2.0 */
/* tests/model/card.h - the CUDA backend by way of its module; a program that opens an engine with
 * it on a machine without a GPU ends with 77 and the reason. */
#ifndef SE_TESTS_MODEL_CARD_H
#define SE_TESTS_MODEL_CARD_H

#include "runtime/model/backend.h"

extern const struct se_backend_ops card_ops;

#endif
