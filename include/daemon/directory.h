/* SPDX-License-Identifier: BSD-2-Clause */
/* directory: the directories that the service manager gives a unit, see systemd.exec(5). */
#ifndef BERKELEY_DAEMON_DIRECTORY_H
#define BERKELEY_DAEMON_DIRECTORY_H

#include <stddef.h>

/* The path of the file of that name in the first directory of $RUNTIME_DIRECTORY, say.  0, or
 * with nothing written -ENOENT if the variable names no absolute directory, -ENAMETOOLONG. */
int directory_file(const char *variable, const char *name, char *path, size_t size);

#endif
