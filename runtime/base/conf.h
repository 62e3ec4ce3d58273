/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/conf.h - settings as a table: one row feeds command line, --help and file.
 *
 * A row names a setting, its type, its default, its limits and its help; the value lands
 * in a struct of the caller's at the row's offset. Numbers are read whole or refused with
 * the text quoted. Order of rule: default, then files (conf_file.h, conf_load.h), then the
 * command line. In names '-' and '_' are the same. */
#ifndef SE_RUNTIME_BASE_CONF_H
#define SE_RUNTIME_BASE_CONF_H

#include <stddef.h>
#include <stdio.h>

enum se_conf_type {
    SE_CONF_FLAG,   /* bool, --name without a value; or true, false, yes, no, on, off */
    SE_CONF_UINT,   /* uint64_t, within [min, max] */
    SE_CONF_REAL,   /* double, within [min, max] */
    SE_CONF_TEXT,   /* const char *, points into argv (or a file's arena) */
    SE_CONF_CHOICE, /* int: index into choices, "a|b|c" */
    SE_CONF_UINTS,  /* struct se_conf_uints: a list "1,8,33", each within [min, max] */
    SE_CONF_BYTES,  /* uint64_t: "1024", "512M", "4GiB", binary units; limits in bytes */
    SE_CONF_TIME    /* uint64_t nanoseconds: "250us", "15ms", "2s", "1m"; limits in them too */
};

enum {
    SE_CONF_LIVE = 1 << 0,      /* may change while the program runs */
    SE_CONF_ARGS_ONLY = 1 << 1, /* has no meaning in a file: the command line alone sets it */
    SE_CONF_HIDDEN = 1 << 2     /* for tests: the same, and --help does not tell of it */
};

/* The row that names the configuration file, in a program that reads one. It is
 * SE_CONF_ARGS_ONLY without saying so. */
#define SE_CONF_FILE_ROW "config"

enum { SE_CONF_UINTS_MAX = 32 };
struct se_conf_uints {
    size_t n;
    unsigned long long value[SE_CONF_UINTS_MAX];
};

struct se_conf_row {
    const char *name; /* long name, without the dashes */
    char letter;      /* short name, or 0 */
    enum se_conf_type type;
    size_t offset;       /* of the value in the caller's struct */
    const char *initial; /* default, in the text form of the command line; NULL: zero */
    double min, max;
    const char *argument; /* what --help calls the value: "N", "DIR"; choices for a choice */
    const char *help;
    unsigned flags; /* of SE_CONF_LIVE and SE_CONF_ARGS_ONLY */
};

enum { SE_CONF_HELP = 1 }; /* --help was asked for: print it and leave with 0 */

/* Fills values with the defaults. */
int se_conf_defaults(const struct se_conf_row *rows, size_t n, void *values);

/* Reads argv[1..argc-1] into values; what is no option goes to rest[] in order (room for
 * argc pointers), *n_rest of them. "--" ends the options. "--name=value" and "--name value"
 * are the same. 0, SE_CONF_HELP, or -EINVAL with the text naming the option and its value. */
int se_conf_args(const struct se_conf_row *rows, size_t n, void *values, int argc, char **argv,
                 char **rest, int *n_rest);

/* One paragraph per row, with default and limits. */
void se_conf_help(const struct se_conf_row *rows, size_t n, FILE *to);

/* The configuration file in which every setting of a file stands, commented out, at its
 * default, under its help and its limits. title: the first line. */
void se_conf_yaml(const struct se_conf_row *rows, size_t n, FILE *to, const char *title);

/* The rows whose values differ between two structs and which are not SE_CONF_LIVE, into
 * changed[] (room for n), in their order; returns how many. */
size_t se_conf_frozen(const struct se_conf_row *rows, size_t n, const void *running,
                      const void *fresh, const struct se_conf_row **changed);

#endif
