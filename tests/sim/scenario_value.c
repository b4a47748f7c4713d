/* SPDX-License-Identifier: BSD-2-Clause */
#include "scenario_value.h"

#include "daemon/config_value.h"
#include "daemon/duration.h"

#include <errno.h>
#include <string.h>

_Static_assert(SCENARIO_ERROR_SIZE == CONFIG_ERROR_SIZE, "both take the same lines");

#define ALLOWED_SIZE 256

static struct config_place place_of(const struct scenario_reader *reader,
                                    const config_setting_t *setting)
{
    if (!reader->text)
        return (struct config_place){.file = reader->source};
    return config_text_place(reader->text, setting ? config_setting_source_line(setting) : 1);
}

int scenario_refuse(const struct scenario_reader *reader, const config_setting_t *setting,
                    const char *key, const char *remark, const char *allowed)
{
    char what[CONFIG_FOUND_SIZE];

    return config_refuse(reader->error, place_of(reader, setting), key, "found %s%s; allowed is %s",
                         setting ? config_found(setting, what) : "", remark, allowed);
}

static const char *allowed_values(const struct scenario_key *key, char buffer[ALLOWED_SIZE])
{
    char least[CONFIG_VALUE_SIZE], most[CONFIG_VALUE_SIZE];

    switch (key->type) {
    case KEY_DURATION:
        (void)snprintf(buffer, ALLOWED_SIZE, "a duration from \"%s\" to \"%s\"",
                       duration_print((int64_t)key->least, least),
                       duration_print((int64_t)key->most, most));
        break;
    case KEY_FLAG:
        return "true or false";
    case KEY_TEXT:
        (void)snprintf(buffer, ALLOWED_SIZE, "a text of %g to %g characters", key->least,
                       key->most - 1);
        break;
    case KEY_NODES:
        (void)snprintf(buffer, ALLOWED_SIZE, "a list [ ... ] of nodes from %g to %g", key->least,
                       key->most);
        break;
    case KEY_DURATIONS:
        (void)snprintf(buffer, ALLOWED_SIZE, "a list [ ... ] of up to %d durations up to \"%s\"",
                       SCENARIO_NODES_MAX, duration_print((int64_t)key->most, most));
        break;
    case KEY_NUMBERS:
        (void)snprintf(buffer, ALLOWED_SIZE, "a list [ ... ] of up to %d numbers from %g to %g",
                       SCENARIO_NODES_MAX, key->least, key->most);
        break;
    case KEY_NUMBER:
    case KEY_COUNT:
    default:
        (void)snprintf(buffer, ALLOWED_SIZE, "%s from %s to %s",
                       key->type == KEY_COUNT ? "an integer" : "a number",
                       config_number_print(key->least, least),
                       config_number_print(key->most, most));
    }
    return buffer;
}

static bool take_duration(const config_setting_t *setting, const struct scenario_key *key,
                          void *field)
{
    const char *text = config_setting_get_string(setting);
    int64_t ns;

    if (!text || duration_parse(text, &ns) < 0 ||
        !((double)ns >= key->least && (double)ns <= key->most))
        return false;
    *(int64_t *)field = ns;
    return true;
}

static bool take_number(const config_setting_t *setting, const struct scenario_key *key,
                        void *field)
{
    double value;

    if (!config_setting_is_number(setting))
        return false;
    value = config_setting_type(setting) == CONFIG_TYPE_FLOAT
                ? config_setting_get_float(setting)
                : (double)config_setting_get_int64(setting);
    if (!(value >= key->least && value <= key->most))
        return false;
    *(double *)field = value;
    return true;
}

static bool take_count(const config_setting_t *setting, const struct scenario_key *key, int *field)
{
    const int type = config_setting_type(setting);
    int64_t value;

    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
        return false;
    value = config_setting_get_int64(setting);
    if (!((double)value >= key->least && (double)value <= key->most))
        return false;
    *field = (int)value;
    return true;
}

static bool take_text(const config_setting_t *setting, const struct scenario_key *key, char *field)
{
    const char *text = config_setting_get_string(setting);
    const size_t length = text ? strlen(text) : 0;

    if (!text || !((double)length >= key->least && (double)length < key->most))
        return false;
    memcpy(field, text, length + 1);
    return true;
}

