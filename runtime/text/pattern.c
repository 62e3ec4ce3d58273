/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <pcre2.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/text/utf8.h"

/* An automatically possessified or otherwise well-behaved pattern needs a few steps per
 * byte; the limit ends what would run for minutes. */
enum { PATTERN_MAX_B = 16 * 1024, DEPTH_MAX = 32, MATCH_LIMIT = 100 * 1000 * 1000 };

struct se_pattern {
    pcre2_code *code;
    char *text;
    size_t len_b;
    char quoted[SE_UTF8_QUOTE_B]; /* for errors */
};

struct se_match {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

/* A walk over a pattern, to see that nothing in it means different things to the engines. */
struct walk {
    const char *text;
    size_t at, len_b;
    const char *odd; /* what is not supported, when something is not */
    unsigned depth;
    unsigned caseless; /* depth of the outermost (?i: group, or 0 */
};

static char peek(const struct walk *w) { return w->at < w->len_b ? w->text[w->at] : '\0'; }

static bool looking_at(const struct walk *w, const char *what)
{
    size_t n = strlen(what);
    return w->len_b - w->at >= n && memcmp(w->text + w->at, what, n) == 0;
}

static bool odd(struct walk *w, const char *what)
{
    w->odd = what;
    return false;
}

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* After \p or \P: {L}, {Lu} and the like. */
static bool walk_property(struct walk *w)
{
    static const char categories[] = " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf "
                                     "Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co ";
    char name[8] = " ";
    size_t n = 1;
    if (peek(w) != '{')
        return odd(w, "\\p without braces");
    for (w->at++; letter(peek(w)) && n < 4; w->at++)
        name[n++] = peek(w);
    name[n] = ' ';
    if (peek(w) != '}' || n < 2 || !strstr(categories, name))
        return odd(w, "\\p of something else than a general category");
    w->at++;
    return true;
}

/* After a backslash. */
static bool walk_escape(struct walk *w)
{
    char c = peek(w);
    w->at++;
    if (c == 'p' || c == 'P')
        return w->caseless ? odd(w, "\\p in a caseless group") : walk_property(w);
    if (c != '\0' && strchr("sSdDrntf", c))
        return true;
    if (c > ' ' && c < 0x7f && !letter(c) && !digit(c))
        return true; /* punctuation stands for itself */
    return odd(w, "an escape other than \\s \\S \\d \\D \\p \\P \\r \\n \\t \\f or of punctuation");
}

/* After an opening bracket. */
static bool walk_class(struct walk *w)
{
    if (peek(w) == '^')
        w->at++;
    if (peek(w) == ']')
        return odd(w, "a class that begins with ]");
    while (w->at < w->len_b && peek(w) != ']') {
        char c = peek(w);
        w->at++;
        if (c == '[' || (c == '&' && peek(w) == '&'))
            return odd(w, "a class within a class");
        if (c == '\0' || (w->caseless && (unsigned char)c >= 0x80))
            return odd(w, "a caseless class of other letters than a-z");
        if (c == '\\' && !walk_escape(w))
            return false;
    }
    if (w->at == w->len_b)
        return odd(w, "a class without an end");
    w->at++;
    return true;
}

/* A brace: {n} {n,} {n,m}, and no + or ? after it, which the engines read differently. */
static bool walk_braces(struct walk *w)
{
    size_t digits = 0;
    for (w->at++; digit(peek(w)); w->at++)
        digits++;
    if (peek(w) == ',')
        for (w->at++; digit(peek(w)); w->at++)
            ;
    if (peek(w) != '}' || digits == 0 || digits > 4)
        return odd(w, "a brace that is no {n}, {n,} or {n,m}");
    w->at++;
    if (peek(w) == '+' || peek(w) == '?' || peek(w) == '*')
        return odd(w, "a quantifier on {n,m}");
    return true;
}

/* After an item that may be repeated. */
static bool walk_quantifier(struct walk *w)
{
    char c = peek(w);
    if (c == '{')
        return walk_braces(w);
    if (c != '*' && c != '+' && c != '?')
        return true;
    w->at++;
    if (peek(w) == '+' || peek(w) == '?')
        w->at++;
    c = peek(w);
    return c == '*' || c == '+' || c == '?' || c == '{' ? odd(w, "a quantifier on another") : true;
}

/* After an opening parenthesis. */
static bool walk_group(struct walk *w)
{
    static const char *const kinds[] = { "?:", "?=", "?!", "?<=", "?<!", "?>", "?i:" };
    if (++w->depth > DEPTH_MAX)
        return odd(w, "more than 32 groups within each other");
    if (peek(w) != '?')
        return true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!looking_at(w, kinds[i]))
            continue;
        w->at += strlen(kinds[i]);
        if (strcmp(kinds[i], "?i:") == 0 && !w->caseless)
            w->caseless = w->depth;
        return true;
    }
    return odd(w, "a group other than (?: (?= (?! (?<= (?<! (?> (?i:");
}

