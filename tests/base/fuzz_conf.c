/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration file: refused in one line that names the file, and nothing is
 * changed; or every setting lies within its limits. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/conf_file.h"
#include "runtime/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
    bool flag;
    uint64_t whole;
    double real;
    const char *text;
    int choice;
    struct se_conf_uints list;
    uint64_t size_b, wait_ns;
};

static const struct se_conf_row rows[] = {
    { "flag", 0, SE_CONF_FLAG, offsetof(struct settings, flag), NULL, 0, 0, NULL, "" },
    { "whole", 0, SE_CONF_UINT, offsetof(struct settings, whole), "3", 2, 100, "N", "" },
    { "real", 0, SE_CONF_REAL, offsetof(struct settings, real), "0.5", -1, 1, "X", "" },
    { "text", 0, SE_CONF_TEXT, offsetof(struct settings, text), "t", 0, 0, "TEXT", "" },
    { "choice", 0, SE_CONF_CHOICE, offsetof(struct settings, choice), "a", 0, 0, "a|b|c", "" },
    { "the-list", 0, SE_CONF_UINTS, offsetof(struct settings, list), "1,8", 1, 9, "LIST", "" },
    { "size", 0, SE_CONF_BYTES, offsetof(struct settings, size_b), "4K", 1, 0x1p40, "SIZE", "" },
    { "wait", 0, SE_CONF_TIME, offsetof(struct settings, wait_ns), "1ms", 0, 60e9, "TIME", "" },
};

static const struct se_conf_foreign table[] = {
    { "version" },
    { "client.host", "text", "local=ipc://local|*=tcp://*" },
    { "client.n", "whole", "-1=100|*", "a note" },
    { "client.proactive.type", "choice", "on=a|b|off=c" },
    { "client.sizes", "the-list" },
    { "node", .note = "another" },
};
enum { N_ROWS = sizeof rows / sizeof *rows, N_TABLE = sizeof table / sizeof *table };

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* Within its limits, and every text readable to its end. */
static bool is_sane(const struct settings *s)
{
    for (size_t i = 0; i < s->list.n && i < SE_CONF_UINTS_MAX; i++)
        if (s->list.value[i] < 1 || s->list.value[i] > 9)
            return false;
    return s->whole >= 2 && s->whole <= 100 && s->real >= -1 && s->real <= 1 && s->text &&
           strlen(s->text) <= 1 << 20 && s->choice >= 0 && s->choice < 3 &&
           s->list.n <= SE_CONF_UINTS_MAX && s->size_b >= 1 && s->size_b <= 1ull << 40 &&
           s->wait_ns <= 60000000000;
}

static void take_note(void *context, const char *file, int line, const char *key, const char *text)
{
    int *n_notes = context;
    if (strcmp(file, "fuzz.yaml") != 0 || line < 1 || !is_one_line(key) || !is_one_line(text))
        abort();
    ++*n_notes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int n_notes = 0;
    struct settings before, after;
    struct se_conf_files files = {
        .foreign = table, .n_foreign = N_TABLE, .note = take_note, .note_context = &n_notes
    };
    memset(&before, 0, sizeof before);
    if (se_conf_defaults(rows, N_ROWS, &before) != 0)
        abort();
    after = before;
    int r = se_conf_file_parse(&files, rows, N_ROWS, &after, "fuzz.yaml", data, size);
    if (r == 0 && !is_sane(&after))
        abort();
    if (r != 0 && (n_notes != 0 || memcmp(&before, &after, sizeof before) != 0 ||
                   !is_one_line(se_err_text()) || (r != -EINVAL && r != -ENOMEM)))
        abort();
    if (r == -EINVAL && strncmp(se_err_text(), "fuzz.yaml:", 10) != 0)
        abort();
    se_conf_files_fini(&files);
    return 0;
}
