/* SPDX-License-Identifier: Apache-2.0 */
/* What an edge does next. An answer is made of rounds, in one of two ways:
 *
 *   trees   draft ─► send ─► draft on ─► answer ─► ...      the server computes when it is asked
 *   plain   ask once ─► push ─► push ─► push ...            the server writes on by itself
 *
 * With speculation on auto the edge begins plainly, grows trees for itself meanwhile, and changes
 * over when they would bring more tokens per second, as they turned out against what was pushed;
 * it goes back when they turn out to bring less. */
#include "sched/edge/edge.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "sched/edge/draft.h"
#include "sched/edge/plan.h"
#include "sched/edge/talk.h"

enum {
    AHEAD_MOST = 65535,
    PARENTS_JUDGED = 4, /* tokens whose successors were looked at, before trees begin */
    PUSHES_SEEN = 3,    /* while a tree is grown beside them; then it is judged as it is */
    LOOKS_FREE = 2      /* trees that are grown beside the pushes without counting the time */
};
static const float BETTER = 1.1f;       /* trees begin when they promise so much more */
static const float LOSS_SHARE = 0.008f; /* of an answer, that trees may cost before they end, */
static const float FIRST_SHARE = 0.01f; /* and more the first time: a round may just be unlucky */
static const float BANK = 2;            /* bare roots that what trees have won may pay for */
static const float LOOKS_SHARE = 0.02f; /* of the time, afterwards, for trees beside pushes, */
static const float TOKENS_FREE = 1.5f;  /* and the time of so many tokens */

enum mode { PLAIN, TREES };
enum phase { IDLE, FOLLOWING, GROWING, WAITING };

struct se_edge {
    struct se_edge_options o;
    struct se_talk talk;
    struct se_draft draft;
    struct se_plan plan;
    struct se_talk_result result;

    /* The answer that is asked for. */
    bool asking, stopped, full;
    uint32_t *answer;
    uint8_t *from;
    uint32_t n, max_new;
    size_t answer_cap, from_cap;
    uint32_t *stop;
    uint32_t n_stops;
    size_t stop_cap;
    uint64_t asked_ns;

    uint64_t planned_for; /* the session whose costs the plan has */
    enum mode mode;
    enum phase phase;
    float doubt;          /* how much better trees must promise to be: grows when they were not */
    uint32_t pushes_seen; /* while a tree was grown beside them */
    uint64_t looked_ns;   /* time spent on trees beside pushes */
    uint32_t looks, looked_at; /* how many, and the length of the text at the last */
    float gain;        /* tokens that trees brought more than pushes would have, within limits */
    uint32_t judge_at; /* tokens looked at, when the next tree is grown beside pushes */

    /* The round under way. */
    uint16_t order[SE_TREE_MAX];
    int32_t parent[SE_TREE_MAX];
    uint32_t id[SE_TREE_MAX];
    uint32_t depth, levels;
    uint32_t hit_levels; /* levels of the last bet, when it came true */
    bool was_hit;
    uint64_t begun_ns; /* drafting for it began */
    uint64_t draft_ns, ahead_ns;
    uint64_t last_ns;  /* the last answer */
    uint64_t heard_ns; /* the same, or the ask: to the moment, for a timeline */
};

struct se_edge_options se_edge_options(void)
{
    struct se_grow_config grow = SE_GROW_CONFIG;
    grow.max_budget = 64;
    grow.max_beam_len = 16;
    return (struct se_edge_options){ .sampling = SE_SAMPLING_GREEDY,
                                     .speculate = SE_WIRE_SPECULATE_AUTO,
                                     .shape = SE_EDGE_SHAPE_LEARNED,
                                     .grow = grow,
                                     .ahead = SE_GROW_CONFIG_BET,
                                     .proactive = SE_PROACTIVE_EXCLUDED,
                                     .sharpen = 2,
                                     .retry_ns = UINT64_C(2000000000),
                                     .give_up_ns = UINT64_C(30000000000),
                                     .busy = SE_EDGE_BUSY_WAIT };
}

static uint64_t now_of(const struct se_edge *e) { return se_clock_read(&e->o.clock); }