/* Oniguruma takes U+FB00 for "ff" where case does not count, PCRE2 does not; the letters of
 * such a pair are common, so the pair is what is refused. */
static bool folds_to_one(char a, char b)
{
    a |= 0x20;
    b |= 0x20;
    return (a == 's' && (b == 's' || b == 't')) || (a == 'f' && (b == 'f' || b == 'i' || b == 'l'));
}

static bool walk_literal(struct walk *w)
{
    unsigned char c = (unsigned char)peek(w);
    if (c == '\0' || c == '^' || c == '$' || c == '{' || c == '}' || c == ']')
        return odd(w, "one of ^ $ { } ] outside of a class");
    if (w->caseless && c >= 0x80)
        return odd(w, "caseless letters other than a-z");
    if (w->caseless && w->at + 1 < w->len_b && folds_to_one((char)c, w->text[w->at + 1]))
        return odd(w, "caseless letters that have a ligature");
    w->at++;
    while (w->at < w->len_b && ((unsigned char)w->text[w->at] & 0xc0) == 0x80)
        w->at++;
    return true;
}

static bool walk_item(struct walk *w)
{
    char c = peek(w);
    switch (c) {
    case '|':
        w->at++;
        return true;
    case '(':
        w->at++;
        return walk_group(w);
    case '*':
    case '+':
    case '?':
        return odd(w, "a quantifier of nothing");
    case ')':
        w->at++;
        if (w->depth == 0)
            return odd(w, "a parenthesis too many");
        if (w->caseless == w->depth)
            w->caseless = 0;
        w->depth--;
        return walk_quantifier(w);
    case '[':
        w->at++;
        return walk_class(w) && walk_quantifier(w);
    case '\\':
        w->at++;
        return walk_escape(w) && walk_quantifier(w);
    default:
        return walk_literal(w) && walk_quantifier(w);
    }
}

static int walk_whole(const char *name, const char *text, size_t len_b)
{
    struct walk w = { .text = text, .len_b = len_b };
    while (w.at < w.len_b)
        if (!walk_item(&w))
            return se_fail(-ENOTSUP, "%s: pattern %s: %s is not supported", name,
                           se_utf8_quote((char[SE_UTF8_QUOTE_B]){ 0 }, text, len_b), w.odd);
    return 0;
}

static int compile(struct se_pattern *pattern, const char *name, uint32_t options)
{
    int error, r = 0;
    size_t at;
    uint32_t empty = 0;
    PCRE2_UCHAR8 message[160];
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return se_fail(-ENOMEM, "out of memory");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF); /* however the library was built */
    pattern->code =
        pcre2_compile((PCRE2_SPTR8)pattern->text, pattern->len_b, options, &error, &at, context);
    if (!pattern->code) {
        pcre2_get_error_message(error, message, sizeof message);
        r = se_fail(-EINVAL, "%s: pattern %s: %s", name, pattern->quoted, message);
        goto out;
    }
    pcre2_pattern_info(pattern->code, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty) {
        r = se_fail(-ENOTSUP, "%s: pattern %s: one that may match nothing is not supported", name,
                    pattern->quoted);
        goto out;
    }
    (void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE); /* else it is interpreted */
