/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config.h"

#include "daemon/config_tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void default_texts(const struct config_entry *entry, char *field)
{
    const char *at = entry->text;

    for (size_t i = 0; i == 0 || (i < entry->items && *at); i++) {
        const size_t length = strcspn(at, " ");

        memcpy(field + i * entry->size, at, length);
        at += length + (at[length] == ' ');
    }
}

static void default_value(const struct config_entry *entry, void *field)
{
    if (config_entry_is_text(entry))
        default_texts(entry, field);
    else if (entry->type == ENTRY_NUMBER)
        *(double *)field = (double)entry->standard;
    else
        config_entry_set(entry, field, entry->standard);
}

/* The host's, as far as it can be a name here. */
static void default_name(char name[CONFIG_NAME_SIZE])
{
    char host[HOST_NAME_MAX + 1] = "";

    (void)gethostname(host, sizeof(host) - 1);
    memset(name, 0, CONFIG_NAME_SIZE);
    memcpy(name, host, strnlen(host, CONFIG_NAME_SIZE - 1));
    for (char *c = name; *c; c++)
        if (*c <= ' ' || *c > '~')
            *c = '-';
    if (!name[0])
        memcpy(name, "localhost", sizeof("localhost"));
}

void config_defaults(struct config *config)
{
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < config_table_length; i++)
        default_value(&config_table[i], config_entry_field(&config_table[i], config));
    default_name(config->name);
}

static int is_setting_file(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);

    return length > strlen(".conf") && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + length - strlen(".conf"), ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_one(const char *directory, const char *name, struct config_draft *draft,
                    char error[CONFIG_ERROR_SIZE])
{
    char *path;
    int r;

    if (asprintf(&path, "%s/%s", directory, name) < 0)
        return -ENOMEM;
    r = config_tree_read(path, draft, error);
    free(path);
    return r == -ENOENT ? -EINVAL : r;
}

static int read_directory(const char *path, struct config_draft *draft,
                          char error[CONFIG_ERROR_SIZE])
{
    struct dirent **entries;
    const int count = scandir(path, &entries, is_setting_file, by_name);
    const int failed = errno;
    int r = 0;

    if (count < 0 && failed == ENOENT)
        return 0;
    if (count < 0) {
        (void)config_refuse(error, (struct config_place){.file = path}, NULL,
                            "found %s; allowed is a readable directory, or none",
                            strerrordesc_np(failed));
        return failed == ENOTDIR ? -EINVAL : -failed;
    }
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = read_one(path, entries[i]->d_name, draft, error);
        free(entries[i]);
    }
    free(entries);
    return r;
}

static int read_all(const char *path, struct config_draft *draft, char error[CONFIG_ERROR_SIZE])
{
    char *directory;
    int r;

    r = config_tree_read(path, draft, error);
    if (r < 0)
        return r;
    if (asprintf(&directory, "%s.d", path) < 0)
        return -ENOMEM;
    r = read_directory(directory, draft, error);
    free(directory);
    return r < 0 ? r : config_check(draft, error);
}

int config_load(const char *path, struct config *config, char error[CONFIG_ERROR_SIZE])
{
    struct config_draft *draft = calloc(1, sizeof(*draft));
    int r;

    (void)config_refuse(error, (struct config_place){.file = path}, NULL, "out of memory");
    if (!draft)
        return -ENOMEM;
    config_defaults(&draft->config);
    r = read_all(path, draft, error);
    if (r == 0) {
        if (!draft->config.name[0])
            default_name(draft->config.name);
        *config = draft->config;
        error[0] = '\0';
    }
    free(draft);
    return r;
}

static bool same_texts(const struct config_entry *entry, const void *a, const void *b)
{
    for (size_t i = 0; i == 0 || i < entry->items; i++)
        if (strcmp(config_entry_text(entry, a, i), config_entry_text(entry, b, i)) != 0)
            return false;
    return true;
}

static bool same(const struct config_entry *entry, const void *a, const void *b)
{
    if (config_entry_is_text(entry))
        return same_texts(entry, a, b);
    if (entry->type == ENTRY_NUMBER)
        return memcmp(a, b, sizeof(double)) == 0;
    return config_entry_get(entry, a) == config_entry_get(entry, b);
}

void config_compare(const struct config *before, const struct config *after,
                    void (*differs)(const char *key, bool live, void *context), void *context)
{
    for (size_t i = 0; i < config_table_length; i++) {
        const struct config_entry *entry = &config_table[i];

        if (!same(entry, config_entry_value(entry, before), config_entry_value(entry, after)))
            differs(entry->key, entry->live, context);
    }
}

static void copy_value(const struct config_entry *entry, void *to, const void *from)
{
    if (config_entry_is_text(entry))
        memcpy(to, from, entry->size * (entry->items ? entry->items : 1));
    else if (entry->type == ENTRY_NUMBER)
        *(double *)to = *(const double *)from;
    else
        config_entry_set(entry, to, config_entry_get(entry, from));
}

void config_keep(const struct config *running, struct config *fresh)
{
    for (size_t i = 0; i < config_table_length; i++) {
        const struct config_entry *entry = &config_table[i];

        if (!entry->live)
            copy_value(entry, config_entry_field(entry, fresh),
                       config_entry_value(entry, running));
    }
    /* A master that only the new authentication allows has to wait for it. */
    if (config_forbids_master(fresh))
        memcpy(fresh->slave.master, running->slave.master, sizeof(fresh->slave.master));
}

const char *config_key(size_t n)
{
    return n < config_table_length ? config_table[n].key : NULL;
}
