/* SPDX-License-Identifier: BSD-2-Clause */
/* keyring_file: the bytes of a key file, if nobody but those who may could read or change it. */
#ifndef BERKELEY_DAEMON_KEYRING_FILE_H
#define BERKELEY_DAEMON_KEYRING_FILE_H

#include "daemon/keyring.h"

#include <sys/stat.h>

#define KEYRING_SERVICE "berkeley" /* the system user that runs the daemon, and its group */

struct keyring_file {
    char *text; /* length bytes in keyring_memory, and a NUL */
    size_t length;
    struct stat status;
};

/* Errors as those of keyring_load(), with *file untouched. */
int keyring_file_read(const char *path, struct keyring_file *file, char error[KEYRING_ERROR_SIZE]);
/* Wipes. */
void keyring_file_free(struct keyring_file *file);

/* The group that a file of the system's is for, or root's if the system has not got it. */
gid_t keyring_file_group(void);

#endif