int se_edge_new(struct se_edge **out, const struct se_edge_options *options)
{
    int r = se_sampling_check(&options->sampling);
    if (r == 0)
        r = se_grow_config_check(&options->grow);
    if (r == 0)
        r = se_grow_config_check(&options->ahead);
    if (r < 0)
        return se_trace(r);
    if (options->drafter && options->drafter->max_rows < 16)
        return se_fail(-EINVAL, "a drafter with steps of %u rows: 16 is the least",
                       options->drafter->max_rows);
    struct se_edge *e = se_mem_zero(1, sizeof *e);
    if (!e)
        return se_trace(-ENOMEM);
    e->o = *options;
    e->doubt = BETTER;
    se_talk_init(&e->talk, &e->o);
    se_draft_init(&e->draft, options->drafter, options->shape == SE_EDGE_SHAPE_LEARNED);
    se_plan_init(&e->plan);
    if (options->drafter) {
        options->drafter->sampling = options->sampling;
        options->drafter->sharpen = options->sharpen;
    }
    *out = e;
    return 0;
}

void se_edge_free(struct se_edge *e)
{
    if (!e)
        return;
    se_talk_bye(&e->talk);
    se_talk_fini(&e->talk);
    se_draft_fini(&e->draft);
    se_mem_free(e->answer);
    se_mem_free(e->from);
    se_mem_free(e->stop);
    se_mem_free(e);
}

/* ---- what is asked */

int se_edge_ask(struct se_edge *e, const struct se_edge_ask *ask)
{
    uint32_t context = e->o.context ? e->o.context : UINT32_MAX;
    /* If another server takes its place, that one's counts, as it turns out. */
    if (e->talk.state == SE_TALK_OPEN && e->talk.welcome.context < context)
        context = e->talk.welcome.context;
    if (e->asking)
        return se_fail(-EBUSY, "an answer is under way");
    if (ask->n < 1 || ask->max_new < 1)
        return se_fail(-EINVAL, "nothing to go on from, or nothing to write");
    if (ask->n > context)
        return se_fail(-ERANGE, "a text of %u ids is longer than the context of %u", ask->n,
                       context);
    for (uint32_t i = 0; i < ask->n; i++)
        if (ask->id[i] >= e->o.tokens)
            return se_fail(-EINVAL, "id %u is not below the tokenizer's %u", ask->id[i],
                           e->o.tokens);
    int r = se_mem_grow(&e->stop, &e->stop_cap, ask->n_stops, sizeof *e->stop);
    if (r < 0)
        return se_trace(r);
    uint32_t same = 0;
    while (same < ask->n && same < e->talk.n && e->talk.text[same] == ask->id[same])
        same++;
    e->last_ns = e->asked_ns = e->heard_ns = now_of(e);
    r = se_talk_set(&e->talk, ask->id, ask->n, e->asked_ns);
    if (r < 0)
        return se_trace(r);
    se_draft_cut(&e->draft, same < ask->n - 1 ? same : ask->n - 1);
    if (ask->n_stops > 0)
        memcpy(e->stop, ask->stop, ask->n_stops * sizeof *ask->stop);
    e->n_stops = ask->n_stops;
    e->max_new = ask->max_new;
    e->n = 0;
    e->asking = true;
    e->stopped = e->full = false;
    e->phase = IDLE;
    e->was_hit = false;
    e->hit_levels = e->levels = 0;
    e->looks = e->looked_at = 0;
    e->looked_ns = 0;
    return 0;
}

uint32_t se_edge_answer(const struct se_edge *e, const uint32_t **id, const uint8_t **from)
{
    if (id)
        *id = e->answer;
    if (from)
        *from = e->from;
    return e->n;
}

bool se_edge_stopped(const struct se_edge *e) { return e->stopped; }

bool se_edge_context_full(const struct se_edge *e) { return e->full; }

const struct se_wire_welcome *se_edge_welcome(const struct se_edge *e)
{
    return e->talk.welcomed ? &e->talk.welcome : NULL;
}

static int end_with(struct se_edge *e, int outcome)
{
    e->asking = false;
    e->phase = IDLE;
    se_talk_quiet(&e->talk);
    return outcome;
}

void se_edge_stop(struct se_edge *e)
{
    if (e->asking)
        e->max_new = e->n; /* that is all */
}

