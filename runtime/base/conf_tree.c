/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/conf_tree.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/quote.h"

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one looked at; type YAML_NO_EVENT: none */
    struct se_arena *arena;
    const char *file;
    const unsigned char *data;
    size_t len_b;
    size_t n_nodes;
};

/* ---- what libyaml refuses ---- */

static const unsigned char *line_at(const struct reader *in, size_t line)
{
    const unsigned char *at = in->data, *end = in->data + in->len_b;
    while (line > 0 && at < end) {
        const unsigned char *feed = memchr(at, '\n', (size_t)(end - at));
        if (!feed)
            return end;
        at = feed + 1;
        line--;
    }
    return at;
}

static size_t line_of_offset(const struct reader *in, size_t offset)
{
    size_t line = 0;
    for (size_t i = 0; i < offset && i < in->len_b; i++)
        line += in->data[i] == '\n';
    return line;
}

/* A tab among the blanks that a line begins with: libyaml's own words do not name it. */
static bool tab_indents(const struct reader *in, size_t line)
{
    const unsigned char *end = in->data + in->len_b;
    for (const unsigned char *at = line_at(in, line); at < end; at++) {
        if (*at == '\t')
            return true;
        if (*at != ' ')
            return false;
    }
    return false;
}

static int refuse_syntax(const struct reader *in)
{
    const yaml_parser_t *p = &in->parser;
    const char *problem = p->problem ? p->problem : "it cannot be read";
    size_t line = p->problem_mark.line;
    if (p->error == YAML_MEMORY_ERROR)
        return se_fail(-ENOMEM, "%.300s: out of memory", in->file);
    if (p->error == YAML_READER_ERROR)
        return se_fail(-EINVAL, "%.300s:%zu: not YAML: %s", in->file,
                       line_of_offset(in, p->problem_offset) + 1, problem);
    if (tab_indents(in, line))
        return se_fail(-EINVAL, "%.300s:%zu: not YAML: a tab indents the line; use blanks",
                       in->file, line + 1);
    if (!p->context)
        return se_fail(-EINVAL, "%.300s:%zu: not YAML: %s", in->file, line + 1, problem);
    return se_fail(-EINVAL, "%.300s:%zu: not YAML: %s, %s from line %zu on", in->file, line + 1,
                   problem, p->context, p->context_mark.line + 1);
}

/* ---- events ---- */

static int next_event(struct reader *in)
{
    yaml_event_delete(&in->event); /* leaves YAML_NO_EVENT */
    if (!yaml_parser_parse(&in->parser, &in->event))
        return refuse_syntax(in);
    return 0;
}

static int line_of(const struct reader *in) { return (int)in->event.start_mark.line + 1; }

static int refuse(const struct reader *in, const char *why)
{
    return se_fail(-EINVAL, "%.300s:%d: %s", in->file, line_of(in), why);
}

/* Anchors, aliases and tags: what they say, a settings file says in words. */
static int check_plain(const struct reader *in)
{
    const yaml_event_t *e = &in->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor || e->type == YAML_ALIAS_EVENT)
        return refuse(in, "anchors and aliases (&x, *x) are not known here; write the value out, "
                          "in quotes if it begins so");
    if (tag)
        return refuse(in, "tags (!x) are not known here; write the value alone, in quotes if it "
                          "begins so");
    return 0;
}

/* The scalar looked at, copied. */
static int take_text(struct reader *in, const char **out)
{
    const char *text = (const char *)in->event.data.scalar.value;
    size_t len = in->event.data.scalar.length;
    if (memchr(text, 0, len))
        return refuse(in, "a text with a zero byte in it");
    *out = se_arena_text(in->arena, text, len);
    return *out ? 0 : se_trace(-ENOMEM);
}

static bool stands_for_nothing(const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || !strcmp(text, "~") || !strcasecmp(text, "null"));
}

/* ---- the tree ---- */

static int read_node(struct reader *in, int depth, struct se_conf_node **out);

