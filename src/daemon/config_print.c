/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config_value.h"

#include <string.h>

static const char opening[] =
    "# Berkeley keeps a group of machines on one common time.  Two edits are common:\n"
    "#   on every slave, slave.master: the master's host name or address;\n"
    "#   on the master, master.listen: the addresses that slaves reach it by;\n"
    "# and with either, a key: until there is one, nothing leaves the machine.\n"
    "# \"berkeleyctl keygen\" makes one, for all machines of the group.\n"
    "#\n"
    "# Every key here is at its default: take the \"#\" before it away to change it.\n"
    "# Durations are text with a unit: ns, us, ms, s, min, h or d.  Files that end in\n"
    "# .conf in berkeley.conf.d come after this one.  See berkeley.conf(5).\n";

static void print_text(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (; *text; text++)
        (void)fprintf(out, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    (void)fputc('"', out);
}

static void print_list(const struct config_entry *entry, const void *field, FILE *out)
{
    (void)fputc('[', out);
    for (size_t i = 0; i < entry->items; i++) {
        const char *text = config_entry_text(entry, field, i);

        if (!*text)
            break;
        (void)fputs(i ? ", " : "", out);
        print_text(text, out);
    }
    (void)fputc(']', out);
}

static void print_setting(const struct config_entry *entry, const struct config *config, FILE *out)
{
    const void *field = config_entry_value(entry, config);
    char value[CONFIG_VALUE_SIZE];

    (void)fprintf(out, "%s = ", config_entry_leaf(entry));
    if (entry->items)
        print_list(entry, field, out);
    else if (config_entry_is_text(entry))
        print_text(field, out);
    else
        (void)fputs(config_value_print(entry, field, value), out);
    (void)fputs(";\n", out);
}

static void print_help(const struct config_entry *entry, const char *indent, FILE *out)
{
    char allowed[CONFIG_ALLOWED_SIZE];

    for (const char *line = entry->help; *line;) {
        const size_t length = strcspn(line, "\n");

        (void)fprintf(out, "%s# %.*s\n", indent, (int)length, line);
        line += length + (line[length] == '\n');
    }
    config_allowed(entry, allowed);
    (void)fprintf(out, "%s# Allowed: %s.%s\n", indent, allowed,
                  entry->live ? "" : "  Needs a restart.");
}

/* before NULL: none. */
static bool same_group(const struct config_entry *before, const struct config_entry *entry)
{
    const size_t length = config_entry_group(entry);

    if (!before)
        return length == 0;
    return config_entry_group(before) == length && strncmp(before->key, entry->key, length) == 0;
}

/* Closes the group of `before` and opens that of `entry`; NULL: none. */
static void print_between(const struct config_entry *before, const struct config_entry *entry,
                          FILE *out)
{
    const size_t from = before ? config_entry_group(before) : 0;
    const size_t to = entry ? config_entry_group(entry) : 0;

    if (from > 0)
        (void)fputs("};\n", out);
    if (to > 0)
        (void)fprintf(out, "\n%.*s:\n{\n", (int)to, entry->key);
}

static void print_all(const struct config *config, bool sample, FILE *out)
{
    const struct config_entry *before = NULL;

    for (size_t i = 0; i < config_table_length; i++) {
        const struct config_entry *entry = &config_table[i];
        const char *indent = config_entry_group(entry) ? "    " : "";

        if (!same_group(before, entry))
            print_between(before, entry, out);
        else if (sample)
            (void)fputc('\n', out);
        if (sample)
            print_help(entry, indent, out);
        (void)fprintf(out, "%s%s", indent, sample ? "#" : "");
        print_setting(entry, config, out);
        before = entry;
    }
    print_between(before, NULL, out);
}

void config_print(const struct config *config, FILE *out)
{
    print_all(config, false, out);
}

void config_sample(FILE *out)
{
    struct config config;

    config_defaults(&config);
    config.name[0] = '\0';
    (void)fputs(opening, out);
    print_all(&config, true, out);
}
