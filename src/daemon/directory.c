/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int directory_file(const char *variable, const char *name, char *path, size_t size)
{
    const char *directories = getenv(variable);
    const size_t name_size = strlen(name) + 1;
    size_t length;

    if (!directories || *directories != '/')
        return -ENOENT;
    length = strcspn(directories, ":");
    if (length + 1 + name_size > size)
        return -ENAMETOOLONG;
    memcpy(path, directories, length);
    path[length] = '/';
    memcpy(path + length + 1, name, name_size);
    return 0;
}
