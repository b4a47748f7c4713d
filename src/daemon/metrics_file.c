/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Not synchronised with the disk: after a crash of the machine it is of no use anyway. */
static int write_file(const char *path, const char *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int r;

    if (fd < 0)
        return -errno;
    r = write_all(fd, bytes, length);
    /* Whatever the umask. */
    if (r == 0 && fchmod(fd, 0644) < 0)
        r = -errno;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

/* One name for all, so that what a killed daemon left there is not there for long. */
static int replace(const char *path, const char *new_path, const char *bytes, size_t length)
{
    int r;

    if (unlink(new_path) < 0 && errno != ENOENT)
        return -errno;
    r = write_file(new_path, bytes, length);
    if (r == 0 && rename(new_path, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(new_path);
    return r;
}

int metrics_file_write(const char *path, const char *bytes, size_t length)
{
    char *new_path;
    int r;

    if (asprintf(&new_path, "%s.new", path) < 0)
        return -ENOMEM;
    r = replace(path, new_path, bytes, length);
    free(new_path);
    return r;
}

void metrics_file_remove(const char *path)
{
    (void)unlink(path);
}
