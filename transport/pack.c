/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/pack.h"

#include <endian.h>
#include <string.h>

static uint64_t load64(const uint8_t *in)
{
    uint64_t word;
    memcpy(&word, in, sizeof word);
    return le64toh(word);
}

static void store64(uint8_t *out, uint64_t word)
{
    word = htole64(word);
    memcpy(out, &word, sizeof word);
}

uint64_t se_pack_get(const uint8_t *in, uint32_t len_b)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < len_b; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

void se_pack_put(uint8_t *out, uint64_t value, uint32_t len_b)
{
    for (uint32_t i = 0; i < len_b; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

uint32_t se_pack_bits(uint32_t vocab)
{
    return vocab <= 2 ? 1 : 32 - (uint32_t)__builtin_clz(vocab - 1);
}

size_t se_pack_size(uint32_t n, uint32_t bits) { return ((size_t)n * bits + 7) / 8; }

void se_pack_ids(const uint32_t *id, uint32_t n, uint32_t bits, uint8_t *out)
{
    uint64_t held = 0;   /* bits that are not written yet, */
    uint32_t n_held = 0; /* fewer than 64 of them */
    for (uint32_t i = 0; i < n; i++) {
        held |= (uint64_t)id[i] << n_held;
        n_held += bits;
        if (n_held >= 64) {
            store64(out, held);
            out += 8;
            n_held -= 64;
            /* What did not fit; bits - n_held of this id are already out, at least one. */
            held = (uint64_t)id[i] >> (bits - n_held);
        }
    }
    se_pack_put(out, held, (n_held + 7) / 8);
}

bool se_unpack_ids(const uint8_t *in, uint32_t n, uint32_t bits, uint32_t *id)
{
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    const size_t size_b = se_pack_size(n, bits);
    size_t bit = 0;
    uint32_t i = 0;
    /* As long as a whole word can be loaded; an id and its shift, 32 + 7 bits, lie in it. */
    for (; i < n && bit / 8 + 8 <= size_b; i++, bit += bits)
        id[i] = (uint32_t)(load64(in + bit / 8) >> (bit % 8) & mask);
    for (; i < n; i++, bit += bits) {
        size_t left_b = size_b - bit / 8;
        id[i] = (uint32_t)(se_pack_get(in + bit / 8, (uint32_t)left_b) >> (bit % 8) & mask);
    }
    return bit % 8 == 0 || in[size_b - 1] >> (bit % 8) == 0;
}
