/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/clock_server.h"

#include "daemon/clock_call.h"
#include "daemon/journal.h"
#include "daemon/step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG 4

struct clock_server {
    struct kernel_port port;
    struct clock_policy policy;
    sd_event *loop;
    sd_event_source *accepting, *asking, *permitting;
    int listener, client, visitor; /* or -1 */
    const char *settled_file; /* to be made; or NULL */
};

static void tidy(struct clock_server *server)
{
    int r = server->policy.limits.adjust ? clock_kernel_tidy(&server->port) : 0;

    if (r < 0 && r != -EPERM)
        journal_error("Cannot tidy up the clock: %s", strerror(-r));
    clock_policy_tidied(&server->policy);
}

static void drop_client(struct clock_server *server)
{
    if (server->client < 0)
        return;
    server->asking = sd_event_source_disable_unref(server->asking);
    (void)close(server->client);
    server->client = -1;
    tidy(server);
}

static void remember(struct clock_server *server)
{
    int fd;

    if (!server->settled_file || !server->policy.settled)
        return;
    fd = open(server->settled_file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        (void)close(fd);
    else
        journal_warning("Cannot make %s: %s", server->settled_file, strerror(errno));
    server->settled_file = NULL;
}

static void carry_out(struct clock_server *server, struct clock_call *call)
{
    struct timex timex;
    const char *why = NULL;

    clock_call_get(call, &timex);
    call->result = clock_policy_adjust(&server->policy, &timex, &why);
    clock_call_put(call, &timex);
    remember(server);
    if (why)
        journal_warning("%s what was asked of the clock: %s.",
                        call->result == -EPERM ? "Refused" : "Limited", why);
}

/* Who connected. */
static bool is_root(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof peer &&
           peer.uid == 0;
}

static int allow_step(struct clock_server *server, int fd, int64_t step_ns)
{
    char text[JOURNAL_TIME_SIZE];
    int r;

    if (!is_root(fd)) {
        journal_warning("Somebody who is not root wants to permit a step of the clock: refused.");
        return -EPERM;
    }
    r = clock_policy_permit(&server->policy, step_ns);
    if (r < 0)
        journal_warning("Root wants to permit a step of the clock by %s: refused; %s.",
                        journal_signed_time(step_ns, text), step_error(r));
    else
        journal_notice("Root permits one step of the clock, by %s, in the next %d s.",
                       journal_signed_time(step_ns, text),
                       (int)(CLOCK_POLICY_PERMIT_NS / NS_PER_S));
    return r;
}

/* An order that nobody waits for any more was given up, and is out of date. */
static bool is_late(int64_t deadline_ns)
{
    return clock_call_now_ns() > deadline_ns;
}

static bool answer(int fd, const void *packet, size_t size)
{
    return send(fd, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

/* What may come, by its length and first word. */
union packet {
    struct clock_call call;
    struct step_permit permit;
};

static bool is_call(const union packet *packet, ssize_t length)
{
    return length == (ssize_t)sizeof packet->call && packet->call.version == CLOCK_CALL_VERSION &&
           packet->call.result == 0;
}

static bool is_permit(const union packet *packet, ssize_t length)
{
    return length == (ssize_t)sizeof packet->permit &&
           packet->permit.version == STEP_PERMIT_VERSION && packet->permit.result == 0;
}

/* false: the answer cannot be sent. */
static bool take_call(struct clock_server *server, int fd, struct clock_call *call)
{
    if (is_late(call->deadline_ns))
        call->result = -ETIMEDOUT;
    else
        carry_out(server, call);
    return answer(fd, call, sizeof *call);
}

static bool take_permit(struct clock_server *server, int fd, struct step_permit *permit)
{
    permit->result =
        is_late(permit->deadline_ns) ? -ETIMEDOUT : allow_step(server, fd, permit->step_ns);
    return answer(fd, permit, sizeof *permit);
}

static int on_call(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct clock_server *server = context;
    union packet packet;
    ssize_t length = recv(fd, &packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
    bool stays = false;

    (void)source;
    (void)events;
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (is_call(&packet, length))
        stays = take_call(server, fd, &packet.call);
    else if (is_permit(&packet, length))
        stays = take_permit(server, fd, &packet.permit);
    else if (length > 0)
        journal_warning("What came from the daemon is no order to the clock: disconnected.");
    if (!stays)
        drop_client(server);
    return 0;
}

static void drop_visitor(struct clock_server *server)
{
    if (server->visitor < 0)
        return;
    server->permitting = sd_event_source_disable_unref(server->permitting);
    (void)close(server->visitor);
    server->visitor = -1;
}

static int on_visit(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct clock_server *server = context;
    union packet packet;
    ssize_t length = recv(fd, &packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);

    (void)source;
    (void)events;
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (is_permit(&packet, length))
        (void)take_permit(server, fd, &packet.permit);
    else if (length > 0)
        journal_warning("A second daemon wants to turn the clock: refused.");
    drop_visitor(server);
    return 0;
}

/* The last one counts: nobody who says nothing keeps others away. */
static int take_visitor(struct clock_server *server, int fd)
{
    int r;

    drop_visitor(server);
    r = sd_event_add_io(server->loop, &server->permitting, fd, EPOLLIN, on_visit, server);
    if (r >= 0)
        server->visitor = fd;
    return r;
}

static int take_client(struct clock_server *server, int fd)
{
    int r = sd_event_add_io(server->loop, &server->asking, fd, EPOLLIN, on_call, server);

    if (r >= 0)
        server->client = fd;
    return r;
}

/* Whoever was there before has been heard, and its end been seen, by now: it comes first. */
static int on_connection(sd_event_source *source, int listener, uint32_t events, void *context)
{
    struct clock_server *server = context;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)source;
    (void)events;
    if (fd < 0)
        return 0;
    if (server->client < 0 ? take_client(server, fd) >= 0
                           : is_root(fd) && take_visitor(server, fd) >= 0)
        return 0;
    if (server->client >= 0)
        journal_warning("A second daemon wants to turn the clock: refused.");
    (void)close(fd);
    return 0;
}

int clock_server_new(sd_event *loop, int listener, const struct kernel_port *port,
                     const struct clock_limits *limits, struct clock_server **out)
{
    struct clock_server *server = calloc(1, sizeof *server);
    int r;

    if (!server) {
        port->release(port->context);
        (void)close(listener);
        return -ENOMEM;
    }
    server->port = *port;
    server->loop = sd_event_ref(loop);
    server->listener = listener;
    server->client = server->visitor = -1;
    clock_policy_init(&server->policy, &server->port, limits);
    tidy(server);
    r = sd_event_add_io(loop, &server->accepting, listener, EPOLLIN, on_connection, server);
    if (r >= 0)
        r = sd_event_source_set_priority(server->accepting, SD_EVENT_PRIORITY_IDLE);
    if (r < 0) {
        clock_server_free(server);
        return r;
    }
    *out = server;
    return 0;
}

void clock_server_limit(struct clock_server *server, const struct clock_limits *limits)
{
    server->policy.limits = *limits;
}

void clock_server_remember(struct clock_server *server, const char *path)
{
    if (access(path, F_OK) == 0)
        server->policy.set_forward = true;
    else
        server->settled_file = path;
}

void clock_server_free(struct clock_server *server)
{
    if (!server)
        return;
    drop_visitor(server);
    drop_client(server);
    sd_event_source_disable_unref(server->accepting);
    (void)close(server->listener);
    sd_event_unref(server->loop);
    server->port.release(server->port.context);
    free(server);
}

static bool is_abandoned(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused;
    struct stat file;

    if (fd < 0)
        return false;
    refused =
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return refused && lstat(address->sun_path, &file) == 0 && S_ISSOCK(file.st_mode);
}

static int bind_for_us(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0177);
    int r = bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;

    (void)umask(mask);
    return r;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address;
    int fd, r = clock_call_address(path, &address);

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (is_abandoned(&address))
        (void)unlink(path);
    r = bind_for_us(fd, &address);
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    return fd;
}

int clock_server_listen(const char *path)
{
    int count = sd_listen_fds(1);

    if (count < 0)
        return count;
    if (count == 0)
        return path ? listen_at(path) : -EDESTADDRREQ;
    if (count != 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) <= 0)
        return -EINVAL;
    return SD_LISTEN_FDS_START;
}
