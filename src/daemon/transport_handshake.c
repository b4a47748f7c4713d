/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transport_handshake.h"

#include "daemon/transport_stamps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define READ_SIZE 1024
#define WHY_SIZE 192
#define HANDSHAKES_DEFAULT 64
#define TIME_DEFAULT_NS (5 * NS_PER_S)
#define TIMER_ACCURACY_US UINT64_C(10000)
#define GRACE_US UINT64_C(1000000) /* that the oldest has had before it makes room */
#define GREEDY_LOOK 16 /* of the oldest, for one of an address that has more than its share */

struct handshake {
    struct handshake *next;      /* of those who came */
    struct transport *transport;
    handshake_done *done;        /* NULL: somebody who came */
    void *context;
    struct transport_link link;
    sd_event_source *io, *timer;
    uint64_t begun_us;
    struct prefix block; /* whose guard_judge() counts; of those who came */
};

void handshake_free(struct handshake *handshake)
{
    if (!handshake)
        return;
    sd_event_source_disable_unref(handshake->io);
    sd_event_source_disable_unref(handshake->timer);
    transport_close_fd(&handshake->link.fd);
    tls_free(handshake->link.tls);
    free(handshake);
}

static void leave_list(struct handshake *handshake)
{
    struct transport *transport = handshake->transport;
    struct handshake **at = &transport->handshakes;

    while (*at && *at != handshake)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = handshake->next;
    transport->handshaking--;
}

static void join_list(struct handshake *handshake)
{
    struct handshake **at = &handshake->transport->handshakes;

    while (*at)
        at = &(*at)->next;
    *at = handshake;
    handshake->transport->handshaking++;
}

void handshakes_drop(struct transport *transport)
{
    while (transport->handshakes) {
        struct handshake *first = transport->handshakes;

        transport->handshakes = first->next;
        transport->handshaking--;
        handshake_free(first);
    }
}

/* For the journal of whoever runs this end. */
static const char *reason(const struct handshake *handshake, int error, char why[WHY_SIZE])
{
    const char *identity = tls_identity(handshake->link.tls);
    const bool called = handshake->done != NULL;

    switch (error) {
    case -ENOKEY:
        snprintf(why, WHY_SIZE, "there is no key \"%s\" here", identity);
        break;
    case -EKEYREJECTED:
        snprintf(why, WHY_SIZE,
                 called ? "it does not accept the key \"%s\""
                        : "its key \"%s\" is another one than ours",
                 identity);
        break;
    case -EPROTO:
        snprintf(why, WHY_SIZE, "it does not speak TLS with a key as we do (no key there?)");
        break;
    case -EPROTONOSUPPORT:
        snprintf(why, WHY_SIZE, "this machine's crypto policy leaves nothing that both can speak");
        break;
    case -ECONNRESET:
        snprintf(why, WHY_SIZE, "it closed the connection before it proved its key%s",
                 called ? " (no key there? or it turns this machine away: its journal tells)" : "");
        break;
    case -ETIMEDOUT:
        snprintf(why, WHY_SIZE, "it did not prove its key in time");
        break;
    default:
        snprintf(why, WHY_SIZE, "%s", strerror(-error));
        break;
    }
    return why;
}

static void count_failure(struct transport_counters *counters, int error)
{
    if (error == -ETIMEDOUT)
        counters->handshakes_late++;
    else
        counters->handshakes_failed++;
    counters->unknown_keys += error == -ENOKEY;
    counters->wrong_keys += error == -EKEYREJECTED;
}

/* Hands the result on; the handshake is gone, and perhaps the transport. */
static void handshake_end(struct handshake *handshake, int error)
{
    struct transport *transport = handshake->transport;
    struct transport_link link = handshake->link;
    handshake_done *done = handshake->done;
    void *context = handshake->context;
    char why[WHY_SIZE] = "";

    if (error < 0) {
        (void)reason(handshake, error, why);
        count_failure(&transport->counters, error);
        transport_drain(handshake->link.fd);
    } else {
        transport->counters.handshakes_done++;
        handshake->link.fd = -1;
        handshake->link.tls = NULL;
    }
    leave_list(handshake);
    handshake_free(handshake);
    if (done)
        done(context, &link, error, why);
    else if (error < 0)
        transport_refuse(transport, link.address, why);
    else
        transport_admit(transport, &link);
}

