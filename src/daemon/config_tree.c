/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config_tree.h"

#include "daemon/config_value.h"
#include "daemon/duration.h"

#include <errno.h>
#include <libconfig.h>
#include <string.h>

#define KEY_SIZE 96
#define REMARK_SIZE 96

struct reader {
    const struct config_text *text;
    struct config_draft *draft;
    char *error;
};

static struct config_place place_of(const struct reader *reader, const config_setting_t *setting)
{
    return config_text_place(reader->text, config_setting_source_line(setting));
}

static int refuse_value(const struct reader *reader, const struct config_entry *entry,
                        const config_setting_t *setting, const char *remark)
{
    char what[CONFIG_FOUND_SIZE], allowed[CONFIG_ALLOWED_SIZE];

    return config_refuse(reader->error, place_of(reader, setting), entry->key,
                         "found %s%s; allowed is %s", config_found(setting, what), remark,
                         config_allowed(entry, allowed));
}

/* What text_check() found wrong, where the value does not show it. */
static const char *remark_on(int error, const char *text, char remark[REMARK_SIZE])
{
    char block[CONFIG_PREFIX_SIZE];

    remark[0] = '\0';
    if (error == -ENAMETOOLONG)
        (void)snprintf(remark, REMARK_SIZE, ", which has %zu characters", strlen(text));
    else if (error == -ERANGE && config_prefix_block(text, block))
        (void)snprintf(remark, REMARK_SIZE, ", an address in the block \"%s\"", block);
    return remark;
}

static int take_text(const struct reader *reader, const struct config_entry *entry,
                     const config_setting_t *setting, char *field)
{
    char remark[REMARK_SIZE];
    const char *text;
    int r;

    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return refuse_value(reader, entry, setting, "");
    text = config_setting_get_string(setting);
    r = config_text_check(entry, text);
    if (r < 0)
        return refuse_value(reader, entry, setting, remark_on(r, text, remark));
    memset(field, 0, entry->size);
    memcpy(field, text, strlen(text) + 1);
    return 0;
}

static int take_list(const struct reader *reader, const struct config_entry *entry,
                     const config_setting_t *setting, char *field)
{
    const int count = config_setting_length(setting);
    char remark[REMARK_SIZE];

    if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
        return refuse_value(reader, entry, setting, "");
    (void)snprintf(remark, sizeof(remark), " of %d items", count);
    if (count < entry->least || (size_t)count > entry->items)
        return refuse_value(reader, entry, setting, remark);
    memset(field, 0, entry->items * entry->size);
    for (int i = 0; i < count; i++) {
        const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        const int r = take_text(reader, entry, item, field + (size_t)i * entry->size);

        if (r < 0)
            return r;
    }
    return 0;
}

static int take_duration(const struct reader *reader, const struct config_entry *entry,
                         const config_setting_t *setting, int64_t *field)
{
    const char *text = config_setting_get_string(setting);
    int64_t ns;

    if (config_setting_is_number(setting))
        return refuse_value(reader, entry, setting, " without quotes and a unit");
    if (!text)
        return refuse_value(reader, entry, setting, "");
    if (config_word_find(entry->words, text, field) == 0)
        return 0;
    if (duration_parse(text, &ns) == -EINVAL)
        return refuse_value(reader, entry, setting,
                            ", which is not a number and one of ns, us, ms, s, min, h, d");
    if (duration_parse(text, &ns) < 0 || !(ns >= entry->least && ns <= entry->most))
        return refuse_value(reader, entry, setting, "");
    *field = ns;
    return 0;
}

static int take_word(const struct reader *reader, const struct config_entry *entry,
                     const config_setting_t *setting, int *field)
{
    const char *text = config_setting_get_string(setting);
    int64_t value;

    if (!text || config_word_find(entry->words, text, &value) < 0)
        return refuse_value(reader, entry, setting, "");
    *field = (int)value;
    return 0;
}

static int take_integer(const struct reader *reader, const struct config_entry *entry,
                        const config_setting_t *setting, int64_t *field)
{
    int64_t value;

    if (config_setting_type(setting) != CONFIG_TYPE_INT64)
        return refuse_value(reader, entry, setting, "");
    value = config_setting_get_int64(setting);
    if (!(value >= entry->least && value <= entry->most))
        return refuse_value(reader, entry, setting, "");
    *field = value;
    return 0;
}

static int take_number(const struct reader *reader, const struct config_entry *entry,
                       const config_setting_t *setting, double *field)
{
    double value;

    if (!config_setting_is_number(setting))
        return refuse_value(reader, entry, setting, "");
    value = config_setting_type(setting) == CONFIG_TYPE_FLOAT
                ? config_setting_get_float(setting)
                : (double)config_setting_get_int64(setting);
    if (!(value >= (double)entry->least && value <= (double)entry->most))
        return refuse_value(reader, entry, setting, "");
    *field = value;
    return 0;
}

