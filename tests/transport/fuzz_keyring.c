/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a list of keys: refused with a line, or a ring that finds each of its keys. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "transport/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct se_keyring *ring = NULL;
    if (se_keyring_parse(&ring, (const char *)data, size, "list") < 0) {
        if (strlen(se_err_text()) == 0)
            abort();
        return 0;
    }
    for (uint32_t i = 0; i < se_keyring_n(ring); i++) {
        const struct se_keyring_entry *e = se_keyring_at(ring, i);
        if (se_keyring_find(ring, &e->key) != e || se_keyring_find_curve(ring, &e->curve) != e ||
            strlen(e->name) == 0)
            abort();
    }
    se_keyring_free(ring);
    return 0;
}
