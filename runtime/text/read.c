/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/text/read.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/text/utf8.h"

int se_read_document(json_t **out, const char *name, const void *bytes, size_t len_b)
{
    json_error_t error;
    json_t *json = json_loadb(bytes, len_b, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json)
        return se_fail(-EINVAL, "%s: not JSON: line %d, column %d: %s", name, error.line,
                       error.column,
                       se_utf8_quote((char[SE_UTF8_QUOTE_B]){ 0 }, error.text, strlen(error.text)));
    if (!json_is_object(json)) {
        json_decref(json);
        return se_fail(-EINVAL, "%s: not a JSON object", name);
    }
    *out = json;
    return 0;
}

const json_t *se_read_get(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

int se_read_text(const char *name, const json_t *object, const char *key, const char **text,
                 size_t *len_b)
{
    const json_t *value = se_read_get(object, key);
    if (!json_is_string(value))
        return se_fail(-EINVAL, "%s: \"%s\" must be a text", name, key);
    *text = json_string_value(value);
    *len_b = json_string_length(value);
    return 0;
}

int se_read_flag(const char *name, const json_t *object, const char *key, bool otherwise,
                 bool *value)
{
    const json_t *found = se_read_get(object, key);
    if (found && !json_is_boolean(found))
        return se_fail(-EINVAL, "%s: \"%s\" must be true or false", name, key);
    *value = found ? json_is_true(found) : otherwise;
    return 0;
}

int se_read_number(const char *name, const json_t *object, const char *key, uint32_t max,
                   uint32_t *value)
{
    const json_t *found = se_read_get(object, key);
    if (!json_is_integer(found))
        return se_fail(-EINVAL, "%s: \"%s\" must be a whole number", name, key);
    json_int_t number = json_integer_value(found);
    if (number < 0 || number > max)
        return se_fail(-EINVAL, "%s: \"%s\" is %" JSON_INTEGER_FORMAT ", outside 0 to %lu", name,
                       key, number, (unsigned long)max);
    *value = (uint32_t)number;
    return 0;
}

int se_read_list(const char *name, const json_t *object, const char *key, const json_t **list)
{
    *list = se_read_get(object, key);
    return json_is_array(*list) ? 0 : se_fail(-EINVAL, "%s: \"%s\" must be a list", name, key);
}

int se_read_character(const char *name, const json_t *object, const char *key, char value[5])
{
    const char *text;
    size_t len_b;
    int r = se_read_text(name, object, key, &text, &len_b);
    if (r < 0)
        return r;
    if (len_b == 0 || text[0] == '\0' || len_b != se_utf8_len((unsigned char)text[0]))
        return se_fail(-EINVAL, "%s: \"%s\" must be one character", name, key);
    memcpy(value, text, len_b);
    value[len_b] = '\0';
    return 0;
}
