/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/log.h - lines for the operator, on standard error. Any thread.
 *
 * For programs: a library reports through its return value and prints nothing. Where standard
 * error is the journal of systemd (JOURNAL_STREAM), it gets entries with fields in place of lines:
 * PRIORITY, SYSLOG_IDENTIFIER, CODE_FILE, CODE_LINE, CODE_FUNC, MESSAGE, and SPECEDGE_TRAIL, the way
 * that the error took which the message tells. */
#ifndef SE_RUNTIME_BASE_LOG_H
#define SE_RUNTIME_BASE_LOG_H

enum se_log_level { SE_LOG_ERROR, SE_LOG_WARN, SE_LOG_INFO, SE_LOG_DEBUG };

/* Name of this program, before every line; level from SE_LOG=error|warn|info|debug, info if
 * it is not set or unknown. */
void se_log_init(const char *program);
/* The same, with another socket than the journal's, for tests. */
void se_log_init_at(const char *program, const char *socket);
void se_log_set_level(enum se_log_level level);
int se_log_wants(enum se_log_level level);

struct se_log_place {
    const char *file, *function;
    int line;
};

/* One line, written with one system call, so that threads do not mix. */
void se_log_at(const struct se_log_place *place, enum se_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define se_log(...) se_log_at(&(struct se_log_place){ __FILE__, __func__, __LINE__ }, __VA_ARGS__)

#endif
