/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/log.h - lines for the operator, on standard error. Any thread.
 *
 * For programs: a library reports through its return value and prints nothing. Under
 * systemd (JOURNAL_STREAM is ours) each line starts with the <level> that journald reads. */
#ifndef SE_RUNTIME_BASE_LOG_H
#define SE_RUNTIME_BASE_LOG_H

enum se_log_level { SE_LOG_ERROR, SE_LOG_WARN, SE_LOG_INFO, SE_LOG_DEBUG };

/* Name of this program, before every line; level from SE_LOG=error|warn|info|debug, info if
 * it is not set or unknown. */
void se_log_init(const char *program);
void se_log_set_level(enum se_log_level level);
int se_log_wants(enum se_log_level level);

/* One line, written with one system call, so that threads do not mix. */
void se_log(enum se_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