static int read_list(struct reader *in, int depth, struct se_conf_node *list)
{
    struct se_conf_node **end = &list->inside;
    for (;;) {
        int r = next_event(in);
        if (r < 0)
            return r;
        if (in->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        r = read_node(in, depth + 1, end);
        if (r < 0)
            return r;
        end = &(*end)->next;
    }
}

static int read_section(struct reader *in, int depth, struct se_conf_node *section)
{
    struct se_conf_node **end = &section->inside;
    for (;;) {
        const char *key = NULL;
        int r = next_event(in);
        if (r < 0)
            return r;
        if (in->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        int key_line = line_of(in);
        r = check_plain(in);
        if (r == 0 && in->event.type != YAML_SCALAR_EVENT)
            r = refuse(in, "a key that is no text");
        if (r == 0)
            r = take_text(in, &key);
        if (r == 0)
            r = next_event(in);
        if (r == 0)
            r = read_node(in, depth + 1, end);
        if (r < 0)
            return r;
        (*end)->key = key;
        (*end)->key_line = key_line;
        end = &(*end)->next;
    }
}

/* The node that the event looked at begins, to its end. */
static int read_node(struct reader *in, int depth, struct se_conf_node **out)
{
    struct se_conf_node *node = NULL;
    int r = check_plain(in);
    if (r < 0)
        return r;
    if (in->n_nodes++ == SE_CONF_TREE_NODES_MAX)
        return se_fail(-EINVAL, "%.300s:%d: more than %d values", in->file, line_of(in),
                       SE_CONF_TREE_NODES_MAX);
    node = se_arena_take(in->arena, 1, sizeof *node);
    if (!node)
        return se_trace(-ENOMEM);
    *node = (struct se_conf_node){ .line = line_of(in) };
    *out = node;
    if (in->event.type == YAML_SCALAR_EVENT) {
        node->none = stands_for_nothing(&in->event);
        return take_text(in, &node->text);
    }
    if (depth > SE_CONF_TREE_DEPTH_MAX)
        return se_fail(-EINVAL, "%.300s:%d: sections and lists lie more than %d deep", in->file,
                       node->line, SE_CONF_TREE_DEPTH_MAX);
    bool is_list = in->event.type == YAML_SEQUENCE_START_EVENT;
    node->kind = is_list ? SE_CONF_LIST : SE_CONF_SECTION;
    return is_list ? read_list(in, depth, node) : read_section(in, depth, node);
}

/* One document, or none. */
static int read_document(struct reader *in, struct se_conf_node **root)
{
    int r = next_event(in); /* the stream's beginning */
    if (r == 0)
        r = next_event(in);
    if (r < 0 || in->event.type == YAML_STREAM_END_EVENT)
        return r;
    r = next_event(in);
    if (r == 0)
        r = read_node(in, 1, root);
    if (r == 0)
        r = next_event(in); /* the document's end */
    if (r == 0)
        r = next_event(in);
    if (r == 0 && in->event.type != YAML_STREAM_END_EVENT)
        r = refuse(in, "a second document begins; a file holds one");
    return r;
}

int se_conf_tree_read(struct se_conf_node **root, struct se_arena *arena, const char *file,
                      const void *data, size_t len_b)
{
    struct reader in = { .arena = arena, .file = file, .data = data, .len_b = len_b };
    struct se_conf_node *found = NULL;
    if (!yaml_parser_initialize(&in.parser))
        return se_fail(-ENOMEM, "%.300s: out of memory", file);
    yaml_parser_set_input_string(&in.parser, data, len_b);
    int r = read_document(&in, &found);
    if (r == 0 && found && found->kind != SE_CONF_SECTION && !found->none)
        r = se_fail(-EINVAL, "%.300s:%d: lines of the form 'key: value' are wanted", file,
                    found->line);
    if (r == 0)
        *root = found && found->kind == SE_CONF_SECTION ? found : NULL;
    yaml_event_delete(&in.event);
    yaml_parser_delete(&in.parser);
    return r < 0 ? se_trace(r) : 0;
}
