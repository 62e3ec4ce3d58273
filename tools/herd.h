/* SPDX-License-Identifier: Apache-2.0 */
/* tools/herd.h - flocks, each on a connection of its own, that one thread drives at a pace. */
#ifndef SE_TOOLS_HERD_H
#define SE_TOOLS_HERD_H

#include "runtime/base/hist.h"
#include "tools/flock.h"
#include "tools/lookout.h"

struct se_herd {
    struct se_flock *flock;
    struct se_lookout lookout;
    uint32_t n; /* flocks that are open */
    uint32_t sessions;
    struct se_hist *us; /* where round trips go, or NULL */
};

struct se_herd_options {
    const char *url; /* of a kind that can be slept on: not loop */
    const struct se_flock_tree *tree;
    uint32_t flocks, sessions; /* sessions of all flocks: the last flock has what is left */
    uint32_t context, text;    /* ids of each one's text before its first round */
    uint64_t nonce;
};

/* Connects all, a few at a time, and every session has its first round answered. The caller's to
 * close, after this failed too. 0 or -errno. */
int se_herd_open(struct se_herd *herd, const struct se_herd_options *options);
void se_herd_close(struct se_herd *herd);

/* For so long every session asks once per every_ns, or as soon as it is answered, if that is
 * later. Round trips in microseconds go to hist, which may be NULL. 0 or -errno. */
int se_herd_run(struct se_herd *herd, uint64_t every_ns, uint64_t ns, struct se_hist *hist);

#endif
