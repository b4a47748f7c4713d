/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_table: every key of the configuration, once; private to the config room.
 */
#ifndef BERKELEY_DAEMON_CONFIG_TABLE_H
#define BERKELEY_DAEMON_CONFIG_TABLE_H

#include "daemon/config.h"

enum entry_type {
    ENTRY_NAME,     /* printable ASCII without spaces */
    ENTRY_HOST,     /* the same: a host name or a numeric address */
    ENTRY_ADDRESS,  /* numeric address */
    ENTRY_PREFIX,   /* block of addresses, or one */
    ENTRY_FILE,     /* absolute path, empty, or one of words */
    ENTRY_WORD,     /* int: one of words */
    ENTRY_BOOL,     /* bool */
    ENTRY_INTEGER,  /* int64_t */
    ENTRY_NUMBER,   /* double */
    ENTRY_DURATION, /* int64_t ns: text with a unit, or one of words */
};

struct config_word {
    const char *text; /* NULL ends the list */
    int64_t value;
};

struct config_entry {
    const char *key; /* "group.name", or "name" at the top */
    enum entry_type type;
    bool live;       /* a reload puts it into force */
    size_t place;    /* in struct config */
    size_t size;     /* texts: bytes of one, NUL included */
    size_t items;    /* lists: the most items; 0 = not a list */
    int64_t least, most; /* numbers: the range; texts: least length; lists: fewest items */
    int64_t standard;    /* the default of what is not a text */
    const char *text;    /* the default of texts; those of a list with spaces between */
    const struct config_word *words;
    const char *unit;
    const char *help; /* lines of the sample file */
};

#define CONFIG_ENTRIES_MAX 48

extern const struct config_entry config_table[];
extern const size_t config_table_length;

/* NULL if there is none of this key. */
const struct config_entry *config_entry_find(const char *key);

/* Bytes of the group's name in the key; 0 at the top. */
size_t config_entry_group(const struct config_entry *entry);
const char *config_entry_leaf(const struct config_entry *entry);

void *config_entry_field(const struct config_entry *entry, struct config *config);
const void *config_entry_value(const struct config_entry *entry, const struct config *config);
bool config_entry_is_text(const struct config_entry *entry);

/* The n-th text of a list (0: of a single one) in the field. */
const char *config_entry_text(const struct config_entry *entry, const void *field, size_t n);

/* For what is neither a text nor a fraction. */
void config_entry_set(const struct config_entry *entry, void *field, int64_t value);
int64_t config_entry_get(const struct config_entry *entry, const void *field);

#endif
