/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/pretoken.h"

#include <string.h>

#include "runtime/base/err.h"
#include "runtime/text/unicode.h"
#include "runtime/text/utf8.h"

struct run {
    const struct se_pretoken *pretoken;
    struct se_pretoken_work *work;
    se_pretoken_fn *fn;
    void *context;
};

static int run_step(struct run *run, unsigned number, const char *text, size_t len_b, bool first);

void se_pretoken_fini(struct se_pretoken *pretoken)
{
    for (unsigned i = 0; i < pretoken->n; i++)
        se_pattern_free(pretoken->step[i].pattern);
    *pretoken = (struct se_pretoken){ .n = 0 };
}

void se_pretoken_work_fini(struct se_pretoken_work *work)
{
    se_match_free(work->match);
    for (unsigned i = 0; i < SE_PRETOKEN_STEPS_MAX; i++) {
        se_buf_fini(&work->text[i]);
        se_buf_fini(&work->shadow[i]);
    }
    *work = (struct se_pretoken_work){ .match = NULL };
}

/* A text being split. Parts come in order and cover it: matches of the pattern and what
 * lies between. One piece is held until it is known to be complete. */
struct split {
    struct run *run;
    unsigned number; /* of the step */
    const char *text;
    bool first;     /* the text is */
    bool held;      /* [start, end) is a piece to come */
    bool was_match; /* the part before this one */
    size_t start, end;
};

static int flush(struct split *s)
{
    if (!s->held || s->start == s->end)
        return 0;
    s->held = false;
    return run_step(s->run, s->number + 1, s->text + s->start, s->end - s->start,
                    s->first && s->start == 0);
}

static int begin(struct split *s, size_t start, size_t end)
{
    int r = flush(s);
    s->held = true;
    s->start = start;
    s->end = end;
    return r;
}

/* One part. Joining only ever widens the held piece, as its parts are neighbours. */
static int part(struct split *s, size_t start, size_t end, bool match)
{
    const struct se_pretoken_step *step = &s->run->pretoken->step[s->number];
    bool is = match != step->invert, join = false;
    if (start == end)
        return 0;
    switch (step->keep) {
    case SE_PRETOKEN_ISOLATED:
        break;
    case SE_PRETOKEN_REMOVED:
        if (is)
            return 0;
        break;
    case SE_PRETOKEN_WITH_PREVIOUS:
        join = is && !s->was_match && s->held;
        break;
    case SE_PRETOKEN_WITH_NEXT:
        join = !is && s->was_match && s->held;
        break;
    case SE_PRETOKEN_CONTIGUOUS:
        join = is == s->was_match && s->held;
        break;
    }
    s->was_match = is;
    if (!join)
        return begin(s, start, end);
    s->end = end;
    return 0;
}

/* The text to match in: with stand-ins where the engine needs them. */
static int shadow(struct se_buf *to, const char *text, size_t len_b, const char **matched)
{
    *matched = text;
    if (se_unicode_same(text, len_b) == len_b)
        return 0;
    to->n = 0;
    int r = se_buf_add(to, text, len_b);
    if (r < 0)
        return r;
    se_unicode_stand_in(to->data, len_b);
    *matched = to->data;
    return 0;
}

static int split(struct run *run, unsigned number, const char *text, size_t len_b, bool first)
{
    const struct se_pattern *pattern = run->pretoken->step[number].pattern;
    struct split s = { .run = run, .number = number, .text = text, .first = first };
    struct se_pretoken_work *work = run->work;
    const char *matched;
    size_t at = 0, start, end;
    int r = shadow(&work->shadow[number], text, len_b, &matched);
    if (r == 0 && !work->match)
        r = se_match_new(&work->match);
    while (r == 0 && at < len_b &&
           se_match_next(work->match, pattern, matched, len_b, at, &start, &end, &r)) {
        r = part(&s, at, start, false);
        if (r == 0)
            r = part(&s, start, end, true);
        at = end;
    }
    if (r == 0)
        r = part(&s, at, len_b, false);
    return r == 0 ? flush(&s) : r;
}

/* A space in front, unless there is one. */
static int space(struct run *run, unsigned number, const char *text, size_t len_b, bool first)
{
    struct se_buf *buf = &run->work->text[number];
    if (text[0] == ' ')
        return run_step(run, number + 1, text, len_b, first);
    buf->n = 0;
    int r = se_buf_add(buf, " ", 1);
    if (r == 0)
        r = se_buf_add(buf, text, len_b);
    return r < 0 ? r : run_step(run, number + 1, buf->data, buf->n, first);
}

/* Spaces become the replacement, one of which may be put in front. */
static int metaspace(struct run *run, unsigned number, const char *text, size_t len_b, bool first)
{
    const struct se_pretoken_step *step = &run->pretoken->step[number];
    size_t mark_b = strlen(step->replacement);
    struct se_buf *buf = &run->work->text[number];
    bool has = text[0] == ' ' || (len_b >= mark_b && memcmp(text, step->replacement, mark_b) == 0);
    bool wanted =
        step->scheme == SE_PRETOKEN_ALWAYS || (step->scheme == SE_PRETOKEN_FIRST && first);
    int r = 0;
    buf->n = 0;
    if (wanted && !has)
        r = se_buf_add(buf, step->replacement, mark_b);
    for (size_t at = 0; r == 0 && at < len_b;) {
        const char *gap = memchr(text + at, ' ', len_b - at);
        size_t n = gap ? (size_t)(gap - text) - at : len_b - at;
        r = se_buf_add(buf, text + at, n);
        if (r == 0 && gap)
            r = se_buf_add(buf, step->replacement, mark_b);
        at += n + (gap ? 1 : 0);
    }
    if (r < 0)
        return r;
    if (step->pattern)
        return split(run, number, buf->data, buf->n, first);
    return run_step(run, number + 1, buf->data, buf->n, first);
}

static int run_step(struct run *run, unsigned number, const char *text, size_t len_b, bool first)
{
    if (number == run->pretoken->n)
        return run->fn(run->context, text, len_b);
    switch (run->pretoken->step[number].kind) {
    case SE_PRETOKEN_SPLIT:
        return split(run, number, text, len_b, first);
    case SE_PRETOKEN_SPACE:
        return space(run, number, text, len_b, first);
    case SE_PRETOKEN_METASPACE:
        return metaspace(run, number, text, len_b, first);
    }
    return 0;
}

int se_pretoken_run(const struct se_pretoken *pretoken, struct se_pretoken_work *work,
                    const char *text, size_t len_b, bool first, se_pretoken_fn *fn, void *context)
{
    struct run run = { pretoken, work, fn, context };
    return len_b == 0 ? 0 : run_step(&run, 0, text, len_b, first);
}
