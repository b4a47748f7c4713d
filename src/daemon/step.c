/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/step.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The process may have to be started first. */
#define PATIENCE_S 10

_Static_assert(sizeof(struct step_permit) == 2 * 4 + 2 * 8, "no padding");

static int64_t deadline(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec + PATIENCE_S) * INT64_C(1000000000) + now.tv_nsec;
}

static int reach(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, r;

    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    r = errno == EAGAIN ? -ETIMEDOUT : -errno;
    (void)close(fd);
    return r;
}

static int ask(int fd, struct step_permit *permit)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    ssize_t length;

    if (send(fd, permit, sizeof *permit, MSG_NOSIGNAL) != (ssize_t)sizeof *permit)
        return errno == EPIPE ? -ECONNRESET : -errno;
    if (poll(&pollfd, 1, PATIENCE_S * 1000) <= 0)
        return -ETIMEDOUT;
    length = recv(fd, permit, sizeof *permit, MSG_TRUNC);
    if (length <= 0)
        return -ECONNRESET;
    if (length != (ssize_t)sizeof *permit || permit->version != STEP_PERMIT_VERSION)
        return -EPROTO;
    return permit->result;
}

int step_permit(const char *path, int64_t step_ns)
{
    struct step_permit permit = {
        .version = STEP_PERMIT_VERSION, .deadline_ns = deadline(), .step_ns = step_ns};
    int fd = reach(path);
    int r;

    if (fd < 0)
        return fd;
    r = ask(fd, &permit);
    (void)close(fd);
    return r;
}

const char *step_error(int error)
{
    switch (error) {
    case -EROFS:
        return "this clock is only observed, or something better keeps it: it is not ours to set";
    case -EALREADY:
        return "the clock was synchronised since the daemon's start, and then nothing steps it; "
               "what is left is slewed";
    case -EEXIST:
        return "the clock was stepped since the daemon's start already, and that is done once";
    case -ENODATA:
        return "it is not known by how much the clock is off: the group has not told yet";
    case -EBUSY:
        return "less than 500 ms is left to correct: that is not worth a step, and is slewed";
    case -ESTALE:
        return "the correction is not what was confirmed any more; ask for it again";
    case -ECANCELED:
        return "the clock could not be looked at, or the group said something else just now; ask "
               "for it again";
    case -EPERM:
        return "the process that sets the clock has no permit from root for this step; "
               "berkeleyctl step, run as root, gives it";
    default:
        return strerror(error < 0 ? -error : error);
    }
}
