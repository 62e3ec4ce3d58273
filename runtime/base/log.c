/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/journal.h"

enum { LINE_B = 2048, PROGRAM_B = 64, NUMBER_B = 16 };

static const struct {
    const char *word;
    int journal; /* the level of syslog(3) */
} levels[] = {
    [SE_LOG_ERROR] = { "error", 3 },
    [SE_LOG_WARN] = { "warn", 4 },
    [SE_LOG_INFO] = { "info", 6 },
    [SE_LOG_DEBUG] = { "debug", 7 },
};
enum { N_LEVELS = sizeof levels / sizeof *levels };

/* Set by se_log_init() before there are other threads, and afterwards only to the same again. */
static char program[PROGRAM_B];
static bool for_journal;
static int journal = -1; /* fields can be sent to it */
/* relaxed throughout: a line more or less while the level changes harms nobody. */
static _Atomic int level_in_force = SE_LOG_INFO;

void se_log_init(const char *name) { se_log_init_at(name, SE_JOURNAL_SOCKET); }

void se_log_init_at(const char *name, const char *socket)
{
    const char *word = getenv("SE_LOG");
    snprintf(program, sizeof program, "%s", name);
    for_journal = se_journal_is(STDERR_FILENO);
    if (for_journal && journal < 0)
        journal = se_journal_open(socket); /* if it cannot be had, there is standard error */
    se_log_set_level(SE_LOG_INFO);
    for (int i = 0; word && i < N_LEVELS; i++)
        if (!strcmp(word, levels[i].word))
            se_log_set_level((enum se_log_level)i);
}

void se_log_set_level(enum se_log_level level)
{
    atomic_store_explicit(&level_in_force, (int)level, memory_order_relaxed);
}

int se_log_wants(enum se_log_level level)
{
    return (int)level <= atomic_load_explicit(&level_in_force, memory_order_relaxed);
}

/* What would start a line of its own, or steer a terminal, becomes a space: texts may come
 * from a peer. */
static void flatten(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f)
            *c = ' ';
}

/* What stands before the message on standard error; its length. */
static size_t put_head(char line[LINE_B], enum se_log_level level)
{
    int len = 0;
    if (for_journal)
        len = snprintf(line, LINE_B, "<%d>", levels[level].journal);
    len +=
        snprintf(line + len, LINE_B - (size_t)len, "%s%s%s%s", program, program[0] ? ": " : "",
                 level == SE_LOG_INFO ? "" : levels[level].word, level == SE_LOG_INFO ? "" : ": ");
    return (size_t)len;
}

/* The message behind len bytes of the line, cut with "..." when it is too long; the length of all,
 * which leaves room for a byte more. */
static size_t put_message(char line[LINE_B], size_t head, const char *format, va_list args)
{
    size_t room = LINE_B - head; /* with the zero */
    int len = vsnprintf(line + head, room, format, args);
    flatten(line + head);
    if (len < 0)
        return head;
    if ((size_t)len < room)
        return head + (size_t)len;
    memcpy(line + LINE_B - 4, "...", 3);
    return LINE_B - 1;
}

static int send_fields(const struct se_log_place *place, enum se_log_level level,
                       const char *message)
{
    const char priority[] = { (char)('0' + levels[level].journal), '\0' };
    char line[NUMBER_B];
    /* Where an error began and passed, when it is the one that the message tells. */
    const char *error = se_err_text();
    const char *trail = *error && strstr(message, error) ? se_err_trail() : NULL;
    const struct se_journal_field fields[] = {
        { "PRIORITY", priority },         { "SYSLOG_IDENTIFIER", *program ? program : NULL },
        { "CODE_FILE", place->file },     { "CODE_LINE", line },
        { "CODE_FUNC", place->function }, { "SPECEDGE_TRAIL", trail },
        { "MESSAGE", message },
    };
    snprintf(line, sizeof line, "%d", place->line);
    return se_journal_send(journal, fields, sizeof fields / sizeof fields[0]);
}

void se_log_at(const struct se_log_place *place, enum se_log_level level, const char *format, ...)
{
    if ((int)level < 0 || level >= (enum se_log_level)N_LEVELS || !se_log_wants(level))
        return;
    int saved = errno; /* a caller may log before it looks */
    char line[LINE_B];
    va_list args;
    va_start(args, format);
    size_t head = put_head(line, level);
    size_t len = put_message(line, head, format, args);
    va_end(args);
    /* A journal that does not keep up has another queue behind standard error. */
    if (!for_journal || journal < 0 || send_fields(place, level, line + head) < 0) {
        line[len] = '\n';
        while (write(STDERR_FILENO, line, len + 1) < 0 && errno == EINTR)
            ;
    }
    errno = saved;
}
