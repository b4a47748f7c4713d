/* SPDX-License-Identifier: BSD-2-Clause */
#include "attack.h"

#include "aside.h"
#include "harness_part.h"
#include "sealed.h"
#include "setup.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CROWD 512 /* sockets open at a time */
#define FLIGHT_MAX 2048
#define RECORD_MAX 16384
#define PATIENCE_MS 2000
#define PAUSE_NS 5000000
#define BURST 64 /* deeds before it looks at what came back */

struct peer {
    int fd; /* -1: none */
    struct sealed *sealed;
    size_t at;   /* of the flight */
    double next; /* time of the next byte */
};

struct attack {
    struct attack_counts counts;
    enum attack_kind kind;
    uint16_t port;
    struct secret_key key;
    struct aside *aside; /* of the starter's */
    uint32_t address;
    struct peer peers[CROWD];
    uint8_t flight[FLIGHT_MAX];
    size_t flight_length;
};

static void peer_drop(struct peer *peer)
{
    const struct linger now = {.l_onoff = 1};

    if (peer->fd < 0)
        return;
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    if (peer->sealed)
        sealed_close(peer->sealed);
    else
        close(peer->fd);
    *peer = (struct peer){.fd = -1};
}

/* Each from the next address of 127.1.0.0/16 up to 127.8.0.0/16. */
static bool peer_dial(struct attack *attack, struct peer *peer)
{
    struct sockaddr_in own = {.sin_family = AF_INET}, master = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    own.sin_addr.s_addr = htonl(0x7f010000 + attack->address++ % 0x80000);
    master.sin_port = htons(attack->port);
    master.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0 &&
        (connect(fd, (struct sockaddr *)&master, sizeof(master)) == 0 || errno == EINPROGRESS)) {
        *peer = (struct peer){.fd = fd};
        attack->counts.connects++;
        return true;
    }
    if (fd >= 0)
        close(fd);
    return false;
}

static bool peer_ready(const struct peer *peer, short events, int timeout_ms)
{
    struct pollfd ready = {.fd = peer->fd, .events = events};

    return poll(&ready, 1, timeout_ms) > 0;
}

