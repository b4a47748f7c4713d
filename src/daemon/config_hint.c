/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/config_tree.h"

#include <string.h>

#define KEY_MAX 48

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's: insertions, deletions and substitutions that make one the other. */
static size_t distance(const char *from, const char *to)
{
    const size_t width = strlen(to);
    size_t row[KEY_MAX + 1];

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; from[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            const size_t substituted = diagonal + (from[i - 1] != to[j - 1]);

            diagonal = row[j];
            row[j] = least_of(substituted, 1 + least_of(row[j], row[j - 1]));
        }
    }
    return row[width];
}

static const char *leaf_of(const char *key)
{
    const char *dot = strchr(key, '.');

    return dot ? dot + 1 : key;
}

/* How far the key is from this entry: the right leaf elsewhere is nearest. */
static size_t remoteness(const char *key, const struct config_entry *entry)
{
    const char *leaf = leaf_of(key);
    const char *own = config_entry_leaf(entry);
    size_t far;

    if (strcmp(leaf, own) == 0)
        return 0;
    far = least_of(distance(key, entry->key), 1 + distance(leaf, own));
    if (strlen(leaf) >= 4 && strncmp(leaf, own, strlen(leaf)) == 0)
        far = 1;
    return far;
}

static bool hint_group(const char *key, char *buffer, size_t size)
{
    for (size_t i = 0; i < config_table_length; i++) {
        char group[KEY_MAX];

        (void)snprintf(group, sizeof(group), "%.*s", (int)config_entry_group(&config_table[i]),
                       config_table[i].key);
        if (group[0] && distance(key, group) <= 2) {
            (void)snprintf(buffer, size, "%s", group);
            return true;
        }
    }
    return false;
}

bool config_hint(const char *key, bool group, char *buffer, size_t size)
{
    const size_t near = 1 + strlen(leaf_of(key)) / 4;
    size_t nearest = near + 1;

    if (strlen(key) > KEY_MAX)
        return false;
    if (group)
        return hint_group(key, buffer, size);
    for (size_t i = 0; i < config_table_length; i++) {
        const struct config_entry *entry = &config_table[i];
        const size_t far = remoteness(key, entry);

        if (far > near || far > nearest)
            continue;
        if (far < nearest)
            (void)snprintf(buffer, size, "%s", entry->key);
        else
            (void)snprintf(buffer + strlen(buffer), size - strlen(buffer), " or %s", entry->key);
        nearest = far;
    }
    return nearest <= near;
}
