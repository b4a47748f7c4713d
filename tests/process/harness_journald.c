/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of systemd.io/JOURNAL_NATIVE_PROTOCOL. */
#include "harness_part.h"

#include <endian.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct field {
    const char *key, *value; /* in the entry's bytes */
    size_t length;
};

struct entry {
    char *bytes;
    struct field *fields;
    size_t count;
};

struct journald {
    struct harness_part part;
    struct harness *harness;
    const char *path;
    int fd;
    struct entry *entries;
    size_t count;
    unsigned faults;
};

static void entry_free(struct entry *entry)
{
    free(entry->bytes);
    free(entry->fields);
}

static bool key_is_valid(const char *key)
{
    return key[0] >= 'A' && key[0] <= 'Z' &&
           strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(key);
}

/* One field at `at`: "KEY=value\n" or "KEY\n<64 bit length>value\n".  Puts zeros
 * behind key and value; where the next begins, or NULL. */
static char *field_parse(char *at, const char *end, struct field *field)
{
    char *line = memchr(at, '\n', (size_t)(end - at)), *value, *stop;
    uint64_t length;

    if (!line)
        return NULL;
    value = memchr(at, '=', (size_t)(line - at));
    if (value) {
        *value++ = '\0';
        stop = line;
    } else {
        if ((size_t)(end - line - 1) < sizeof(length))
            return NULL;
        memcpy(&length, line + 1, sizeof(length));
        length = le64toh(length);
        *line = '\0';
        value = line + 1 + sizeof(length);
        if (length >= (uint64_t)(end - value) || value[length] != '\n')
            return NULL;
        stop = value + length;
    }
    *stop = '\0';
    *field = (struct field){.key = at, .value = value, .length = (size_t)(stop - value)};
    return key_is_valid(at) ? stop + 1 : NULL;
}

/* Takes entry->bytes over, of this length and one more. */
static void entry_take(struct journald *journald, char *bytes, size_t length)
{
    struct entry entry = {.bytes = bytes};
    const char *end = bytes + length;
    char *at = bytes;

    while (at && at < end) {
        entry.fields = harness_resize(entry.fields, (entry.count + 1) * sizeof(*entry.fields));
        at = field_parse(at, end, &entry.fields[entry.count]);
        entry.count += at != NULL;
    }
    if (!at || entry.count == 0) {
        journald->faults++;
        entry_free(&entry);
        return;
    }
    journald->entries =
        harness_resize(journald->entries, (journald->count + 1) * sizeof(*journald->entries));
    journald->entries[journald->count++] = entry;
}

/* Large entries come as a file, and no bytes. */
static void file_take(struct journald *journald, int fd)
{
    struct stat found;
    size_t size;
    char *bytes;

    if (fstat(fd, &found) < 0 || found.st_size < 0)
        harness_die("journal: a file without a size");
    size = (size_t)found.st_size;
    bytes = harness_alloc(size + 1);
    if (pread(fd, bytes, size, 0) == found.st_size) {
        entry_take(journald, bytes, size);
    } else {
        journald->faults++;
        free(bytes);
    }
}

static int message_file(struct msghdr *message)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(control), sizeof(fd));
    return fd;
}

static bool journald_take(struct journald *journald)
{
    ssize_t size = recv(journald->fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec part;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    int fd;

    if (size < 0)
        return false;
    part = (struct iovec){.iov_base = harness_alloc((size_t)size + 1), .iov_len = (size_t)size};
    size = recvmsg(journald->fd, &message, MSG_CMSG_CLOEXEC);
    if (size < 0)
        harness_die("journal: %s", strerror(errno));
    fd = message_file(&message);
    if (fd < 0) {
        entry_take(journald, part.iov_base, (size_t)size);
        return true;
    }
    free(part.iov_base);
    file_take(journald, fd);
    close(fd);
    return true;
}

static void journald_pump(struct harness_part *part)
{
    while (journald_take((struct journald *)part))
        continue;
}

static void journald_release(struct harness_part *part)
{
    struct journald *journald = (struct journald *)part;

    close(journald->fd);
    for (size_t i = 0; i < journald->count; i++)
        entry_free(&journald->entries[i]);
    free(journald->entries);
    free(journald);
}

struct journald *journald_open(struct harness *harness)
{
    struct journald *journald = harness_alloc(sizeof(*journald));
    static unsigned number;

    journald->harness = harness;
    journald->path = harness_path(harness, "journal-%u", number++);
    journald->fd = harness_socket(journald->path);
    journald->part.pump = journald_pump;
    journald->part.release = journald_release;
    harness_adopt(harness, &journald->part);
    return journald;
}

const char *journald_path(const struct journald *journald)
{
    return journald->path;
}

size_t journald_count(struct journald *journald)
{
    journald_pump(&journald->part);
    return journald->count;
}

unsigned journald_faults(struct journald *journald)
{
    journald_pump(&journald->part);
    return journald->faults;
}

const char *journald_field(struct journald *journald, size_t n, const char *key, size_t *length)
{
    if (n >= journald_count(journald))
        return NULL;
    for (size_t i = 0; i < journald->entries[n].count; i++) {
        const struct field *field = &journald->entries[n].fields[i];

        if (strcmp(field->key, key) != 0)
            continue;
        if (length)
            *length = field->length;
        return field->value;
    }
    return NULL;
}

long journald_find(struct journald *journald, size_t from, const char *key, const char *regex)
{
    size_t count = journald_count(journald);
    long found = -1;
    regex_t pattern;

    if (regcomp(&pattern, regex, REG_EXTENDED | REG_NOSUB) != 0)
        harness_die("bad pattern: %s", regex);
    for (size_t i = from; i < count && found < 0; i++) {
        const char *value = journald_field(journald, i, key, NULL);

        if (value && regexec(&pattern, value, 0, NULL, 0) == 0)
            found = (long)i;
    }
    regfree(&pattern);
    return found;
}

long journald_wait(struct journald *journald, size_t from, const char *key, const char *regex,
                   double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    long found;

    do
        found = journald_find(journald, from, key, regex);
    while (found < 0 && harness_wait(journald->harness, deadline));
    return found;
}