static bool take_nodes(const config_setting_t *setting, const struct scenario_key *key, int *field)
{
    const int count = config_setting_length(setting);

    if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
        return false;
    if (count > (int)key->most)
        return false;
    for (int i = 0; i < count; i++)
        if (!take_count(config_setting_get_elem(setting, (unsigned)i), key, &field[i]))
            return false;
    field[count] = -1;
    return true;
}

static bool take_list(const config_setting_t *setting, const struct scenario_key *key,
                      struct scenario_list *list)
{
    const int count = config_setting_length(setting);
    int64_t ns;

    if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
        return false;
    if (count > SCENARIO_NODES_MAX)
        return false;
    list->count = count;
    for (int i = 0; i < count; i++) {
        const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);

        if (key->type == KEY_NUMBERS && !take_number(item, key, &list->values[i]))
            return false;
        if (key->type == KEY_DURATIONS) {
            if (!take_duration(item, key, &ns))
                return false;
            list->values[i] = (double)ns;
        }
    }
    return true;
}

static bool take(const config_setting_t *setting, const struct scenario_key *key, void *field)
{
    switch (key->type) {
    case KEY_DURATION:
        return take_duration(setting, key, field);
    case KEY_NUMBER:
        return take_number(setting, key, field);
    case KEY_COUNT:
        return take_count(setting, key, field);
    case KEY_TEXT:
        return take_text(setting, key, field);
    case KEY_NODES:
        return take_nodes(setting, key, field);
    case KEY_DURATIONS:
    case KEY_NUMBERS:
        return take_list(setting, key, field);
    case KEY_FLAG:
    default:
        if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
            return false;
        *(bool *)field = config_setting_get_bool(setting);
        return true;
    }
}

int scenario_take(const struct scenario_reader *reader, const config_setting_t *setting,
                  const char *path, const struct scenario_key *key, void *base)
{
    const char *text = config_setting_get_string(setting);
    char allowed[ALLOWED_SIZE];
    const char *remark = "";
    int64_t ns;

    if (take(setting, key, (char *)base + key->place))
        return 0;
    if (key->type == KEY_DURATION && config_setting_is_number(setting))
        remark = " without quotes and a unit";
    else if (key->type == KEY_DURATION && text && duration_parse(text, &ns) == -EINVAL)
        remark = ", which is not a number and one of ns, us, ms, s, min, h, d";
    return scenario_refuse(reader, setting, path, remark, allowed_values(key, allowed));
}

const char *scenario_path(const char *path, const char *name, char buffer[SCENARIO_PATH_SIZE])
{
    (void)snprintf(buffer, SCENARIO_PATH_SIZE, "%s%s%s", path, *path ? "." : "", name);
    return buffer;
}

static bool is_among(const char *name, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static int refuse_unknown(const struct scenario_reader *reader, const config_setting_t *setting,
                          const char *path, const struct scenario_key *keys,
                          const char *const *others)
{
    char known[ALLOWED_SIZE] = "";
    size_t used = 0;

    for (; keys->name && used < sizeof(known); keys++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
                                 keys->name);
    for (; others && *others && used < sizeof(known); others++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, ", %s", *others);
    return config_refuse(reader->error, place_of(reader, setting), path,
                         "found an unknown key; allowed is one of %s", known);
}

int scenario_take_group(const struct scenario_reader *reader, const config_setting_t *group,
                        const char *path, const struct scenario_key *keys,
                        const char *const *others, void *base)
{
    const int count = config_setting_length(group);
    int r = 0;

    if (!config_setting_is_group(group))
        return scenario_refuse(reader, group, path, "", "a group { ... }");
    for (int i = 0; i < count && r == 0; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(setting);
        const struct scenario_key *key = scenario_key_find(keys, name);
        char whole[SCENARIO_PATH_SIZE];

        scenario_path(path, name, whole);
        if (key)
            r = scenario_take(reader, setting, whole, key, base);
        else if (!is_among(name, others))
            r = refuse_unknown(reader, setting, whole, keys, others);
    }
    return r;
}
