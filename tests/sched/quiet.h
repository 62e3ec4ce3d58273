/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sched/quiet.h - counts what a thread should not do for a while: ask for memory or give it
 * back, take a lock, call the system.
 *
 *   quiet_watch() once per thread, then   quiet_begin() ── nothing of the kind ── quiet_end()
 *
 * Memory and locks are counted by functions of the same names, which this program's come before
 * the library's; system calls by Linux itself, which turns each into a signal (Syscall User
 * Dispatch). Of these the first ends the watch until the next begin. */
#ifndef SE_TESTS_SCHED_QUIET_H
#define SE_TESTS_SCHED_QUIET_H

#include <stdbool.h>
#include <stdint.h>

enum quiet_kind { QUIET_MEMORY, QUIET_LOCK, QUIET_SYSTEM, QUIET_KINDS };

struct quiet_count {
    uint64_t spans;          /* begun */
    uint64_t n[QUIET_KINDS]; /* what happened in them */
};

/* NULL: this program and this machine can count. Else why not. */
const char *quiet_cannot(void);

/* Of this thread, from now on; *count is the caller's, and outlives the thread. False: it cannot. */
bool quiet_watch(struct quiet_count *count);
void quiet_begin(void); /* again while it is begun: as if not called */
void quiet_end(void);

/* Says what happened first, and from where it was called: to be looked up with addr2line. */
void quiet_tell(void);

#endif
