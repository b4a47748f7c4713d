/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_remote.h"

#include "daemon/clock_call.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct remote {
    struct kernel_port local;
    struct sockaddr_un address;
    int fd; /* or -1 */
    uint32_t sequence;
    bool answered; /* once */
    bool late;     /* nothing since it was last waited for */
};

static int disconnect(struct remote *remote, int error)
{
    (void)close(remote->fd);
    remote->fd = -1;
    return error;
}

static int reach(struct remote *remote)
{
    if (remote->fd >= 0)
        return 0;
    remote->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (remote->fd < 0)
        return -errno;
    if (connect(remote->fd, (const struct sockaddr *)&remote->address, sizeof remote->address) < 0)
        return disconnect(remote, -errno);
    return 0;
}

static int send_call(struct remote *remote, const struct clock_call *call)
{
    int r = reach(remote);

    if (r < 0)
        return r;
    if (send(remote->fd, call, sizeof *call, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof *call)
        return 0;
    /* So many questions wait already that there is no room for another. */
    if (errno == EAGAIN)
        return -ETIMEDOUT;
    return disconnect(remote, errno == EPIPE ? -ECONNRESET : -errno);
}

static int wait_readable(const struct remote *remote, int64_t deadline_ns)
{
    struct pollfd pollfd = {.fd = remote->fd, .events = POLLIN};
    int64_t left_ns;
    int r;

    do {
        left_ns = deadline_ns - clock_call_now_ns();
        if (left_ns <= 0)
            return -ETIMEDOUT;
        struct timespec left = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
        r = ppoll(&pollfd, 1, &left, NULL);
    } while (r == 0 || (r < 0 && errno == EINTR));
    return r < 0 ? -errno : 0;
}

/* Answers to what was given up on come late. */
static int receive_answer(struct remote *remote, const struct clock_call *call,
                          struct clock_call *answer)
{
    ssize_t length;
    int r;

    do {
        r = wait_readable(remote, call->deadline_ns);
        if (r < 0) {
            remote->late = true;
            return r;
        }
        length = recv(remote->fd, answer, sizeof *answer, MSG_DONTWAIT | MSG_TRUNC);
        if (length <= 0)
            return disconnect(remote, -ECONNRESET);
        if (length != (ssize_t)sizeof *answer || answer->version != CLOCK_CALL_VERSION)
            return disconnect(remote, -EPROTO);
    } while (answer->sequence != call->sequence);
    remote->answered = true;
    remote->late = false;
    return 0;
}

/* A late answer: the server is slow, but does not hang. */
static bool has_spoken(const struct remote *remote)
{
    struct pollfd pollfd = {.fd = remote->fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) > 0;
}

/* Nobody else is kept waiting again and again for a server that hangs. */
static int64_t wait_time(const struct remote *remote)
{
    if (!remote->answered)
        return CLOCK_REMOTE_FIRST_WAIT_NS;
    return remote->late && !has_spoken(remote) ? CLOCK_REMOTE_LATE_WAIT_NS : CLOCK_REMOTE_WAIT_NS;
}

static int remote_adjust(void *context, struct timex *timex)
{
    struct remote *remote = context;
    struct clock_call answer, call = {.version = CLOCK_CALL_VERSION,
                                      .sequence = ++remote->sequence,
                                      .deadline_ns = clock_call_now_ns() + wait_time(remote)};
    int r;

    clock_call_put(&call, timex);
    r = send_call(remote, &call);
    if (r >= 0)
        r = receive_answer(remote, &call, &answer);
    if (r < 0)
        return r;
    if (answer.result >= 0)
        clock_call_get(&answer, timex);
    return answer.result;
}

static int remote_read(void *context, struct reading *reading)
{
    const struct kernel_port *local = &((struct remote *)context)->local;

    return local->read(local->context, reading);
}

static int remote_convert(void *context, int64_t real_ns, struct reading *reading)
{
    const struct kernel_port *local = &((struct remote *)context)->local;

    return local->convert(local->context, real_ns, reading);
}

static int remote_suspended(void *context, int64_t *ns)
{
    const struct kernel_port *local = &((struct remote *)context)->local;

    return local->suspended(local->context, ns);
}

static int remote_watch_fd(void *context)
{
    const struct kernel_port *local = &((struct remote *)context)->local;

    return local->watch_fd(local->context);
}

static void remote_acknowledge(void *context)
{
    const struct kernel_port *local = &((struct remote *)context)->local;

    local->acknowledge(local->context);
}

static void remote_release(void *context)
{
    struct remote *remote = context;

    if (remote->fd >= 0)
        (void)close(remote->fd);
    remote->local.release(remote->local.context);
    free(remote);
}

static int open_remote(struct remote *remote, const char *path)
{
    int r = clock_call_address(path, &remote->address);

    return r < 0 ? r : reach(remote);
}

int clock_remote_port(const char *path, const struct kernel_port *local, struct kernel_port *port)
{
    struct remote *remote = calloc(1, sizeof *remote);
    int r;

    if (!remote) {
        local->release(local->context);
        return -ENOMEM;
    }
    remote->local = *local;
    remote->fd = -1;
    r = open_remote(remote, path);
    if (r < 0) {
        remote_release(remote);
        return r;
    }
    *port = (struct kernel_port){
        .adjust = remote_adjust,
        .read = remote_read,
        .convert = remote_convert,
        .suspended = remote_suspended,
        .watch_fd = remote_watch_fd,
        .acknowledge = remote_acknowledge,
        .release = remote_release,
        .context = remote,
        .precision_ns = remote->local.precision_ns,
        .units = remote->local.units,
        .processes = remote->local.processes,
    };
    return 0;
}
