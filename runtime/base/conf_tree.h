/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/conf_tree.h - a configuration file as sections, lists and values with lines.
 *
 * The part of YAML that settings need: one document of keys and values. Anchors, aliases,
 * tags and further documents are refused, and so is what is deep or large beyond reason. */
#ifndef SE_RUNTIME_BASE_CONF_TREE_H
#define SE_RUNTIME_BASE_CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct se_arena;

enum { SE_CONF_TREE_DEPTH_MAX = 8, SE_CONF_TREE_NODES_MAX = 10000 };

enum se_conf_kind { SE_CONF_VALUE, SE_CONF_LIST, SE_CONF_SECTION };

struct se_conf_node {
    enum se_conf_kind kind;
    int line;        /* where it begins; the first one is 1 */
    const char *key; /* in a section; no zero byte within */
    int key_line;
    const char *text;            /* of a value; no zero byte within */
    bool none;                   /* a value that is not there, or ~, or null */
    struct se_conf_node *inside; /* of a list or section: the first in it */
    struct se_conf_node *next;   /* beside it, in the same list or section */
};

/* Reads data into *root, which lives in the arena: a section, or NULL when there is nothing but
 * comments. file is its name in errors. 0, -EINVAL or -ENOMEM. */
int se_conf_tree_read(struct se_conf_node **root, struct se_arena *arena, const char *file,
                      const void *data, size_t len_b);

#endif