/* Has the master closed it?  What it said is thrown away. */
static bool peer_is_gone(struct attack *attack, struct peer *peer)
{
    uint8_t bytes[4096];
    ssize_t length;

    while ((length = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        continue;
    if (length < 0 && errno == EAGAIN)
        return false;
    attack->counts.closed++;
    peer_drop(peer);
    return true;
}

static void rest(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};

    nanosleep(&pause, NULL);
}

/* The oldest connection gives way to a new one, on which the flight is sent, if there is one. */
static void strike_connections(struct attack *attack, size_t turn)
{
    struct peer *peer = &attack->peers[turn % CROWD];

    if (peer->fd >= 0 && !peer_is_gone(attack, peer))
        peer_drop(peer);
    if (!peer_dial(attack, peer)) {
        rest();
        return;
    }
    if (attack->flight_length > 0 && peer_ready(peer, POLLOUT, 10) &&
        send(peer->fd, attack->flight, attack->flight_length, MSG_NOSIGNAL) > 0)
        attack->counts.sent++;
}

static void trickle(struct attack *attack, struct peer *peer)
{
    double now = setup_now();

    if (now < peer->next || peer->at == attack->flight_length)
        return;
    if (send(peer->fd, attack->flight + peer->at, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) {
        peer->at++;
        attack->counts.sent++;
    }
    peer->next = now + 1;
}

static void strike_slowly(struct attack *attack, size_t turn)
{
    for (size_t i = 0; i < CROWD; i++) {
        struct peer *peer = &attack->peers[i];

        if (peer->fd < 0 && !peer_dial(attack, peer))
            break;
        if (!peer_is_gone(attack, peer))
            trickle(attack, peer);
    }
    (void)turn;
    rest();
}

static bool peer_shake(struct attack *attack, struct peer *peer)
{
    int r;

    peer->sealed = sealed_new(peer->fd, &attack->key);
    while ((r = sealed_step(peer->sealed)) == -EAGAIN)
        if (!peer_ready(peer, POLLIN, PATIENCE_MS))
            break;
    attack->counts.handshakes += r == 0;
    return r == 0;
}

/* A slave of a name of its own, by its key. */
static bool peer_join(struct attack *attack, struct peer *peer)
{
    struct wire_frame hello = frames_hello("attacker");

    if (peer->fd >= 0)
        return true;
    if (peer_dial(attack, peer) && peer_ready(peer, POLLOUT, PATIENCE_MS) &&
        peer_shake(attack, peer) &&
        (attack->kind != ATTACK_FRAMES || sealed_say(peer->sealed, &hello) == 0))
        return true;
    attack->counts.closed += peer->fd >= 0;
    peer_drop(peer);
    rest();
    return false;
}

/* It answers nothing and reads nothing, but is heard now and then. */
static void strike_deaf(struct attack *attack, size_t turn)
{
    struct peer *peer = &attack->peers[0];
    struct wire_frame hello = frames_hello("deaf"), report = frames_report();
    struct timespec second = {.tv_sec = 1};
    const int size = 1;

    if (peer->fd < 0) {
        if (!peer_join(attack, peer) || sealed_say(peer->sealed, &hello) < 0)
            return;
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    report.sequence = (uint32_t)turn + 2;
    if (sealed_say(peer->sealed, &report) == -EPIPE) {
        attack->counts.closed++;
        peer_drop(peer);
    } else {
        attack->counts.sent++;
    }
    nanosleep(&second, NULL);
}

static int strike_once(struct attack *attack, struct peer *peer, uint32_t sequence)
{
    static uint8_t bytes[RECORD_MAX];
    struct wire_frame report = frames_report();

    switch (attack->kind) {
    case ATTACK_FRAMES:
        report.sequence = sequence + 2;
        return sealed_say(peer->sealed, &report);
    case ATTACK_RECORDS:
        return sealed_send(peer->sealed, bytes, sizeof(bytes));
    case ATTACK_KEY_UPDATES:
        return sealed_update(peer->sealed);
    default:
        memset(bytes, 0x17, sizeof(bytes));
        return send(peer->fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 ? 0
               : errno == EAGAIN                                                     ? -EAGAIN
                                                                                     : -EPIPE;
    }
}

/* As fast as the master reads, until it has had enough of this one. */
static void strike_sealed(struct attack *attack, size_t turn)
{
    struct peer *peer = &attack->peers[0];

    if (!peer_join(attack, peer))
        return;
    for (unsigned i = 0; i < BURST; i++) {
        int r = strike_once(attack, peer, (uint32_t)(turn * BURST + i));

        if (r == -EPIPE) {
            attack->counts.closed++;
            peer_drop(peer);
            return;
        }
        if (r == -EAGAIN && !peer_ready(peer, POLLOUT, PATIENCE_MS))
            return;
        attack->counts.sent += r == 0;
    }
}

static const struct {
    const char *name;
    void (*strike)(struct attack *attack, size_t turn);
} kinds[ATTACK_COUNT_] = {
    [ATTACK_CONNECTS] = {"connections", strike_connections},
    [ATTACK_UNKNOWN] = {"unknown key", strike_connections},
    [ATTACK_REPLAYS] = {"replayed hello", strike_connections},
    [ATTACK_TRICKLE] = {"slow loris", strike_slowly},
    [ATTACK_DEAF] = {"never reads", strike_deaf},
    [ATTACK_FRAMES] = {"valid frames", strike_sealed},
    [ATTACK_GARBAGE] = {"garbage", strike_sealed},
    [ATTACK_RECORDS] = {"16 KiB records", strike_sealed},
    [ATTACK_KEY_UPDATES] = {"key updates", strike_sealed},
};

const char *attack_name(enum attack_kind kind)
{
    return kinds[kind].name;
}

static void attack_run(void *shared)
{
    struct attack *attack = shared;
    struct secret_key key = attack->key;

    for (size_t i = 0; i < CROWD; i++)
        attack->peers[i].fd = -1;
    if (attack->kind == ATTACK_UNKNOWN)
        snprintf(key.identity, sizeof(key.identity), "unknown");
    if (attack->kind != ATTACK_CONNECTS)
        attack->flight_length = sealed_hello(&key, attack->flight, sizeof(attack->flight));
    for (size_t turn = 0;; turn++)
        kinds[attack->kind].strike(attack, turn);
}

struct attack *attack_start(struct harness *harness, enum attack_kind kind, uint16_t port,
                            const struct secret_key *key)
{
    const struct attack given = {.kind = kind, .port = port, .key = *key};
    struct aside *aside = aside_start(harness, attack_run, &given, sizeof(given));
    struct attack *attack = aside_shared(aside);

    attack->aside = aside;
    return attack;
}

pid_t attack_pid(const struct attack *attack)
{
    return aside_pid(attack->aside);
}

const struct attack_counts *attack_counts(const struct attack *attack)
{
    return &attack->counts;
}

void attack_stop(struct attack *attack)
{
    aside_stop(attack->aside);
}
