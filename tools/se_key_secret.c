/* SPDX-License-Identifier: Apache-2.0 */
/* The secret file: made, and asked for the line that others may know. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/output.h"
#include "tools/se_key.h"
#include "transport/keyring.h"

enum { NAME_B = SE_KEYRING_NAME_B, LINE_B = 256 };

struct options {
    const char *name;
};

static bool is_in_names(char c) { return isalnum((unsigned char)c) || strchr("._-@", c) != NULL; }

static int check_name(const char *name)
{
    const size_t len = strlen(name);
    bool good = len > 0 && len < NAME_B;
    for (size_t i = 0; i < len && good; i++)
        good = isascii(name[i]) && is_in_names(name[i]);
    return good ? 0
                : se_usage("--name '%s': a name has 1 to %d of A-Z a-z 0-9 . _ - @", name,
                           NAME_B - 1);
}

/* As a name may be, of what the machine is called. */
static void name_of_machine(char name[NAME_B])
{
    char host[256] = "";
    size_t n = 0;
    gethostname(host, sizeof host - 1);
    for (const char *c = host; *c != 0 && n < NAME_B - 1; c++) {
        if (isascii(*c) && is_in_names(*c))
            name[n++] = *c;
    }
    name[n] = 0;
    if (n == 0)
        snprintf(name, NAME_B, "edge");
}

/* The name that se_key_save() left beside the key in the words of the file. Without one the
 * machine's. */
static void name_in_file(char name[NAME_B], const char *path, const char *text)
{
    char line[LINE_B], key[SE_KEY_TEXT_B], found[NAME_B];
    FILE *file = fopen(path, "re");
    name_of_machine(name);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "# %43s %31s", key, found) == 2 && strcmp(key, text) == 0 &&
            check_name(found) == 0)
            memcpy(name, found, NAME_B);
    }
    if (file != NULL)
        fclose(file);
}

static int print_line(const struct se_key *key, const char *name)
{
    char text[SE_KEY_TEXT_B];
    printf("%s %s\n", se_key_text(key, text), name);
    return se_output_flush();
}

static int run_new(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_key_pair pair;
    char name[NAME_B];
    int r = o->name != NULL ? check_name(o->name) : 0;
    if (r != 0)
        return r;
    if (o->name != NULL)
        snprintf(name, sizeof name, "%s", o->name);
    else
        name_of_machine(name);
    r = se_key_make(&pair);
    if (r == 0)
        r = se_key_save(&pair, argument[0], name);
    se_key_wipe(&pair);
    return r < 0 ? se_trace(r) : print_line(&pair.open, name);
}

static int run_show(const void *values, char **argument)
{
    const struct options *o = values;
    struct se_key_pair pair;
    char name[NAME_B], text[SE_KEY_TEXT_B];
    int r = o->name != NULL ? check_name(o->name) : 0;
    if (r != 0)
        return r;
    r = se_key_load(&pair, argument[0]);
    if (r < 0)
        return se_trace(r);
    se_key_wipe(&pair);
    name_in_file(name, argument[0], se_key_text(&pair.open, text));
    return print_line(&pair.open, o->name != NULL ? o->name : name);
}

static const struct se_conf_row rows[] = {
    { "name", 'n', SE_CONF_TEXT, offsetof(struct options, name), NULL, 0, 0, "NAME",
      "who it is, in a list of keys; without it the name in the file, or the machine's" },
};

static struct options chosen;

const struct se_verb se_verb_new = {
    .name = "new",
    .arguments = "FILE",
    .n_arguments = 1,
    .summary = "makes a key: its secret into FILE, its line for lists of keys to standard output",
    .more =
        "FILE must not be there, and nobody but its owner may read it. The line holds no secret:\n"
        "give it to the operator of the server, or, of a server's key, to the users of edges.",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run_new,
};

const struct se_verb se_verb_show = {
    .name = "show",
    .arguments = "FILE",
    .n_arguments = 1,
    .summary = "prints the line for lists of keys that belongs to the secret in FILE",
    .rows = rows,
    .n_rows = sizeof rows / sizeof rows[0],
    .values = &chosen,
    .run = run_show,
};
