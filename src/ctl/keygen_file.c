/* SPDX-License-Identifier: BSD-2-Clause */
#include "keygen_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int open_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const int length = slash ? (int)(slash - path) : 0;
    int fd;

    if (strlen(path) >= sizeof directory)
        return -ENAMETOOLONG;
    if (length > 0)
        (void)snprintf(directory, sizeof directory, "%.*s", length, path);
    else
        (void)snprintf(directory, sizeof directory, "%s", slash ? "/" : ".");
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int keygen_file_lock(const char *path)
{
    const int fd = open_directory(path);
    int r;

    if (fd < 0)
        return fd;
    do
        r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
    while (r == -EINTR);
    if (r < 0)
        (void)close(fd);
    return r < 0 ? r : fd;
}

int keygen_file_put(int fd, const struct keygen_text *text)
{
    for (size_t done = 0; done < text->length;) {
        const ssize_t r = write(fd, text->bytes + done, text->length - done);

        if (r < 0 && errno != EINTR)
            return -errno;
        done += r > 0 ? (size_t)r : 0;
    }
    return 0;
}

/* The mode last: nobody else may read before owner and group are right. */
static int fill(int fd, const struct keygen_text *text, const struct stat *like)
{
    int r = keygen_file_put(fd, text);

    if (r < 0)
        return r;
    if (fchown(fd, like->st_uid, like->st_gid) < 0 || fchmod(fd, like->st_mode & 07777) < 0 ||
        fsync(fd) < 0)
        return -errno;
    return 0;
}

static int put_in_place(const char *temporary, const char *path, bool with_old)
{
    if (with_old)
        return rename(temporary, path) < 0 ? -errno : 0;
    /* rename() would replace a file that came in the meantime. */
    if (link(temporary, path) < 0)
        return -errno;
    (void)unlink(temporary);
    return 0;
}

static void sync_directory(const char *path)
{
    const int fd = open_directory(path);

    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

int keygen_file_write(const char *path, const struct keygen_text *text, const struct stat *like,
                      bool with_old)
{
    char temporary[PATH_MAX];
    int fd, r;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return -ENAMETOOLONG;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = fill(fd, text, like);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0)
        r = put_in_place(temporary, path, with_old);
    if (r == 0)
        sync_directory(path);
    else
        (void)unlink(temporary);
    return r;
}
