/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/err.h - how a function says that it failed, and why.
 *
 * Every function that can fail returns an int:
 *     0    done
 *   < 0    -errno: pass it up unchanged (se_trace() notes the way)
 *   > 0    an outcome that the function's header names: handle it on the spot
 *
 * The sentence for the user is written once, where the cause is known, with
 * se_fail(); the main function prints se_err_text(). One text per thread. */
#ifndef SE_RUNTIME_BASE_ERR_H
#define SE_RUNTIME_BASE_ERR_H

/* Records the sentence and returns code. No newline at its end. */
#define se_fail(code, ...) se_err_set((code), __FILE__, __LINE__, __VA_ARGS__)

/* Notes that an error passes here; returns r. */
#define se_trace(r) se_err_pass((r), __FILE__, __LINE__)

int se_err_set(int code, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int se_err_pass(int code, const char *file, int line);

/* The last failure's sentence, or "" when there was none. */
const char *se_err_text(void);

/* Where it started and passed: "file:line < file:line < ...". */
const char *se_err_trail(void);

void se_err_clear(void);

#endif