static uint32_t context_of(const struct se_edge *e)
{
    uint32_t context = e->talk.welcome.context;
    return e->o.context && e->o.context < context ? e->o.context : context;
}

/* Tokens that may still come: a token at the last place of the context has a successor. */
static uint32_t tokens_left(const struct se_edge *e)
{
    uint32_t room = context_of(e) + 1 - e->talk.n, left = e->max_new - e->n;
    return room < left ? room : left;
}

/* ---- the way to write */

static bool can_draft(const struct se_edge *e)
{
    return e->o.drafter && e->o.speculate != SE_WIRE_SPECULATE_OFF &&
           se_draft_can(&e->draft, e->talk.text, e->talk.n);
}

/* Tokens per ns that the tree as it is would bring, and how many of its nodes to send. */
static uint32_t promise(struct se_edge *e, uint64_t drafted_ns, float *rate)
{
    uint32_t n;
    const float *likely = se_draft_likely(&e->draft, &n);
    return se_plan_budget(&e->plan, likely, n, drafted_ns, rate);
}

static uint32_t deepest(const struct se_tree *tree)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < tree->n; i++)
        depth = tree->depth[i] > depth ? tree->depth[i] : depth;
    return depth;
}

/* Time of drafting that a bet would save on the average, were the tree sent. */
static float saved_by_bets(const struct se_edge *e)
{
    if (e->o.proactive == SE_PROACTIVE_DISABLED)
        return 0;
    float won = se_draft_surest(&e->draft) * (e->plan.gain < 1 ? e->plan.gain : 1);
    float most = (float)e->o.ahead.max_beam_len * e->plan.level_ns;
    float time = e->plan.trip_ns + se_plan_step_ns(&e->plan, 1) - e->plan.level_ns;
    time = time < most ? time : most;
    return time > 0 ? won * time : 0;
}

/* Whether to leave pushes for trees, having grown one. */
static bool trees_pay(struct se_edge *e)
{
    float rate, plain = se_plan_plain_rate(&e->plan);
    uint64_t whole_ns = (uint64_t)((float)deepest(&e->draft.tree) * e->plan.level_ns);
    /* Pushes may have left something of an older tree, and the draft may have had to catch up with
     * them; neither will be so the next time. What a bet has drafted meanwhile will be there. */
    uint64_t saved_ns = (uint64_t)saved_by_bets(e);
    promise(e, whole_ns > saved_ns ? whole_ns - saved_ns : 0, &rate);
    if (e->draft.worth.seen < PARENTS_JUDGED)
        return false;
    /* Changing over costs a trip, during which nothing comes. */
    float left = (float)tokens_left(e);
    return left / rate * e->doubt + e->plan.trip_ns < left / plain;
}

/* Tokens that pushes would have brought by the end of a round that brings one. */
static float price_of(const struct se_edge *e, float drafted_ns)
{
    float ns = drafted_ns + e->plan.trip_ns + e->plan.queue_ns + se_plan_step_ns(&e->plan, 1);
    float price = ns * se_plan_plain_rate(&e->plan) - 1;
    return price > 0 ? price : 0;
}

static void begin_trees(struct se_edge *e, uint64_t drafted_ns)
{
    float price = price_of(e, (float)drafted_ns), most = FIRST_SHARE * (float)e->max_new;
    e->mode = TREES;
    e->gain = e->doubt > BETTER ? 0 : price < most ? price : most;
    e->plan.tree_rate = 0;
}

static void give_up_trees(struct se_edge *e)
{
    e->mode = PLAIN;
    e->doubt *= 1.5f;
    e->looks = 0;
    e->judge_at = e->draft.worth.seen + PARENTS_JUDGED;
}

static void choose_mode(struct se_edge *e)
{
    bool can = can_draft(e);
    if (!can)
        e->mode = PLAIN;
    else if (e->o.speculate == SE_WIRE_SPECULATE_ON)
        e->mode = TREES;
    else if (e->mode == TREES && e->gain < -LOSS_SHARE * (float)e->max_new)
        give_up_trees(e);
}

/* ---- rounds */

