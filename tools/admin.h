/* SPDX-License-Identifier: Apache-2.0 */
/* tools/admin.h - what a server shows of itself to who may look: counters and sessions, over a link.
 *
 *   question  | "SEAD" | version | 0 0 0 | from 4 |
 *   answer    | "SEAD" | version | 0 0 0 | from 4 | counters 4 | all 4 | clock 8 | a part |
 *
 * Numbers are little-endian. What is shown are the page of counters (runtime/base/stat.h) and behind
 * it the board of sessions (sched/server/board.h), so many bytes in all, as they lie in memory; who
 * has not got all asks for what follows. A row of the board comes whole. Who may look is not asked here: of "ipc:///PATH" the file's permissions say,
 * which are the owner's and the group's, over tcp a guard that lets admins in alone.
 *
 * One thread of its own answers; the server's does not notice. */
#ifndef SE_TOOLS_ADMIN_H
#define SE_TOOLS_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/stat.h"
#include "sched/server/board.h"
#include "tools/door.h"
#include "transport/link.h"

enum {
    SE_ADMIN_VERSION = 1,
    SE_ADMIN_QUESTION_B = 12,
    SE_ADMIN_HEAD_B = 28,
    SE_ADMIN_FRAME_B = 65536
};
extern const char se_admin_magic[4];

/* Whether this may be an admin endpoint: one URL, of ipc or tcp. -EINVAL with a text. */
int se_admin_check(const char *url);
/* "auto": in the folder that the service manager gives the service, "ipc:///run/NAME/PAGE.admin",
 * page: that of the counters; or none. NULL or "": none. Else the URL itself. The text may be the
 * buffer's. */
const char *se_admin_url(const char *url, const char *page, char *buffer, uint32_t size_b);

/* What questions and answers need of a link. */
struct se_link_options se_admin_link_options(struct se_frames *frames);

/* Writes the first bytes of a question or an answer; whether a frame begins so, and has so many. */
void se_admin_head(unsigned char *at, uint32_t from);
bool se_admin_is(const struct se_frame *frame, uint32_t least_b);

struct se_admin;

/* door: of this endpoint alone, or NULL. Nothing is answered before show. 0 or -errno. */
int se_admin_open(struct se_admin **out, const char *url, struct se_door *door);
const char *se_admin_where(const struct se_admin *admin);
/* What is shown from now on, until the next call or close; board may be NULL. Both NULL: nothing. */
void se_admin_show(struct se_admin *admin, const struct se_stat *stat,
                   const struct se_board *board);
bool se_admin_asks(const struct se_admin *admin); /* for keys */
/* Another list of who may come: it is the endpoint's from now on. */
void se_admin_set_ring(struct se_admin *admin, struct se_keyring *ring);
void se_admin_close(struct se_admin *admin); /* NULL is fine */

#endif
