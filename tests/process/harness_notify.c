/* SPDX-License-Identifier: BSD-2-Clause */
#include "harness_part.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_SIZE 65536

struct notify {
    struct harness_part part;
    struct harness *harness;
    const char *path;
    int fd;
    char **messages;
    size_t count, marked;
    char *last; /* what notify_last() returned */
};

static void notify_pump(struct harness_part *part)
{
    struct notify *notify = (struct notify *)part;
    char message[MESSAGE_SIZE];
    ssize_t length;

    /* Without room for control messages the kernel drops descriptors that came along. */
    while ((length = recv(notify->fd, message, sizeof(message) - 1, 0)) >= 0) {
        message[length] = '\0';
        notify->messages =
            harness_resize(notify->messages, (notify->count + 1) * sizeof(*notify->messages));
        notify->messages[notify->count] = harness_alloc((size_t)length + 1);
        memcpy(notify->messages[notify->count++], message, (size_t)length);
    }
}

static void notify_release(struct harness_part *part)
{
    struct notify *notify = (struct notify *)part;

    close(notify->fd);
    for (size_t i = 0; i < notify->count; i++)
        free(notify->messages[i]);
    free(notify->messages);
    free(notify->last);
    free(notify);
}

struct notify *notify_open(struct harness *harness)
{
    struct notify *notify = harness_alloc(sizeof(*notify));
    static unsigned number;

    notify->harness = harness;
    notify->path = harness_path(harness, "notify-%u", number++);
    notify->fd = harness_socket(notify->path);
    notify->part.pump = notify_pump;
    notify->part.release = notify_release;
    harness_adopt(harness, &notify->part);
    return notify;
}

const char *notify_path(const struct notify *notify)
{
    return notify->path;
}

const char *notify_message(struct notify *notify, size_t n)
{
    notify_pump(&notify->part);
    return n < notify->count ? notify->messages[n] : NULL;
}

/* The first line of the message that begins with text. */
static const char *line_find(const char *message, const char *text)
{
    while (message && strncmp(message, text, strlen(text)) != 0) {
        message = strchr(message, '\n');
        if (message)
            message++;
    }
    return message;
}

unsigned notify_count(struct notify *notify, const char *text)
{
    unsigned count = 0;

    notify_pump(&notify->part);
    for (size_t i = notify->marked; i < notify->count; i++)
        count += line_find(notify->messages[i], text) != NULL;
    return count;
}

bool notify_wait(struct notify *notify, const char *text, double seconds)
{
    int64_t deadline = harness_deadline(seconds);

    do {
        if (notify_count(notify, text) > 0)
            return true;
    } while (harness_wait(notify->harness, deadline));
    return false;
}

const char *notify_last(struct notify *notify, const char *variable)
{
    size_t length = strlen(variable);

    notify_pump(&notify->part);
    for (size_t i = notify->count; i-- > notify->marked;) {
        const char *line = notify->messages[i];

        while ((line = line_find(line, variable)) && line[length] != '=')
            line += length;
        if (line) {
            free(notify->last);
            notify->last = strndup(line + length + 1, strcspn(line + length + 1, "\n"));
            return notify->last;
        }
    }
    return NULL;
}

void notify_mark(struct notify *notify)
{
    notify_pump(&notify->part);
    notify->marked = notify->count;
}