static void open_plain(struct se_edge *e)
{
    uint32_t ahead = tokens_left(e) - 1;
    int32_t parent = -1;
    e->depth = 0;
    e->order[0] = 0;
    e->draft_ns = now_of(e) - e->last_ns;
    se_talk_verify(&e->talk, &parent, &e->talk.text[e->talk.n - 1], 1,
                   (uint16_t)(ahead < AHEAD_MOST ? ahead : AHEAD_MOST), 0);
    e->phase = IDLE;
}

static int open_tree(struct se_edge *e)
{
    uint32_t n;
    int r = se_draft_send(&e->draft, e->parent, e->id, e->order, &n, &e->depth);
    if (r < 0)
        return se_trace(r);
    e->draft_ns = now_of(e) - e->last_ns;
    e->ahead_ns = 0;
    se_talk_verify(&e->talk, e->parent, e->id, n, 0, e->was_hit ? SE_WIRE_VERIFY_BET : 0);
    e->phase = WAITING;
    return 0;
}

static struct se_grow_config limits(const struct se_edge *e, const struct se_grow_config *config)
{
    struct se_grow_config own = *config;
    /* As deep as there is context, and as there are tokens to come beside the target's own. */
    uint32_t room = context_of(e) - e->talk.n, left = tokens_left(e) - 1;
    uint32_t nodes = e->talk.welcome.max_nodes - 1u;
    own.max_depth = room < left ? room : left;
    own.max_budget = own.max_budget < nodes ? own.max_budget : nodes;
    return own;
}

static int begin_growth(struct se_edge *e)
{
    struct se_grow_config config = limits(e, &e->o.grow);
    config.max_beam_len =
        se_grow_levels(e->o.proactive, config.max_beam_len, e->was_hit, e->hit_levels);
    if (config.max_budget == 0 || config.max_depth == 0) { /* the root is all that can be asked */
        config.max_beam_len = 0;
        config.max_budget = 1;
    }
    e->draft.limit = e->talk.welcome.vocab;
    e->levels = 0;
    e->phase = GROWING;
    return se_trace(se_draft_begin(&e->draft, &config));
}

/* Whether what was grown is enough. */
static bool is_enough(struct se_edge *e, uint64_t now_ns)
{
    uint32_t n;
    if (e->o.depth == SE_EDGE_DEPTH_FIXED || e->draft.grow.n_frontier == 0)
        return e->draft.grow.n_frontier == 0;
    if (e->o.depth == SE_EDGE_DEPTH_MATCHED)
        return e->levels >= se_plan_matched(&e->plan);
    const float *likely = se_draft_likely(&e->draft, &n);
    return !se_plan_deeper(&e->plan, likely, n, now_ns - e->begun_ns, se_draft_frontier(&e->draft));
}

/* A tree that was grown beside pushes is judged: whether to leave them for it. */
static bool look(struct se_edge *e, uint64_t now_ns)
{
    uint64_t drafted_ns = now_ns - e->begun_ns;
    e->looked_ns += drafted_ns;
    e->looks++;
    e->draft.grew = true;
    return trees_pay(e);
}

static int send(struct se_edge *e, uint64_t now_ns)
{
    float rate;
    uint32_t budget = promise(e, now_ns - e->begun_ns, &rate);
    if (e->o.depth != SE_EDGE_DEPTH_LEARNED)
        budget = UINT32_MAX;
    if (budget == 0 && e->o.speculate == SE_WIRE_SPECULATE_AUTO) { /* not worth asking for */
        e->draft.grew = true;
        e->phase = IDLE;
        give_up_trees(e);
        return 0;
    }
    int r = se_draft_finish(&e->draft, budget);
    return r < 0 ? se_trace(r) : open_tree(e);
}

static void tell_span(const struct se_edge *e, enum se_edge_work work, uint64_t begun_ns)
{
    if (!e->o.watch.span)
        return;
    const struct se_edge_span span = {
        .work = work, .nodes = e->draft.tree.n, .begun_ns = begun_ns, .ended_ns = now_of(e)
    };
    e->o.watch.span(e->o.watch.context, &span);
}

