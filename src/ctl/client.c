/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)16 * 1024 * 1024)
#define CHUNK ((size_t)64 * 1024)

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* The backlog of a busy daemon may be full: connecting has to end as well. */
static int client_connect(const char *path, int64_t patience_ms)
{
    const struct timeval patience = {.tv_sec = patience_ms / 1000,
                                     .tv_usec = patience_ms % 1000 * 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, r;

    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    r = errno == EAGAIN ? -ETIMEDOUT : -errno;
    close(fd);
    return r;
}

/* All until the end, with a NUL; the caller's to free. */
static int client_receive(int fd, int64_t deadline_ms, char **text)
{
    size_t length = 0, room = 0;

    for (;;) {
        struct pollfd input = {.fd = fd, .events = POLLIN};
        int64_t left_ms = deadline_ms - now_ms();
        ssize_t n;

        if (room - length < CHUNK) {
            char *more = room < ANSWER_MAX ? realloc(*text, room + 2 * CHUNK) : NULL;

            if (!more)
                return room < ANSWER_MAX ? -ENOMEM : -EBADMSG;
            *text = more;
            room += 2 * CHUNK;
        }
        if (left_ms <= 0 || poll(&input, 1, (int)left_ms) == 0)
            return -ETIMEDOUT;
        n = recv(fd, *text + length, room - length - 1, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n == 0) {
            (*text)[length] = '\0';
            return 0;
        }
        length += n > 0 ? (size_t)n : 0;
    }
}

static int parse(const char *text, struct json_object **answer)
{
    struct json_object *object = json_tokener_parse(text);

    if (!json_object_is_type(object, json_type_object)) {
        (void)json_object_put(object);
        return -EBADMSG;
    }
    *answer = object;
    return 0;
}

int client_ask(const char *path, const char *question, int64_t patience_ms,
               struct json_object **answer)
{
    const int64_t deadline_ms = now_ms() + patience_ms;
    char *text = NULL;
    int fd = client_connect(path, patience_ms);
    int r = 0;

    if (fd < 0)
        return fd;
    if (send(fd, question, strlen(question), MSG_NOSIGNAL) < 0)
        r = errno == EAGAIN ? -ETIMEDOUT : -errno;
    if (r == 0)
        r = client_receive(fd, deadline_ms, &text);
    if (r == 0)
        r = parse(text, answer);
    free(text);
    close(fd);
    return r;
}
