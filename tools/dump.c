/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/dump.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/file.h"
#include "runtime/base/mem.h"
#include "transport/wire.h"

enum { NAME_COLUMN = 14 };

/* Value of a hexadecimal digit, -1 for a blank, -2 for anything else. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (isspace((unsigned char)c))
        return -1;
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -2;
}

/* data has room for len / 2 bytes. -EINVAL when it is not pairs of digits. */
static int read_digits(const char *text, size_t len, uint8_t *data, size_t *len_b)
{
    size_t n = 0; /* digits */
    for (size_t i = 0; i < len; i++) {
        int value = digit(text[i]);
        if (value == -2)
            return -EINVAL;
        if (value == -1)
            continue;
        if (n % 2 == 0)
            data[n / 2] = (uint8_t)(value << 4);
        else
            data[n / 2] = (uint8_t)(data[n / 2] | value);
        n++;
    }
    *len_b = n / 2;
    return n == 0 || n % 2 ? -EINVAL : 0;
}

static int read_file(struct se_dump *bytes, const char *path)
{
    struct se_file file = SE_FILE_NULL;
    int r = se_file_open(&file, path);
    if (r < 0)
        return se_trace(r);
    /* A frame begins with "SE", which are no digits. */
    if (file.len_b > 2 * (size_t)SE_WIRE_FRAME_MAX * 2) {
        r = se_fail(-EFBIG, "%s: %zu bytes are more than any frame has", path, file.len_b);
        goto out;
    }
    bytes->data = se_mem_new(file.len_b + 1, 1);
    if (!bytes->data) {
        r = -ENOMEM;
        goto out;
    }
    if (read_digits((const char *)file.data, file.len_b, bytes->data, &bytes->len_b) < 0) {
        memcpy(bytes->data, file.data, file.len_b);
        bytes->len_b = file.len_b;
    }
out:
    se_file_close(&file);
    return r;
}

int se_dump_read(struct se_dump *bytes, const char *source)
{
    size_t len = strlen(source);
    *bytes = SE_DUMP_NULL;
    bytes->data = se_mem_new(len / 2 + 1, 1);
    if (!bytes->data)
        return -ENOMEM;
    if (read_digits(source, len, bytes->data, &bytes->len_b) == 0)
        return 0;
    se_dump_fini(bytes);
    int r = read_file(bytes, source);
    if (r == -ENOENT)
        r = se_fail(r, "'%.200s' is neither a frame in hexadecimal nor a file", source);
    if (r < 0)
        se_dump_fini(bytes);
    return r;
}

void se_dump_fini(struct se_dump *bytes)
{
    se_mem_free(bytes->data);
    *bytes = SE_DUMP_NULL;
}

static void show_field(const struct se_wire *message, const struct se_wire_field *field, FILE *to)
{
    uint64_t value = se_wire_field_get(message, field);
    double real;
    fprintf(to, "  %-*s", NAME_COLUMN, field->name);
    switch (field->form) {
    case SE_WIRE_REAL:
        memcpy(&real, &value, sizeof real);
        fprintf(to, "%.17g\n", real);
        break;
    case SE_WIRE_HEX:
        fprintf(to, "0x%0*" PRIx64 "\n", field->size_b == 8 ? 16 : 1, value);
        break;
    default:
        fprintf(to, "%" PRIu64 "\n", value);
    }
}

static void show_tree(const struct se_wire_verify *v, FILE *to)
{
    fprintf(to, "  %-*sparent  id\n", NAME_COLUMN, "node");
    for (uint32_t i = 0; i < v->nodes; i++)
        if (i == 0)
            fprintf(to, "  %-*" PRIu32 "%6s  %" PRIu32 "\n", NAME_COLUMN, i, "-", v->token[i]);
        else
            fprintf(to, "  %-*" PRIu32 "%6" PRId32 "  %" PRIu32 "\n", NAME_COLUMN, i, v->parent[i],
                    v->token[i]);
}

static void show_lists(const struct se_wire *m, FILE *to)
{
    switch (m->type) {
    case SE_WIRE_HELLO:
        fprintf(to, "  %-*s%s\n", NAME_COLUMN, "draft", m->hello.draft);
        break;
    case SE_WIRE_PREFILL:
        fprintf(to, "  %-*s", NAME_COLUMN, "ids");
        for (uint32_t i = 0; i < m->prefill.n; i++)
            fprintf(to, i ? " %" PRIu32 : "%" PRIu32, m->prefill.id[i]);
        fputc('\n', to);
        break;
    case SE_WIRE_VERIFY:
        show_tree(&m->verify, to);
        break;
    case SE_WIRE_STATS:
        for (uint32_t i = 0; i < m->stats.n; i++)
            fprintf(to, "  counter %-*" PRIu32 "%" PRIu64 "\n", NAME_COLUMN - 8, m->stats.first + i,
                    m->stats.value[i]);
        break;
    case SE_WIRE_ERROR:
        fprintf(to, "  %-*s%s\n", NAME_COLUMN, "text", m->error.text);
        break;
    default:
        break;
    }
}

int se_dump_show(const struct se_dump *bytes, FILE *to)
{
    int32_t parent[SE_WIRE_NODES_MAX];
    uint32_t token[SE_WIRE_IDS_MAX];
    struct se_wire_room room = { parent, token, SE_WIRE_NODES_MAX, SE_WIRE_IDS_MAX, 0 };
    struct se_wire message;
    int fault = se_wire_decode(bytes->data, bytes->len_b, &room, &message);
    if (fault) {
        enum se_wire_type type = 0;
        uint64_t session;
        const struct se_wire_layout *layout =
            se_wire_peek(bytes->data, bytes->len_b, &type, &session) == 0 ? se_wire_layout(type)
                                                                          : NULL;
        return se_fail(-EPROTO, "refused, %zu bytes%s%s: %s", bytes->len_b, layout ? " of " : "",
                       layout ? layout->name : "", se_wire_fault_text(fault));
    }
    const struct se_wire_layout *layout = se_wire_layout(message.type);
    fprintf(to, "%s, %zu bytes, version %d, session %016" PRIx64 "\n", layout->name, bytes->len_b,
            SE_WIRE_VERSION, message.session);
    for (uint32_t i = 0; i < layout->n_fields; i++)
        show_field(&message, &layout->field[i], to);
    show_lists(&message, to);
    return 0;
}