/* One level, or the end of the growth. Trees that are grown beside pushes end here as well. */
static int grow(struct se_edge *e, uint64_t now_ns)
{
    if (!is_enough(e, now_ns)) {
        int r = se_draft_level(&e->draft, e->talk.text, e->talk.n);
        if (r < 0)
            return se_trace(r);
        uint64_t took = now_of(e) - now_ns;
        e->levels++;
        se_plan_note_level(&e->plan, took);
        se_plan_note_gain(&e->plan, e->draft.hung, e->draft.added);
        tell_span(e, SE_EDGE_LEVEL, now_ns);
        return 0;
    }
    if (e->mode == PLAIN) {
        if (!look(e, now_ns)) {
            e->phase = IDLE;
            return 0;
        }
        begin_trees(e, now_ns - e->begun_ns);
    }
    return send(e, now_ns);
}

static int follow(struct se_edge *e, uint64_t now_ns)
{
    int r = se_draft_follow(&e->draft, e->talk.text, e->talk.n);
    if (r >= 0)
        tell_span(e, SE_EDGE_FEED, now_ns);
    if (r == 0)
        return begin_growth(e);
    return r < 0 ? se_trace(r) : 0;
}

/* While the server looks at a tree: on below the bet, a level at a time. */
static int draft_ahead(struct se_edge *e, uint64_t now_ns)
{
    if (e->o.proactive == SE_PROACTIVE_DISABLED || (e->draft.betting && e->draft.grew))
        return SE_EDGE_WAIT;
    struct se_grow_config config = limits(e, &e->o.ahead);
    if (config.max_depth == 0 || config.max_budget == 0)
        return SE_EDGE_WAIT;
    int r = se_draft_ahead(&e->draft, &config, e->talk.text, e->talk.n);
    if (r < 0)
        return se_trace(r);
    e->ahead_ns += now_of(e) - now_ns;
    tell_span(e, SE_EDGE_AHEAD, now_ns);
    if (!e->draft.betting) /* nothing to bet on */
        e->draft.betting = e->draft.grew = true;
    return 0;
}

/* Beside pushes a tree is grown now and then, to see what it would have brought. */
static bool may_look(const struct se_edge *e, uint64_t now_ns)
{
    if (e->o.speculate != SE_WIRE_SPECULATE_AUTO || !can_draft(e) || !e->talk.welcomed)
        return false;
    bool there = e->draft.rooted && e->draft.tree.n > 1;
    if (e->looked_at == e->talk.n || (there && e->draft.worth.seen < e->judge_at))
        return false; /* there is one, and pushes go along it */
    float passed = (float)(now_ns - e->asked_ns);
    return e->looks < LOOKS_FREE ||
           (float)e->looked_ns < LOOKS_SHARE * passed + TOKENS_FREE / se_plan_plain_rate(&e->plan);
}

static int next_in_plain(struct se_edge *e, uint64_t now_ns)
{
    if (!se_talk_waits(&e->talk)) {
        open_plain(e);
        return 0;
    }
    if (e->phase == FOLLOWING)
        return follow(e, now_ns);
    if (e->phase == GROWING)
        return grow(e, now_ns);
    if (!may_look(e, now_ns))
        return SE_EDGE_WAIT;
    e->begun_ns = now_ns;
    e->looked_at = e->talk.n;
    e->pushes_seen = 0;
    e->judge_at = e->draft.worth.seen + PARENTS_JUDGED;
    e->phase = FOLLOWING;
    return 0;
}

static int next_in_trees(struct se_edge *e, uint64_t now_ns)
{
    switch (e->phase) {
    case IDLE:
        e->begun_ns = now_ns;
        e->phase = FOLLOWING;
        return 0;
    case FOLLOWING:
        return e->talk.welcomed ? follow(e, now_ns) : SE_EDGE_WAIT;
    case GROWING:
        return grow(e, now_ns);
    case WAITING:
        return draft_ahead(e, now_ns);
    }
    return SE_EDGE_WAIT;
}

/* ---- answers */

static bool is_stop(const struct se_edge *e, uint32_t id)
{
    for (uint32_t i = 0; i < e->n_stops; i++)
        if (e->stop[i] == id)
            return true;
    return false;
}