static int take_bool(const struct reader *reader, const struct config_entry *entry,
                     const config_setting_t *setting, bool *field)
{
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
        return refuse_value(reader, entry, setting, "");
    *field = config_setting_get_bool(setting);
    return 0;
}

static int take_value(const struct reader *reader, const struct config_entry *entry,
                      const config_setting_t *setting)
{
    void *field = config_entry_field(entry, &reader->draft->config);

    if (entry->items)
        return take_list(reader, entry, setting, field);
    switch (entry->type) {
    case ENTRY_WORD:
        return take_word(reader, entry, setting, field);
    case ENTRY_BOOL:
        return take_bool(reader, entry, setting, field);
    case ENTRY_INTEGER:
        return take_integer(reader, entry, setting, field);
    case ENTRY_NUMBER:
        return take_number(reader, entry, setting, field);
    case ENTRY_DURATION:
        return take_duration(reader, entry, setting, field);
    case ENTRY_NAME:
    case ENTRY_HOST:
    case ENTRY_ADDRESS:
    case ENTRY_PREFIX:
    case ENTRY_FILE:
    default:
        return take_text(reader, entry, setting, field);
    }
}

static int take_entry(const struct reader *reader, const struct config_entry *entry,
                      const config_setting_t *setting)
{
    const size_t index = (size_t)(entry - config_table);
    const struct config_place place = place_of(reader, setting);
    const int r = take_value(reader, entry, setting);

    if (r < 0)
        return r;
    (void)snprintf(reader->draft->origins[index].file, CONFIG_PATH_SIZE, "%s", place.file);
    reader->draft->origins[index].line = place.line;
    return 0;
}

static int refuse_unknown(const struct reader *reader, const config_setting_t *setting,
                          const char *key)
{
    const struct config_place place = place_of(reader, setting);
    const bool group = config_setting_is_group(setting);
    char hint[KEY_SIZE];

    if (config_hint(key, group, hint, sizeof(hint)))
        return config_refuse(reader->error, place, key, "found an unknown %s; did you mean %s?",
                             group ? "group" : "key", hint);
    return config_refuse(reader->error, place, key,
                         "found an unknown %s; allowed are those of berkeley.conf(5)",
                         group ? "group" : "key");
}

static bool is_group(const char *key)
{
    for (size_t i = 0; i < config_table_length; i++) {
        const size_t length = config_entry_group(&config_table[i]);

        if (length > 0 && strlen(key) == length && strncmp(config_table[i].key, key, length) == 0)
            return true;
    }
    return false;
}

static int take_group(const struct reader *reader, const config_setting_t *group)
{
    const char *prefix = config_setting_is_root(group) ? NULL : config_setting_name(group);
    const int count = config_setting_length(group);
    int r = 0;

    for (int i = 0; i < count && r == 0; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const struct config_entry *entry;
        char key[KEY_SIZE], what[CONFIG_FOUND_SIZE];

        (void)snprintf(key, sizeof(key), "%s%s%s", prefix ? prefix : "", prefix ? "." : "",
                       config_setting_name(setting));
        entry = config_entry_find(key);
        if (entry)
            r = take_entry(reader, entry, setting);
        else if (!is_group(key))
            r = refuse_unknown(reader, setting, key);
        else if (config_setting_is_group(setting))
            r = take_group(reader, setting);
        else
            r = config_refuse(reader->error, place_of(reader, setting), key,
                              "found %s; allowed is a group: %s: { ... };",
                              config_found(setting, what), key);
    }
    return r;
}

static int refuse_syntax(const struct reader *reader, const config_t *tree)
{
    unsigned line = (unsigned)config_error_line(tree);
    char source[256] = "", quoted[CONFIG_FOUND_SIZE];

    /* libconfig stops at the next word, however many lines down. */
    while (!config_text_line(reader->text, line, source, sizeof(source)) && line > 1)
        line--;
    return config_refuse(reader->error, config_text_place(reader->text, line), NULL,
                         "found a %s in or before %s; allowed is NAME = VALUE; each name once, "
                         "and GROUP: { ... };",
                         config_error_text(tree), config_quote(source, quoted, sizeof(quoted)));
}

int config_tree_read(const char *path, struct config_draft *draft, char error[CONFIG_ERROR_SIZE])
{
    struct config_text *text;
    struct reader reader = {.draft = draft, .error = error};
    config_t tree;
    int r;

    r = config_text_read(path, &text, error);
    if (r < 0)
        return r;
    reader.text = text;
    config_init(&tree);
    if (config_read_string(&tree, config_text_bytes(text)))
        r = take_group(&reader, config_root_setting(&tree));
    else
        r = refuse_syntax(&reader, &tree);
    config_destroy(&tree);
    config_text_free(text);
    return r;
}
