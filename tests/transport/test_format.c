/* SPDX-License-Identifier: Apache-2.0 */
/* docs/wire-format.md says what the code does: every field with its place, every example. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/file.h"
#include "tests/transport/messages.h"
#include "transport/wire.h"

static char page[64 << 10];

static int read_page(void **state)
{
    (void)state;
    struct se_file file = SE_FILE_NULL;
    const char *path = getenv("SE_WIRE_FORMAT");
    if (!path || se_file_open(&file, path) < 0 || file.len_b >= sizeof page)
        return -1;
    memcpy(page, file.data, file.len_b);
    se_file_close(&file);
    return 0;
}

/* The part of the page under a message's heading, cut off at the next one. */
static char *section_of(const char *name)
{
    static char section[16 << 10];
    char heading[64];
    snprintf(heading, sizeof heading, "\n### %s\n", name);
    const char *from = strstr(page, heading);
    if (!from)
        fail_msg("no section %s", name);
    from += strlen(heading);
    const char *to = strstr(from, "\n### ");
    size_t len = to ? (size_t)(to - from) : strlen(from);
    assert_true(len < sizeof section);
    memcpy(section, from, len);
    section[len] = '\0';
    return section;
}

static void test_fields(void **state)
{
    (void)state;
    for (uint32_t type = 1; type < SE_WIRE_TYPE_END; type++) {
        const struct se_wire_layout *layout = se_wire_layout(type);
        const char *at = section_of(layout->name);
        uint32_t offset = SE_WIRE_HEADER_B;
        for (uint32_t i = 0; i < layout->n_fields; i++) {
            char row[128];
            snprintf(row, sizeof row, "\n| %u | %u | `%s` |", offset, layout->field[i].size_b,
                     layout->field[i].name);
            at = strstr(at, row);
            if (!at)
                fail_msg("%s: no row%s", layout->name, row);
            offset += layout->field[i].size_b;
        }
        /* And no field that the code does not know. */
        char next[32];
        snprintf(next, sizeof next, "\n| %u | ", offset);
        const char *behind = strstr(at, next);
        if (behind &&
            strspn(behind + strlen(next), "0123456789 ") == strcspn(behind + strlen(next), "|"))
            fail_msg("%s: an unknown field at %u", layout->name, offset);
    }
}

static void test_examples(void **state)
{
    (void)state;
    static struct lists lists;
    for (uint32_t type = 1; type < SE_WIRE_TYPE_END; type++) {
        struct se_wire message;
        uint8_t frame[256];
        char wanted[2 * sizeof frame + 1], shown[2 * sizeof frame + 1];
        size_t len_b = 0, n = 0;
        message_fixed(type, &lists, &message);
        assert_int_equal(se_wire_encode(&message, frame, sizeof frame, &len_b), 0);
        for (size_t i = 0; i < len_b; i++)
            snprintf(wanted + 2 * i, 3, "%02x", frame[i]);
        const char *at = strstr(section_of(se_wire_layout(type)->name), "\n```\n");
        assert_non_null(at);
        for (at += 5; *at && *at != '`' && n + 1 < sizeof shown; at++)
            if (!isspace((unsigned char)*at))
                shown[n++] = *at;
        shown[n] = '\0';
        assert_string_equal(shown, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, read_page, NULL);
}
