/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/proof_words.h"

#include <string.h>

#include "transport/proof.h"

/* The header is no message's (transport/wire.h), so neither is ever taken for the other. */
enum { HEADER_B = 4, VERSION = 1, LABEL_B = 24 };
enum { SIGNED_B = LABEL_B + 2 * SE_PROOF_NONCE_B + 2 * SE_KEY_B };
static const uint8_t magic[2] = { 'K', 'Y' };
static const char of_edge[LABEL_B] = "SpecEdge proof 1 edge",
                  of_server[LABEL_B] = "SpecEdge proof 1 server";

static const uint32_t length[] = {
    [SE_PROOF_CHALLENGE] = HEADER_B + SE_PROOF_NONCE_B,
    [SE_PROOF_PROOF] = SE_PROOF_FRAME_B,
    [SE_PROOF_ACCEPT] = HEADER_B + SE_KEY_SEAL_B,
    [SE_PROOF_REFUSE] = HEADER_B + 1,
};
_Static_assert((int)SE_PROOF_FRAME_B ==
                   HEADER_B + (int)SE_PROOF_NONCE_B + (int)SE_KEY_B + (int)SE_KEY_SEAL_B,
               "a PROOF");

enum se_proof_word se_proof_word_of(const struct se_frame *frame)
{
    if (frame->len_b < HEADER_B || memcmp(frame->data, magic, sizeof(magic)) != 0 ||
        frame->data[2] != VERSION)
        return SE_PROOF_NONE;
    const uint8_t word = frame->data[3];
    const bool good =
        word >= SE_PROOF_CHALLENGE && word <= SE_PROOF_REFUSE && frame->len_b == length[word];
    return good ? (enum se_proof_word)word : SE_PROOF_NONE;
}

/* Where what follows the header begins. */
static uint8_t *begin(struct se_frame *frame, enum se_proof_word word)
{
    memcpy(frame->data, magic, sizeof(magic));
    frame->data[2] = VERSION;
    frame->data[3] = (uint8_t)word;
    frame->len_b = length[word];
    return frame->data + HEADER_B;
}

static uint8_t *append(uint8_t *at, const void *from, size_t len)
{
    memcpy(at, from, len);
    return at + len;
}

/* The edge names the server that it means: what it says to one cannot be shown to another. */
static void what_the_edge_signs(uint8_t text[SIGNED_B], const struct se_proof_talk *talk)
{
    uint8_t *at = append(text, of_edge, LABEL_B);
    at = append(at, talk->server.b, SE_KEY_B);
    at = append(at, talk->server_nonce, SE_PROOF_NONCE_B);
    at = append(at, talk->edge_nonce, SE_PROOF_NONCE_B);
    append(at, talk->edge.b, SE_KEY_B);
}

static void what_the_server_signs(uint8_t text[SIGNED_B], const struct se_proof_talk *talk)
{
    uint8_t *at = append(text, of_server, LABEL_B);
    at = append(at, talk->edge.b, SE_KEY_B);
    at = append(at, talk->edge_nonce, SE_PROOF_NONCE_B);
    at = append(at, talk->server_nonce, SE_PROOF_NONCE_B);
    append(at, talk->server.b, SE_KEY_B);
}

int se_proof_challenge(struct se_frame *frame, struct se_proof_talk *talk)
{
    const int r = se_key_random(talk->server_nonce, SE_PROOF_NONCE_B);
    append(begin(frame, SE_PROOF_CHALLENGE), talk->server_nonce, SE_PROOF_NONCE_B);
    return r;
}

void se_proof_challenged(const struct se_frame *frame, struct se_proof_talk *talk)
{
    memcpy(talk->server_nonce, frame->data + HEADER_B, SE_PROOF_NONCE_B);
}

int se_proof_prove(struct se_frame *frame, struct se_proof_talk *talk,
                   const struct se_key_pair *edge)
{
    uint8_t text[SIGNED_B];
    int r = se_key_random(talk->edge_nonce, SE_PROOF_NONCE_B);
    if (r < 0)
        return r;
    talk->edge = edge->open;
    what_the_edge_signs(text, talk);
    uint8_t *at = begin(frame, SE_PROOF_PROOF);
    at = append(at, talk->edge_nonce, SE_PROOF_NONCE_B);
    at = append(at, talk->edge.b, SE_KEY_B);
    return se_key_sign(at, edge, text, sizeof(text));
}

bool se_proof_proved(const struct se_frame *frame, struct se_proof_talk *talk)
{
    uint8_t text[SIGNED_B];
    const uint8_t *at = frame->data + HEADER_B;
    memcpy(talk->edge_nonce, at, SE_PROOF_NONCE_B);
    memcpy(talk->edge.b, at + SE_PROOF_NONCE_B, SE_KEY_B);
    what_the_edge_signs(text, talk);
    return se_key_signed(at + SE_PROOF_NONCE_B + SE_KEY_B, &talk->edge, text, sizeof(text));
}

int se_proof_accept(struct se_frame *frame, const struct se_proof_talk *talk,
                    const struct se_key_pair *server)
{
    uint8_t text[SIGNED_B];
    what_the_server_signs(text, talk);
    return se_key_sign(begin(frame, SE_PROOF_ACCEPT), server, text, sizeof(text));
}

bool se_proof_accepted(const struct se_frame *frame, const struct se_proof_talk *talk)
{
    uint8_t text[SIGNED_B];
    what_the_server_signs(text, talk);
    return se_key_signed(frame->data + HEADER_B, &talk->server, text, sizeof(text));
}

void se_proof_refuse(struct se_frame *frame, enum se_guard_refusal why)
{
    *begin(frame, SE_PROOF_REFUSE) = (uint8_t)(why + 1);
}

enum se_guard_refusal se_proof_refused(const struct se_frame *frame)
{
    const unsigned why = frame->data[HEADER_B];
    return why >= 1 && why <= SE_GUARD_REFUSALS ? (enum se_guard_refusal)(why - 1)
                                                : SE_GUARD_REFUSALS;
}
