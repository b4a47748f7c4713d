/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyring: the keys of the group, from a file of text.
 *
 *   # comment
 *   IDENTITY KEY [NAME]
 *
 * IDENTITY: 1 to 63 printable ASCII characters without spaces, each once in a file; it does not
 * begin with '#'.  KEY: 64 hexadecimal digits, each key once in a file.  NAME: the only machine
 * that may use this key; written like an identity.
 * The first line is the one a slave tries first.
 *
 * Secrets live in memory that is wiped when freed and left out of core dumps; nothing
 * here prints one, errors neither.
 */
#ifndef BERKELEY_DAEMON_KEYRING_H
#define BERKELEY_DAEMON_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYRING_NAME_SIZE 64 /* identities and names, NUL included */
#define KEYRING_SECRET_SIZE 32
#define KEYRING_FILE_MAX ((size_t)4 * 1024 * 1024)
#define KEYRING_ERROR_SIZE 1024

struct key {
    char identity[KEYRING_NAME_SIZE];
    char name[KEYRING_NAME_SIZE]; /* "": anybody's */
    uint8_t secret[KEYRING_SECRET_SIZE];
};

struct keyring;

/* 0, or -errno with *keyring untouched and in `error` one line "FILE:LINE: found ...; allowed is
 * ..." that holds nothing of what a key may be: -ENOENT (no such file; error is set as well),
 * -EACCES not readable, -EPERM an owner, group or mode by which others can read or change it (both
 * lines tell the command that mends it), -EINVAL its content or kind, or what reading failed with.
 * The owner has to be root or the caller's user; a group may read if it is root's, the service's
 * or one of the caller's. */
int keyring_load(const char *path, struct keyring **keyring, char error[KEYRING_ERROR_SIZE]);

/* The same of text in memory, which stays the caller's to wipe. */
int keyring_parse(const char *path, const char *text, size_t length, struct keyring **keyring,
                  char error[KEYRING_ERROR_SIZE]);

/* Wipes. NULL is allowed. */
void keyring_free(struct keyring *keyring);

/* At least 1. */
size_t keyring_count(const struct keyring *keyring);
/* In the order of the file; NULL beyond the last. */
const struct key *keyring_at(const struct keyring *keyring, size_t n);
/* NULL: there is none.  Quick with 10,000 of them. */
const struct key *keyring_find(const struct keyring *keyring, const char *identity);

/* The first key at or after place `from` that the machine of this name may use, and its place
 * (place may be NULL); NULL: none. */
const struct key *keyring_usable(const struct keyring *keyring, const char *name, size_t from,
                                 size_t *place);

/* True if both hold this identity with the same secret and the same name. */
bool keyring_agree(const struct keyring *one, const struct keyring *other, const char *identity);

#endif
