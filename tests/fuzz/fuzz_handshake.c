/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole transport and an intruder at the other end of a connection over loopback: a clock
 * driver that aborts if touched by what nobody proved the key for.
 */
#include "fuzz_intruder.h"

#include "daemon/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_US UINT64_C(5000000)
#define RETRY_NS (3600 * NS_PER_S)
#define ANSWER_MAX 8192

static void up(void *context, uint32_t peer, const char *address, const char *owner)
{
    (void)context, (void)peer, (void)address, (void)owner;
    must_not("a peer without the key came up");
}

static void down(void *context, uint32_t peer, int error)
{
    (void)context, (void)peer, (void)error;
    must_not("a peer that never came up went down");
}

static void frame(void *context, uint32_t peer, const uint8_t *bytes, size_t length,
                  const struct reading *arrived, enum stamp_source source)
{
    (void)context, (void)peer, (void)bytes, (void)length, (void)arrived, (void)source;
    must_not("a frame without the key was handed on");
}

static void stamped(void *context, uint32_t peer, uint8_t type, uint32_t sequence, int64_t raw_ns)
{
    (void)context, (void)peer, (void)type, (void)sequence, (void)raw_ns;
    must_not("a frame left for a peer without the key");
}

static void stamp(void *context, struct reading *reading)
{
    (void)context, (void)reading;
    must_not("the clock was read for a peer without the key");
}

static int convert(void *context, int64_t real_ns, struct reading *reading)
{
    (void)context, (void)real_ns, (void)reading;
    must_not("the clock was asked about a peer without the key");
}

static void unreachable(void *context, const char *what, int64_t retry_ns)
{
    bool *given_up = context;

    (void)what, (void)retry_ns;
    *given_up = true;
}

struct end {
    sd_event *loop;
    struct transport *transport;
    int fd; /* the intruder's */
    bool given_up;
};

static void end_open(struct end *end)
{
    const struct transport_limits limits = {.max_peers = 4, .frames_per_second = 10};
    const struct transport_handler handler = {.up = up,
                                              .down = down,
                                              .frame = frame,
                                              .stamped = stamped,
                                              .unreachable = unreachable,
                                              .stamp = stamp,
                                              .convert = convert,
                                              .context = &end->given_up};

    *end = (struct end){.fd = -1};
    must(sd_event_new(&end->loop) >= 0);
    must(transport_new(end->loop, &handler, &limits, &end->transport) == 0);
    must(transport_secure(end->transport, intruder_keyring(), "node2") == 0);
}

static void end_close(struct end *end)
{
    transport_free(end->transport);
    sd_event_unref(end->loop);
}

static void turn(const struct end *end)
{
    must(sd_event_run(end->loop, TURN_US) > 0);
}

static void settle(const struct end *end)
{
    while (sd_event_run(end->loop, 0) > 0)
        ;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* So that no port waits for stragglers afterwards. */
static void hang_up(int fd)
{
    const struct linger at_once = {.l_onoff = 1};

    must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    must(close(fd) == 0);
}

static void dial(struct end *end)
{
    struct sockaddr_in address;

    if (!transport_port(end->transport))
        must(transport_listen(end->transport, "127.0.0.1", 0) == 0);
    address = loopback(transport_port(end->transport));
    end->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(end->fd >= 0);
    must(connect(end->fd, (const struct sockaddr *)&address, sizeof address) == 0);
}

static int listener(uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    must(fd >= 0 && bind(fd, (const struct sockaddr *)&address, size) == 0);
    must(listen(fd, 4) == 0);
    must(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* What it says first: its hello. */
static size_t wait_for_call(struct end *end, int listening, uint8_t hello[INTRUDER_FLIGHT_MAX])
{
    ssize_t n;

    while ((end->fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) < 0)
        turn(end);
    while ((n = recv(end->fd, hello, INTRUDER_FLIGHT_MAX, MSG_DONTWAIT)) < 0)
        turn(end);
    return (size_t)n;
}

/* Piece by piece, as far as somebody reads, and what came back: all that ever will. */
static size_t talk(const struct end *end, const struct intruder *intruder,
                   uint8_t answer[ANSWER_MAX])
{
    size_t length = 0;
    ssize_t n;

    for (size_t at = 0; at < intruder->size; at += intruder->piece) {
        const size_t left = intruder->size - at;

        if (send(end->fd, intruder->bytes + at, left < intruder->piece ? left : intruder->piece,
                 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
        settle(end);
    }
    (void)shutdown(end->fd, SHUT_WR);
    for (;;) {
        n = recv(end->fd, answer + length, ANSWER_MAX - length, MSG_DONTWAIT);
        if (n > 0)
            length += (size_t)n;
        else if (n == 0 || errno != EAGAIN)
            return length;
        else
            turn(end);
        must(length < ANSWER_MAX);
    }
}

static void intrude(const struct end *end, const struct keyring *keyring, const uint8_t *hello,
                    size_t hello_size, const uint8_t *data, size_t size)
{
    uint8_t answer[ANSWER_MAX];
    struct intruder intruder;

    if (!intruder_begin(&intruder, keyring, hello, hello_size, data, size))
        return;
    intruder_check_answer(&intruder, answer, talk(end, &intruder, answer));
    free(intruder.bytes);
}

static void fuzz_accepting(const struct keyring *keyring, const uint8_t *data, size_t size)
{
    static struct end end;
    struct transport_counters counters;

    if (!end.transport)
        end_open(&end);
    dial(&end);
    intrude(&end, keyring, NULL, 0, data, size);
    hang_up(end.fd);
    settle(&end);
    transport_count(end.transport, &counters);
    must(counters.handshakes_done == 0);
}

static void fuzz_calling(const struct keyring *keyring, const uint8_t *data, size_t size)
{
    static int listening = -1;
    static uint16_t port;
    uint8_t hello[INTRUDER_FLIGHT_MAX];
    struct end end;
    size_t length;

    if (listening < 0)
        listening = listener(&port);
    end_open(&end);
    must(transport_connect(end.transport, "127.0.0.1", port, RETRY_NS, RETRY_NS) == 0);
    length = wait_for_call(&end, listening, hello);
    intrude(&end, keyring, hello, length, data, size);
    hang_up(end.fd);
    while (!end.given_up)
        turn(&end);
    end_close(&end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct keyring *keyring;

    if (!keyring)
        keyring = intruder_keyring();
    if (intruder_wants_call(data, size))
        fuzz_calling(keyring, data, size);
    else
        fuzz_accepting(keyring, data, size);
    return 0;
}
