/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/keyring_file.h"

#include "daemon/keyring_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%="
#define OWNER_SIZE 80

static int complain(int error, char line[KEYRING_ERROR_SIZE], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(int error, char line[KEYRING_ERROR_SIZE], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, KEYRING_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return -error;
}

gid_t keyring_file_group(void)
{
    const struct group *group = getgrnam(KEYRING_SERVICE);

    return group ? group->gr_gid : 0;
}

/* As a word of a shell's; false if it does not fit. */
static bool quote(const char *path, char *word, size_t size)
{
    size_t length = 0;

    if (path[0] != '-' && path[0] != '\0' && path[strspn(path, PLAIN)] == '\0')
        return (size_t)snprintf(word, size, "%s", path) < size;
    if (size < 6)
        return false;
    length = (size_t)snprintf(word, size, "%s'", path[0] == '-' ? "./" : "");
    for (; *path != '\0'; path++) {
        const char *text = *path == '\'' ? "'\\''" : (const char[]){*path, '\0'};

        if (length + strlen(text) + 2 > size)
            return false;
        length += (size_t)snprintf(word + length, size - length, "%s", text);
    }
    (void)snprintf(word + length, size - length, "'");
    return true;
}

/* Whose the file ought to be.  An ordinary user's own files are for himself alone. */
static const char *proper(char owner[OWNER_SIZE])
{
    const uid_t uid = geteuid();
    const struct passwd *user = getpwuid(uid);
    const bool service = user && strcmp(user->pw_name, KEYRING_SERVICE) == 0;
    const gid_t gid = service ? getegid() : uid == 0 ? keyring_file_group() : getegid();
    char user_name[OWNER_SIZE / 2], group_name[OWNER_SIZE / 2];
    const struct group *group;

    (void)snprintf(user_name, sizeof user_name, "%u", (unsigned)uid);
    if (user)
        (void)snprintf(user_name, sizeof user_name, "%s", service ? "root" : user->pw_name);
    group = getgrgid(gid);
    (void)snprintf(group_name, sizeof group_name, "%u", (unsigned)gid);
    if (group)
        (void)snprintf(group_name, sizeof group_name, "%s", group->gr_name);
    (void)snprintf(owner, OWNER_SIZE, "%s:%s", user_name, group_name);
    return service || (uid == 0 && gid != 0) ? "0640" : "0600";
}

static int complain_with_command(int error, char line[KEYRING_ERROR_SIZE], const char *path,
                                 const char *found)
{
    char owner[OWNER_SIZE], word[KEYRING_ERROR_SIZE / 4];
    const char *mode = proper(owner);

    if (!quote(path, word, sizeof word))
        return complain(error, line, "%.300s: found %s; allowed is %s %s", path, found, mode,
                        owner);
    return complain(error, line, "%s: found %s; this mends it: chown %s %s && chmod %s %s", path,
                    found, owner, word, mode, word);
}

static bool is_our_group(gid_t group)
{
    const int most = getgroups(0, NULL);
    gid_t *groups = calloc(most > 0 ? (size_t)most : 1, sizeof *groups);
    const int count = groups ? getgroups(most, groups) : 0;
    bool ours = group == getegid();

    for (int i = 0; i < count && !ours; i++)
        ours = groups[i] == group;
    free(groups);
    return ours;
}

static bool may_read(gid_t group)
{
    return group == 0 || is_our_group(group) || group == keyring_file_group();
}

static int check_rights(const char *path, const struct stat *status, char line[KEYRING_ERROR_SIZE])
{
    const mode_t mode = status->st_mode & 07777;
    char found[128];

    if (status->st_uid != 0 && status->st_uid != geteuid())
        (void)snprintf(found, sizeof found, "user %u as its owner, who could change it",
                       (unsigned)status->st_uid);
    else if (mode & S_IRWXO)
        (void)snprintf(found, sizeof found, "mode %04o, which is access for everybody",
                       (unsigned)mode);
    else if (mode & (S_IWGRP | S_IXGRP))
        (void)snprintf(found, sizeof found, "mode %04o, by which its group may do more than read",
                       (unsigned)mode);
    else if ((mode & S_IRGRP) && !may_read(status->st_gid))
        (void)snprintf(found, sizeof found, "mode %04o and group %u, which could read it",
                       (unsigned)mode, (unsigned)status->st_gid);
    else
        return 0;
    return complain_with_command(EPERM, line, path, found);
}

static int check(const char *path, const struct stat *status, char line[KEYRING_ERROR_SIZE])
{
    if (!S_ISREG(status->st_mode))
        return complain(EINVAL, line, "%s: found no regular file; allowed is one of text", path);
    if (status->st_size < 0 || (uint64_t)status->st_size > KEYRING_FILE_MAX)
        return complain(EINVAL, line, "%s: found %lld bytes; allowed are %zu", path,
                        (long long)status->st_size, KEYRING_FILE_MAX);
    return check_rights(path, status, line);
}

/* Up to size bytes; how many there were, or -errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    size_t length = 0;

    while (length < size) {
        const ssize_t r = read(fd, text + length, size - length);

        if (r == 0)
            break;
        if (r < 0 && errno != EINTR)
            return -errno;
        length += r > 0 ? (size_t)r : 0;
    }
    return (ssize_t)length;
}

static size_t memory_size(const struct stat *status)
{
    return (size_t)status->st_size + 1;
}

static int take_in(int fd, const char *path, struct keyring_file *file,
                   char line[KEYRING_ERROR_SIZE])
{
    ssize_t length;

    file->text = keyring_memory_new(memory_size(&file->status));
    if (!file->text)
        return complain(ENOMEM, line, "%s: out of memory", path);
    length = read_all(fd, file->text, memory_size(&file->status));
    if (length == (ssize_t)file->status.st_size) {
        file->length = (size_t)length;
        return 0;
    }
    keyring_file_free(file);
    if (length < 0)
        return complain((int)-length, line, "%s: cannot be read: %s", path, strerror((int)-length));
    return complain(EINVAL, line, "%s: was changed while it was read", path);
}

static int open_file(const char *path, char line[KEYRING_ERROR_SIZE])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const int error = errno;

    if (fd >= 0)
        return fd;
    if (error == EACCES)
        return complain_with_command(error, line, path, "that we may not read it");
    if (error == ENOENT)
        return complain(error, line, "%s: found no such file; `berkeleyctl keygen` writes one",
                        path);
    return complain(error, line, "%s: cannot be opened: %s", path, strerror(error));
}

int keyring_file_read(const char *path, struct keyring_file *file, char line[KEYRING_ERROR_SIZE])
{
    struct keyring_file read = {.text = NULL};
    const int fd = open_file(path, line);
    int r;

    if (fd < 0)
        return fd;
    if (fstat(fd, &read.status) < 0)
        r = complain(errno, line, "%s: cannot be read: %s", path, strerror(errno));
    else
        r = check(path, &read.status, line);
    if (r == 0)
        r = take_in(fd, path, &read, line);
    (void)close(fd);
    if (r == 0)
        *file = read;
    return r;
}

void keyring_file_free(struct keyring_file *file)
{
    keyring_memory_free(file->text, memory_size(&file->status));
    file->text = NULL;
}
