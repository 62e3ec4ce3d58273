/* SPDX-License-Identifier: Apache-2.0 */
/* transport/faulty.h - a link that stands before another and breaks its promises, for tests.
 *
 * Frames of both directions are delayed, dropped, doubled, overtaken and cut off, as the seed
 * says; the same seed, clock and calls give the same faults. JOINED and GONE of the link
 * behind are passed on in their place. Without faults it is that link. */
#ifndef SE_TRANSPORT_FAULTY_H
#define SE_TRANSPORT_FAULTY_H

#include "transport/link.h"

struct se_faulty_options {
    uint64_t seed;
    uint64_t (*now_ns)(void *clock);
    void *clock;
    struct se_frames *frames;            /* where copies come from */
    uint64_t delay_min_ns, delay_max_ns; /* of each frame, in order all the same */
    double drop, twice, late;            /* shares of frames; late: others overtake it */
};

/* Takes inner on 0. */
int se_faulty_wrap(struct se_link **out, struct se_link *inner,
                   const struct se_faulty_options *options);

/* From now until then every frame is lost without a word, as if a cable were pulled. */
void se_faulty_cut(struct se_link *link, uint64_t until_ns);

/* When the next frame that is held is due; UINT64_MAX when none is. */
uint64_t se_faulty_next_ns(const struct se_link *link);

#endif