out:
    pcre2_compile_context_free(context);
    return r;
}

static int new_pattern(struct se_pattern **out, const char *name, const char *text, size_t len_b,
                       uint32_t options)
{
    if (len_b == 0 || len_b > PATTERN_MAX_B)
        return se_fail(-ENOTSUP, "%s: a pattern of %zu bytes is not supported (1 to %d are)", name,
                       len_b, PATTERN_MAX_B);
    struct se_pattern *pattern = se_mem_zero(1, sizeof *pattern);
    int r = -ENOMEM;
    if (!pattern)
        goto out;
    pattern->text = se_mem_new(len_b + 1, 1);
    pattern->len_b = len_b;
    if (!pattern->text)
        goto out;
    memcpy(pattern->text, text, len_b);
    pattern->text[len_b] = '\0';
    se_utf8_quote(pattern->quoted, text, len_b);
    r = compile(pattern, name, options | PCRE2_UTF);
    if (r < 0)
        goto out;
    *out = pattern;
    pattern = NULL;
out:
    se_pattern_free(pattern);
    return r;
}

int se_pattern_new(struct se_pattern **out, const char *name, const char *text, size_t len_b)
{
    int r = walk_whole(name, text, len_b);
    return r < 0 ? r : new_pattern(out, name, text, len_b, PCRE2_UCP);
}

int se_pattern_new_literal(struct se_pattern **out, const char *name, const char *text,
                           size_t len_b)
{
    return new_pattern(out, name, text, len_b, PCRE2_LITERAL);
}

void se_pattern_free(struct se_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_code_free(pattern->code);
    se_mem_free(pattern->text);
    se_mem_free(pattern);
}

const char *se_pattern_text(const struct se_pattern *pattern, size_t *len_b)
{
    *len_b = pattern->len_b;
    return pattern->text;
}

int se_match_new(struct se_match **out)
{
    struct se_match *match = se_mem_zero(1, sizeof *match);
    if (!match)
        return -ENOMEM;
    match->data = pcre2_match_data_create(1, NULL); /* only the whole match is wanted */
    match->context = pcre2_match_context_create(NULL);
    if (!match->data || !match->context) {
        se_match_free(match);
        return se_fail(-ENOMEM, "out of memory");
    }
    pcre2_set_match_limit(match->context, MATCH_LIMIT);
    *out = match;
    return 0;
}

void se_match_free(struct se_match *match)
{
    if (!match)
        return;
    pcre2_match_data_free(match->data);
    pcre2_match_context_free(match->context);
    se_mem_free(match);
}

bool se_match_next(struct se_match *match, const struct se_pattern *pattern, const char *text,
                   size_t len_b, size_t from, size_t *start, size_t *end, int *r)
{
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int n = pcre2_match(pattern->code, (PCRE2_SPTR8)text, len_b, from, options, match->data,
                        match->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter keeps its state on the heap */
        n = pcre2_match(pattern->code, (PCRE2_SPTR8)text, len_b, from, options | PCRE2_NO_JIT,
                        match->data, match->context);
    *r = 0;
    if (n == PCRE2_ERROR_NOMATCH)
        return false;
    if (n < 0) {
        PCRE2_UCHAR8 message[160];
        pcre2_get_error_message(n, message, sizeof message);
        *r = se_fail(-E2BIG, "pattern %s gave up on a text of %zu bytes: %s", pattern->quoted,
                     len_b, message);
        return false;
    }
    const size_t *place = pcre2_get_ovector_pointer(match->data);
    *start = place[0];
    *end = place[1];
    return true;
}