/* What became text, up to the end of the answer; returns how many tokens. */
static int take_tokens(struct se_edge *e, uint32_t n_before, uint32_t *taken)
{
    uint32_t n = e->talk.n - n_before;
    *taken = 0;
    if (se_mem_grow(&e->answer, &e->answer_cap, (size_t)e->n + n, sizeof *e->answer) < 0 ||
        se_mem_grow(&e->from, &e->from_cap, (size_t)e->n + n, sizeof *e->from) < 0)
        return se_trace(-ENOMEM);
    for (uint32_t i = 0; i < n && e->n < e->max_new && !e->stopped; i++) {
        uint32_t id = e->talk.text[n_before + i];
        e->answer[e->n] = id;
        e->from[e->n++] = i + 1 < n ? SE_EDGE_DRAFTED : SE_EDGE_ADDED;
        e->stopped = is_stop(e, id);
        ++*taken;
    }
    e->full = !e->stopped && e->n < e->max_new && e->talk.n > context_of(e);
    return 0;
}

/* ahead: levels of the bet, which the draft no longer knows when it was lost. */
static void tell_round(struct se_edge *e, uint32_t tokens, uint32_t ahead, bool hit,
                       uint64_t now_ns)
{
    const struct se_talk_result *result = &e->result;
    uint64_t server_ns = ((uint64_t)result->wire.queue_us + result->wire.step_us) * 1000;
    struct se_edge_round round = {
        .round = result->wire.round,
        .base = result->wire.base,
        .kind = result->pushed      ? SE_EDGE_PUSHED
                : result->nodes > 1 ? SE_EDGE_TREE
                                    : SE_EDGE_PLAIN,
        .at_ns = now_ns - e->asked_ns,
        .nodes = result->nodes - 1,
        .depth = result->pushed ? 0 : e->depth,
        .levels = result->pushed ? 0 : e->levels,
        .ahead_levels = result->pushed ? 0 : ahead,
        .draft_ns = result->pushed ? 0 : e->draft_ns,
        .ahead_ns = result->pushed ? 0 : e->ahead_ns,
        .hit = hit,
        .was_hit = !result->pushed && e->was_hit,
        .wait_ns = result->wait_ns,
        .trip_ns = result->wait_ns > server_ns ? result->wait_ns - server_ns : 0,
        .queue_us = result->wire.queue_us,
        .step_us = result->wire.step_us,
        .load = result->wire.load,
        .tokens = tokens,
        .up_b = result->up_b,
        .down_b = result->down_b,
        .sent = result->times,
        .session = e->talk.session,
        .begun_ns = e->heard_ns,
        .sent_ns = result->sent_ns,
        .heard_ns = result->heard_ns,
        .accepted = result->wire.accepted - 1u,
    };
    e->heard_ns = result->heard_ns;
    if (e->o.watch.round)
        e->o.watch.round(e->o.watch.context, &round);
}

static void note_times(struct se_edge *e, uint32_t tokens, uint64_t now_ns)
{
    const struct se_talk_result *result = &e->result;
    uint64_t server_ns = ((uint64_t)result->wire.queue_us + result->wire.step_us) * 1000;
    bool clean = !result->pushed && result->times == 1 && result->wait_ns > server_ns;
    se_plan_note_answer(&e->plan, &result->wire, result->nodes,
                        clean ? result->wait_ns - server_ns : 0, e->n == tokens);
    if (result->pushed)
        se_plan_note_push(&e->plan, result->wait_ns);
    else if (e->mode == TREES) {
        se_plan_note_round(&e->plan, tokens, now_ns - e->last_ns);
        float bank = BANK * price_of(e, (float)e->draft_ns);
        e->gain += (float)tokens - (float)(now_ns - e->last_ns) * se_plan_plain_rate(&e->plan);
        if (e->gain >= bank) { /* what was won beyond that is not to be lost again */
            e->gain = bank;
            e->doubt = BETTER;
        }
    }
}

/* The draft goes along: with a tree that was sent, by the path; beside pushes, by the token. */
static int draft_along(struct se_edge *e, uint32_t n_before, bool *hit)
{
    const struct se_talk_result *result = &e->result;
    uint32_t path[SE_TREE_MAX], n = result->wire.accepted;
    bool ours = e->draft.sent > 0 && !result->pushed;
    *hit = false;
    if (!e->o.drafter || !e->draft.rooted)
        return 0;
    /* Of a tree that was cut before it was sent, the bet may hang on what is gone. */
    if (ours ? result->nodes != e->draft.sent
             : e->draft.tree.token[0] != e->talk.text[n_before - 1] || n != 1) {
        e->draft.rooted = false;
        return 0;
    }
    for (uint32_t i = 0; i < n; i++)
        path[i] = ours ? e->order[result->path[i]] : 0;
    if (!ours && e->draft.tree.row[0] == SE_TREE_CANDIDATE) {
        e->draft.rooted = false; /* it has seen nothing of this text yet */
        return 0;
    }
    int r = se_draft_answer(&e->draft, path, n, result->wire.bonus, hit);
    if (r == 0 && e->o.check)
        r = se_drafter_check(e->o.drafter);
    return se_trace(r);
}

