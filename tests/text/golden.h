/* SPDX-License-Identifier: Apache-2.0 */
/* tests/text/golden.h - the goldens of this room: tests/golden/text, or SE_GOLDEN. */
#ifndef SE_TESTS_TEXT_GOLDEN_H
#define SE_TESTS_TEXT_GOLDEN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/text/buf.h"
#include "runtime/text/tokenizer.h"

/* Every tokenizer of the goldens: folders of tests/golden/text, with the files. */
extern const char *const golden_families[];
enum { GOLDEN_FAMILIES = 10 };

/* "ROOT/family/file"; the caller frees. */
char *golden_path(const char *family, const char *file);
/* The tokenizer of a family, or the test fails. */
struct se_tokenizer *golden_open(const char *family);

/* The strings, each expanded. The caller frees with golden_free(). */
struct golden_strings {
    struct se_buf *text;
    size_t n;
};
struct golden_strings golden_strings(void);
void golden_free(struct golden_strings *strings);

/* A file of lists of numbers, read from the beginning. */
struct golden_numbers {
    unsigned char *data;
    size_t at, n;
};
struct golden_numbers golden_numbers(const char *family, const char *file);
uint32_t golden_number(struct golden_numbers *numbers);

/* Lines of JSON; the caller decrefs the array. */
json_t *golden_lines(const char *family, const char *file);

/* A tokenizer.json of the test's own, or the test fails. */
struct se_tokenizer *golden_parse(const char *json);
/* Bytes as printf shows them: in hex. */
void golden_show(const char *title, const char *bytes, size_t n);

#endif
