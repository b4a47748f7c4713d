/* SPDX-License-Identifier: BSD-2-Clause */
#include "field.h"

#include "daemon/journal_escape.h"

#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>

static struct json_object *find(const struct json_object *answer, const char *key,
                                enum json_type type)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(answer, key, &value) || !json_object_is_type(value, type))
        return NULL;
    return value;
}

const char *field_text(const struct json_object *answer, const char *key, char buffer[FIELD_SIZE])
{
    struct json_object *value = find(answer, key, json_type_string);

    return value ? journal_escape(json_object_get_string(value), buffer, FIELD_SIZE) : NULL;
}

bool field_number(const struct json_object *answer, const char *key, int64_t *number)
{
    const struct json_object *value = find(answer, key, json_type_int);

    if (value)
        *number = json_object_get_int64(value);
    return value;
}

bool field_real(const struct json_object *answer, const char *key, double *number)
{
    const struct json_object *value = find(answer, key, json_type_double);

    if (!value)
        value = find(answer, key, json_type_int);
    if (!value || !isfinite(json_object_get_double(value)))
        return false;
    *number = json_object_get_double(value);
    return true;
}

bool field_flag(const struct json_object *answer, const char *key, bool *flag)
{
    const struct json_object *value = find(answer, key, json_type_boolean);

    if (value)
        *flag = json_object_get_boolean(value);
    return value;
}

struct json_object *field_object(const struct json_object *answer, const char *key)
{
    return find(answer, key, json_type_object);
}

struct json_object *field_array(const struct json_object *answer, const char *key)
{
    return find(answer, key, json_type_array);
}

void field_print_head(FILE *out, const struct json_object *answer)
{
    char text[FIELD_SIZE];

    (void)fputs(field_text(answer, "name", text) ? text : "A daemon", out);
    if (field_text(answer, "role", text))
        (void)fprintf(out, ", %s", text);
    if (field_text(answer, "group", text))
        (void)fprintf(out, " of group %s", text);
}

void field_print(FILE *out, const char *label, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(out, "%12s: ", label);
    va_start(arguments, format);
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
    (void)fputc('\n', out);
}