static int on_result(struct se_edge *e, uint64_t now_ns)
{
    uint32_t tokens, n_before = e->talk.n - e->result.wire.accepted;
    bool hit = false;
    int r = take_tokens(e, n_before, &tokens);
    uint32_t ahead = se_draft_ahead_levels(&e->draft);
    /* A draft slower than pushes would never see the end of a tree: that is it, then. */
    bool growing = e->mode == PLAIN && (e->phase == GROWING || e->phase == FOLLOWING);
    bool pays = growing && e->pushes_seen++ == PUSHES_SEEN && look(e, now_ns);
    if (r == 0)
        r = draft_along(e, n_before, &hit);
    if (r < 0)
        return se_trace(r);
    if (e->mode == PLAIN)
        hit = false;
    tell_round(e, tokens, ahead, hit, now_ns);
    note_times(e, tokens, now_ns);
    e->last_ns = now_ns;
    e->was_hit = hit;
    e->hit_levels = hit ? ahead : 0;
    if (e->stopped || e->n >= e->max_new || e->full)
        return end_with(e, SE_EDGE_DONE);
    enum mode was = e->mode;
    choose_mode(e);
    if (was == TREES || e->mode != was || (growing && e->pushes_seen > PUSHES_SEEN))
        e->phase = IDLE;
    else if (growing) /* a token that the draft does not know ends it as well */
        e->phase = can_draft(e) ? FOLLOWING : IDLE;
    if (!pays || e->mode != PLAIN || !e->draft.rooted || e->draft.tree.n == 1)
        return 0;
    begin_trees(e, now_ns - e->begun_ns);
    r = begin_growth(e);
    return r < 0 ? se_trace(r) : send(e, now_ns);
}

/* ---- duty */

static int on_talk(struct se_edge *e, int r, uint64_t now_ns)
{
    if (r == SE_TALK_RESULT)
        return e->asking ? on_result(e, now_ns) : 0;
    if (r == 0 || r == SE_TALK_NOTHING)
        return r;
    return e->asking ? end_with(e, r) : 0;
}

/* The server's, or another one's that took its place. */
static void take_costs(struct se_edge *e)
{
    const struct se_wire_welcome *welcome = &e->talk.welcome;
    bool other = e->planned_for != e->talk.session && welcome->cost_us[0] > 0;
    if (e->plan.cost_ns[0] == 0 || other)
        se_plan_welcome(&e->plan, welcome, e->talk.trip_ns);
    e->planned_for = e->talk.session;
}

int se_edge_work(struct se_edge *e)
{
    uint64_t now_ns = now_of(e);
    bool welcomed = e->talk.welcomed && e->talk.state == SE_TALK_OPEN;
    int r = on_talk(e, se_talk_work(&e->talk, now_ns, &e->result), now_ns);
    if (r != SE_TALK_NOTHING)
        return r < 0 ? se_trace(r) : r;
    if (!e->asking)
        return SE_EDGE_WAIT;
    if (e->n >= e->max_new)
        return end_with(e, SE_EDGE_DONE);
    if (!welcomed)
        return SE_EDGE_WAIT;
    /* Of a prompt, or of the text so far when the server came back with less. */
    if (e->talk.n > context_of(e))
        return end_with(e, se_fail(-ERANGE, "a text of %u ids is longer than the context of %u",
                                   e->talk.n, context_of(e)));
    if (e->phase == IDLE && !se_talk_waits(&e->talk)) {
        take_costs(e);
        choose_mode(e);
    }
    return e->mode == TREES ? next_in_trees(e, now_ns) : next_in_plain(e, now_ns);
}

uint64_t se_edge_next_ns(const struct se_edge *e) { return se_talk_next_ns(&e->talk); }
