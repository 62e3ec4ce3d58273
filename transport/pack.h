/* SPDX-License-Identifier: Apache-2.0 */
/* transport/pack.h - token ids as a string of bits, each as wide as the vocabulary needs.
 *
 * Bit k of the string is bit k % 8 of byte k / 8; an id's lowest bit comes first. The bits of
 * the last byte that no id uses are zero, so that one list has one string. Pure; any thread. */
#ifndef SE_TRANSPORT_PACK_H
#define SE_TRANSPORT_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SE_PACK_BITS_MAX = 32 };

/* Bits that tell the ids [0, vocab) apart: 18 for 151,936. At least 1. */
uint32_t se_pack_bits(uint32_t vocab);

/* Bytes of n ids. */
size_t se_pack_size(uint32_t n, uint32_t bits);

/* Writes se_pack_size() bytes. 1 <= bits <= 32; every id is below 2^bits. */
void se_pack_ids(const uint32_t *id, uint32_t n, uint32_t bits, uint8_t *out);

/* Reads se_pack_size() bytes, no more. False: an unused bit is set; id[] holds anything. */
bool se_unpack_ids(const uint8_t *in, uint32_t n, uint32_t bits, uint32_t *id);

/* Numbers of len_b <= 8 bytes, lowest byte first. */
uint64_t se_pack_get(const uint8_t *in, uint32_t len_b);
void se_pack_put(uint8_t *out, uint64_t value, uint32_t len_b);

#endif
