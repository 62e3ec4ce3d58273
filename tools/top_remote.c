/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/top_remote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "tools/admin.h"
#include "transport/pack.h"

enum { FRAMES = 4, TROUBLE_B = 512, ALL_MAX_B = 4 << 20 };

struct se_top_remote {
    struct se_frames *frames;
    struct se_link *link;
    bool joined;
    char trouble[TROUBLE_B];
    /* What has come of this look. */
    unsigned char *all;
    size_t cap, have, whole, stat_b; /* whole 0: nothing has come yet */
    uint64_t now_ns;
};

int se_top_remote_open(struct se_top_remote **out, const char *url, struct se_guard *guard)
{
    struct se_top_remote *remote = se_mem_zero(1, sizeof *remote);
    if (!remote)
        return se_trace(-ENOMEM);
    int r = se_frames_new(&remote->frames, FRAMES, SE_ADMIN_FRAME_B);
    if (r == 0) {
        struct se_link_options options = se_admin_link_options(remote->frames);
        options.guard = guard;
        r = se_link_connect(&remote->link, url, &options);
    }
    if (r < 0) {
        se_top_remote_close(remote);
        return se_trace(r);
    }
    *out = remote;
    return 0;
}

void se_top_remote_close(struct se_top_remote *remote)
{
    if (!remote)
        return;
    se_link_fini(remote->link);
    se_frames_free(remote->frames);
    se_mem_free(remote->all);
    se_mem_free(remote);
}

/* ---- a look */

static void ask(struct se_top_remote *remote)
{
    struct se_frame *frame = remote->joined ? se_frame_get(remote->frames) : NULL;
    if (!frame)
        return;
    se_admin_head(frame->data, (uint32_t)remote->have);
    frame->len_b = SE_ADMIN_QUESTION_B;
    if (se_link_send(remote->link, SE_LINK_SERVER, frame) != 0)
        se_frame_put(frame);
}

/* The part that was asked for; one that another look has asked for is dropped. */
static void take_part(struct se_top_remote *remote, const struct se_frame *frame)
{
    if (!se_admin_is(frame, SE_ADMIN_HEAD_B) || se_pack_get(frame->data + 8, 4) != remote->have)
        return;
    const size_t n = frame->len_b - SE_ADMIN_HEAD_B;
    if (remote->have == 0) {
        remote->stat_b = se_pack_get(frame->data + 12, 4);
        remote->whole = se_pack_get(frame->data + 16, 4);
        remote->now_ns = se_pack_get(frame->data + 20, 8);
    }
    if (n == 0 || remote->whole > ALL_MAX_B || remote->stat_b > remote->whole ||
        n > ALL_MAX_B - remote->have ||
        se_mem_grow(&remote->all, &remote->cap, remote->have + n, 1) < 0) {
        remote->whole = remote->have = 0; /* a board that has become smaller, say */
        ask(remote);
        return;
    }
    memcpy(remote->all + remote->have, frame->data + SE_ADMIN_HEAD_B, n);
    remote->have += n;
    if (remote->have < remote->whole)
        ask(remote);
}

/* False: nothing came. */
static bool turn(struct se_top_remote *remote)
{
    struct se_frame *frame = NULL;
    se_link_peer peer;
    const int r = se_link_recv(remote->link, &peer, &frame);
    if (r == SE_LINK_JOINED) {
        remote->joined = true;
        ask(remote);
    } else if (r == SE_LINK_GONE) {
        remote->joined = false;
        remote->have = remote->whole = 0;
    } else if (r == 0) {
        take_part(remote, frame);
        se_frame_put(frame);
    }
    return r == 0 || r == SE_LINK_JOINED || r == SE_LINK_GONE;
}

static bool open_pages(struct se_top_remote *remote, struct se_stat **stat, struct se_board **board)
{
    const char *url = se_link_url(remote->link);
    const size_t board_b = remote->whole - remote->stat_b;
    *board = NULL;
    int r = se_stat_open_image(stat, remote->all, remote->stat_b, url);
    if (r == 0 && board_b > 0)
        r = se_board_open_image(board, remote->all + remote->stat_b, board_b, url, *stat);
    if (r == 0)
        return true;
    snprintf(remote->trouble, sizeof remote->trouble, "%s", se_err_text());
    se_stat_free(*stat);
    return false;
}

bool se_top_remote_take(struct se_top_remote *remote, uint64_t ns, struct se_stat **stat,
                        struct se_board **board, uint64_t *now_ns)
{
    const uint64_t end_ns = se_clock_ns() + ns;
    uint64_t at_ns;
    remote->have = remote->whole = 0;
    remote->trouble[0] = '\0';
    *stat = NULL;
    ask(remote);
    while (remote->whole == 0 || remote->have < remote->whole) {
        while (turn(remote))
            continue;
        at_ns = se_clock_ns();
        if (remote->whole != 0 && remote->have >= remote->whole)
            break;
        if (at_ns >= end_ns)
            return false;
        se_link_wait(remote->link, end_ns - at_ns);
    }
    *now_ns = remote->now_ns;
    return open_pages(remote, stat, board);
}

const char *se_top_remote_trouble(struct se_top_remote *remote)
{
    const char *trouble = remote->joined ? NULL : se_link_trouble(remote->link);
    if (trouble)
        snprintf(remote->trouble, sizeof remote->trouble, "%s", trouble);
    return remote->trouble;
}