/* 0; -EAGAIN: not all of it; or -errno. */
static int flush(struct handshake *handshake)
{
    size_t length;
    const uint8_t *bytes = tls_output(handshake->link.tls, &length);
    ssize_t n;

    if (length == 0)
        return 0;
    n = send(handshake->link.fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
    tls_sent(handshake->link.tls, (size_t)n);
    handshake->link.written += (uint32_t)n;
    return (size_t)n < length ? -EAGAIN : 0;
}

static int take_in(struct handshake *handshake)
{
    uint8_t bytes[READ_SIZE];
    ssize_t n = recv(handshake->link.fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n > 0)
        return tls_feed(handshake->link.tls, bytes, (size_t)n) < 0 ? -EPROTO : 0;
    if (n == 0)
        return -ECONNRESET;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* One step: 0 when it is over, -EAGAIN, or how it failed. */
static int step(struct handshake *handshake)
{
    int r = tls_handshake(handshake->link.tls);
    int sent = flush(handshake);

    if (sent < 0 && sent != -EAGAIN && (r == 0 || r == -EAGAIN))
        r = sent;
    if (r == -EAGAIN)
        (void)sd_event_source_set_io_events(handshake->io,
                                            sent == -EAGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return r;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct handshake *handshake = context;
    int r = 0;

    (void)source, (void)fd;
    if (events & ~(uint32_t)EPOLLOUT)
        r = take_in(handshake);
    if (r == 0)
        r = step(handshake);
    if (r != -EAGAIN)
        handshake_end(handshake, r);
    return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *context)
{
    (void)source, (void)usec;
    handshake_end(context, -ETIMEDOUT);
    return 0;
}

static int watch(struct handshake *handshake)
{
    sd_event *loop = handshake->transport->loop;
    int64_t time_ns = handshake->transport->limits.handshake_time_ns;
    int r = sd_event_add_io(loop, &handshake->io, handshake->link.fd, EPOLLIN, on_io, handshake);

    if (time_ns <= 0)
        time_ns = TIME_DEFAULT_NS;
    if (r >= 0)
        r = sd_event_source_set_priority(handshake->io, TRANSPORT_PRIORITY_HANDSHAKE);
    if (r >= 0 && !handshake->done)
        r = sd_event_add_time_relative(loop, &handshake->timer, CLOCK_MONOTONIC,
                                       (uint64_t)(time_ns / NS_PER_US), TIMER_ACCURACY_US, on_time,
                                       handshake);
    return r < 0 ? r : 0;
}

/* The socket is taken over only if it succeeds. */
static int handshake_new(struct transport *transport, int fd, const char *address,
                         const struct key *key, struct handshake **handshake)
{
    struct handshake *fresh = calloc(1, sizeof *fresh);
    int r;

    if (!fresh)
        return -ENOMEM;
    fresh->transport = transport;
    fresh->link.fd = -1;
    fresh->begun_us = transport_now_us(transport);
    strncpy(fresh->link.address, address, sizeof fresh->link.address - 1);
    r = key ? tls_call(key, &fresh->link.tls) : tls_accept(transport->keyring, &fresh->link.tls);
    if (r < 0) {
        free(fresh);
        return r;
    }
    if (transport->handler.convert)
        (void)stamps_prepare(fd);
    fresh->link.fd = fd;
    *handshake = fresh;
    return 0;
}

static void disown(struct handshake *handshake)
{
    handshake->link.fd = -1;
    handshake_free(handshake);
}

static struct prefix block_of(int fd)
{
    struct sockaddr_storage remote = {0};
    struct prefix block = {0};
    socklen_t size = sizeof(remote);

    if (getpeername(fd, (struct sockaddr *)&remote, &size) == 0)
        (void)prefix_of((const struct sockaddr *)&remote, GUARD_BITS4, GUARD_BITS6, &block);
    return block;
}

static uint32_t count_block(const struct transport *transport, const struct prefix *block)
{
    uint32_t count = 0;

    for (const struct handshake *at = transport->handshakes; at; at = at->next)
        count += at->block.family == block->family &&
                 memcmp(at->block.bytes, block->bytes, sizeof(block->bytes)) == 0;
    return count;
}

/* Who of the oldest has to go, so that no address keeps the others out however fast it knocks:
 * one that has had its time, or one whose address holds more places than the newcomer's would. */
static struct handshake *find_leaving(const struct transport *transport, const struct prefix *block)
{
    struct handshake *at = transport->handshakes;
    uint32_t fair = count_block(transport, block) + 1;

    if (transport_now_us(transport) - at->begun_us >= GRACE_US)
        return at;
    for (unsigned i = 0; at && i < GREEDY_LOOK; i++, at = at->next)
        if (count_block(transport, &at->block) > fair)
            return at;
    return NULL;
}

static int make_room(struct transport *transport, const struct prefix *block)
{
    uint32_t most = transport->limits.handshakes;
    struct handshake *leaving;

    if (transport->handshaking < (most > 0 ? most : HANDSHAKES_DEFAULT))
        return 0;
    leaving = find_leaving(transport, block);
    if (!leaving)
        return -EUSERS;
    handshake_end(leaving, -ETIMEDOUT);
    return 0;
}

int handshake_accept(struct transport *transport, int fd, const char *address)
{
    const struct prefix block = block_of(fd);
    struct handshake *fresh;
    int r = make_room(transport, &block);

    if (r == 0)
        r = handshake_new(transport, fd, address, NULL, &fresh);
    if (r < 0)
        return r;
    fresh->block = block;
    r = watch(fresh);
    if (r < 0) {
        disown(fresh);
        return r;
    }
    join_list(fresh);
    return 0;
}

int handshake_call(struct transport *transport, int fd, const char *address, const struct key *key,
                   handshake_done *done, void *context, struct handshake **handshake)
{
    struct handshake *fresh;
    int r = handshake_new(transport, fd, address, key, &fresh);

    if (r < 0)
        return r;
    fresh->done = done;
    fresh->context = context;
    r = watch(fresh);
    if (r == 0)
        r = step(fresh); /* the first flight; the socket of a fresh connection takes it */
    if (r < 0 && r != -EAGAIN) {
        disown(fresh);
        return r;
    }
    *handshake = fresh;
    return 0;
}
