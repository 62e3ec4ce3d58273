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
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_B = 2048, PROGRAM_B = 64 };

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

/* Set by se_log_init() before there are other threads. */
static char program[PROGRAM_B];
static bool for_journal;
/* relaxed throughout: a line more or less while the level changes harms nobody. */
static _Atomic int level_in_force = SE_LOG_INFO;

/* JOURNAL_STREAM may be inherited by a program whose standard error went elsewhere since. */
static bool is_journal(void)
{
    unsigned long long device, inode;
    struct stat info;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &info) == 0 && (unsigned long long)info.st_dev == device &&
           (unsigned long long)info.st_ino == inode;
}

void se_log_init(const char *name)
{
    const char *word = getenv("SE_LOG");
    snprintf(program, sizeof program, "%s", name);
    for_journal = is_journal();
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

/* The line without its end, cut with "..." when it is too long; its length. */
static size_t compose(char line[LINE_B], enum se_log_level level, const char *format, va_list args)
{
    int head = 0;
    if (for_journal)
        head = snprintf(line, LINE_B, "<%d>", levels[level].journal);
    head += snprintf(line + head, LINE_B - (size_t)head, "%s%s%s", program, program[0] ? ": " : "",
                     level == SE_LOG_INFO ? "" : levels[level].word);
    if (level != SE_LOG_INFO)
        head += snprintf(line + head, LINE_B - (size_t)head, ": ");
    size_t room = LINE_B - (size_t)head; /* with the zero, which the end of the line replaces */
    int len = vsnprintf(line + head, room, format, args);
    flatten(line + head);
    if (len < 0)
        return (size_t)head;
    if ((size_t)len < room)
        return (size_t)(head + len);
    memcpy(line + LINE_B - 4, "...", 3);
    return LINE_B - 1;
}

void se_log(enum se_log_level level, const char *format, ...)
{
    if ((int)level < 0 || level >= (enum se_log_level)N_LEVELS || !se_log_wants(level))
        return;
    int saved = errno; /* a caller may log before it looks */
    char line[LINE_B];
    va_list args;
    va_start(args, format);
    size_t len = compose(line, level, format, args);
    va_end(args);
    line[len] = '\n';
    while (write(STDERR_FILENO, line, len + 1) < 0 && errno == EINTR)
        ;
    errno = saved;
}
