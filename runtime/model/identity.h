/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/identity.h - which model this is, as a number to compare. */
#ifndef SE_RUNTIME_MODEL_IDENTITY_H
#define SE_RUNTIME_MODEL_IDENTITY_H

#include <stdint.h>

#include "runtime/model/model.h"

/* The same for the same shape, precision and weights, on any machine and in any run; never 0. It
 * looks at every matrix and norm, but only here and there: two models that were trained apart
 * differ, two that differ in a single number may not. */
uint64_t se_identity(const struct se_model *model);

/* Of its shape alone, as config.json says it: known before anything is loaded. */
uint64_t se_identity_shape(const struct se_config *config);

#endif
