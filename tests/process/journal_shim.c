/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal_shim: preloaded, leads what is sent to the journal's socket, whose
 * address libsystemd has built in, to $BERKELEY_JOURNAL_SOCKET.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* dlsym() returns a pointer to data; this says the same without a cast. */
static void next_find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(function, &found, sizeof(found));
}

static bool address_lead(const struct sockaddr *address, socklen_t size, struct sockaddr_un *led)
{
    const char *path = getenv("BERKELEY_JOURNAL_SOCKET");
    size_t start = offsetof(struct sockaddr_un, sun_path);

    if (!path || strlen(path) >= sizeof(led->sun_path))
        return false;
    /* The address may end without a zero. */
    if (!address || size < start + strlen(JOURNAL_SOCKET) || address->sa_family != AF_UNIX ||
        memcmp((const char *)address + start, JOURNAL_SOCKET, strlen(JOURNAL_SOCKET)) != 0)
        return false;
    *led = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(led->sun_path, path, strlen(path));
    return true;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*next)(int, const struct msghdr *, int);
    struct sockaddr_un led;
    struct msghdr copy;

    if (!next)
        next_find(&next, "sendmsg");
    if (!next) {
        errno = ENOSYS;
        return -1;
    }
    if (!address_lead(message->msg_name, message->msg_namelen, &led))
        return next(fd, message, flags);
    copy = *message;
    copy.msg_name = &led;
    copy.msg_namelen = sizeof(led);
    return next(fd, &copy, flags);
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    static int (*next)(int, const struct sockaddr *, socklen_t);
    struct sockaddr_un led;

    if (!next)
        next_find(&next, "connect");
    if (!next) {
        errno = ENOSYS;
        return -1;
    }
    if (!address_lead(address, size, &led))
        return next(fd, address, size);
    return next(fd, (const struct sockaddr *)&led, sizeof(led));
}
