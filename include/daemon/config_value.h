/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_value: single values as text, and what is allowed; private to the
 * config room.
 */
#ifndef BERKELEY_DAEMON_CONFIG_VALUE_H
#define BERKELEY_DAEMON_CONFIG_VALUE_H

#include "daemon/config_table.h"

#include <libconfig.h>

#define CONFIG_VALUE_SIZE 48
#define CONFIG_ALLOWED_SIZE 192
#define CONFIG_FOUND_SIZE 72

/* The fewest digits that read back to the same; buffer holds CONFIG_VALUE_SIZE bytes, and is
 * returned. */
const char *config_number_print(double value, char *buffer);

/* A value that is no text, as it stands in a file; likewise. */
const char *config_value_print(const struct config_entry *entry, const void *field, char *buffer);

/* In double quotes, every byte that is not printable as \xHH, what is long cut; returns buffer. */
const char *config_quote(const char *text, char *buffer, size_t size);

/* What stands in a file, in words: "a list", "5525"; buffer holds CONFIG_FOUND_SIZE bytes, and is
 * returned or not. */
const char *config_found(const config_setting_t *setting, char *buffer);

/* 0 or -ENOENT. */
int config_word_find(const struct config_word *words, const char *text, int64_t *value);
const char *config_word_text(const struct config_word *words, int64_t value); /* or NULL */

/* 0; -EINVAL: not a value of this entry; -ENAMETOOLONG; -ERANGE: a block whose address has bits
 * beyond those that count. */
int config_text_check(const struct config_entry *entry, const char *text);

/* The block that "192.0.2.7/24" lies in, "192.0.2.0/24", in a buffer of CONFIG_PREFIX_SIZE bytes;
 * false if it has more bits than the address. */
bool config_prefix_block(const char *text, char *buffer);

/* True for 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104 written as numbers. */
bool config_address_is_loopback(const char *text);
bool config_address_is_numeric(const char *text);

/* "an integer from 1 to 8": for errors and the sample; buffer holds CONFIG_ALLOWED_SIZE bytes,
 * and is returned. */
const char *config_allowed(const struct config_entry *entry, char *buffer);

#endif
