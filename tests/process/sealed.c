/* SPDX-License-Identifier: BSD-2-Clause */
#include "sealed.h"

#include "harness_part.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKE_SECONDS 10
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+DHE-PSK"

struct sealed {
    int fd;
    gnutls_session_t session;
    gnutls_psk_client_credentials_t credentials;
    int64_t arrived_ns;
    size_t heard;
    uint8_t bytes[SEALED_HEARD_MAX];
};

static ssize_t receive(struct sealed *sealed, void *bytes, size_t size)
{
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(sealed->fd, &message, MSG_DONTWAIT);
    struct cmsghdr *stamp = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    struct timespec arrived;

    if (stamp && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SCM_TIMESTAMPNS) {
        memcpy(&arrived, CMSG_DATA(stamp), sizeof(arrived));
        sealed->arrived_ns = arrived.tv_sec * NS_PER_S + arrived.tv_nsec;
    }
    return length;
}

static ssize_t pull(gnutls_transport_ptr_t context, void *bytes, size_t size)
{
    struct sealed *sealed = context;
    ssize_t length = receive(sealed, bytes, size);
    size_t room = sizeof(sealed->bytes) - sealed->heard;

    if (length > 0) {
        size_t kept = (size_t)length < room ? (size_t)length : room;

        memcpy(sealed->bytes + sealed->heard, bytes, kept);
        sealed->heard += kept;
    }
    if (length < 0)
        gnutls_transport_set_errno(sealed->session, errno);
    return length;
}

static ssize_t push(gnutls_transport_ptr_t context, const void *bytes, size_t size)
{
    struct sealed *sealed = context;
    ssize_t length = send(sealed->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (length < 0)
        gnutls_transport_set_errno(sealed->session, errno);
    return length;
}

static void must(int result, const char *what)
{
    if (result < 0)
        harness_die("%s: %s", what, gnutls_strerror(result));
}

int sealed_socket(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        harness_die("socket: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

struct sealed *sealed_new(int fd, const struct secret_key *key)
{
    struct sealed *sealed = harness_alloc(sizeof(*sealed));
    uint8_t bytes[32];
    const gnutls_datum_t secret = {.data = bytes, .size = sizeof(bytes)};

    key_bytes(key, bytes);
    sealed->fd = fd;
    must(gnutls_init(&sealed->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL), "init");
    must(gnutls_psk_allocate_client_credentials(&sealed->credentials), "credentials");
    must(gnutls_psk_set_client_credentials(sealed->credentials, key->identity, &secret,
                                           GNUTLS_PSK_KEY_RAW),
         "key");
    must(gnutls_credentials_set(sealed->session, GNUTLS_CRD_PSK, sealed->credentials), "key");
    must(gnutls_priority_set_direct(sealed->session, PRIORITY, NULL), PRIORITY);
    gnutls_transport_set_ptr(sealed->session, sealed);
    gnutls_transport_set_pull_function(sealed->session, pull);
    gnutls_transport_set_push_function(sealed->session, push);
    return sealed;
}

void sealed_close(struct sealed *sealed)
{
    gnutls_deinit(sealed->session);
    gnutls_psk_free_client_credentials(sealed->credentials);
    if (sealed->fd >= 0)
        close(sealed->fd);
    free(sealed);
}

int sealed_fd(const struct sealed *sealed)
{
    return sealed->fd;
}

static int outcome(ssize_t result)
{
    if (result >= 0)
        return 0;
    return result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED ? -EAGAIN : -EPIPE;
}

int sealed_step(struct sealed *sealed)
{
    int r = outcome(gnutls_handshake(sealed->session));

    return r == -EPIPE ? -EPROTO : r;
}

bool sealed_handshake(struct harness *harness, struct sealed *sealed, double seconds)
{
    int64_t deadline = harness_deadline(seconds);
    int r;

    do
        r = sealed_step(sealed);
    while (r == -EAGAIN && harness_wait(harness, deadline));
    return r == 0;
}

struct sealed *sealed_connect(struct harness *harness, uint16_t port, const struct secret_key *key)
{
    struct sealed *sealed = sealed_new(sealed_socket(port), key);

    if (sealed_handshake(harness, sealed, HANDSHAKE_SECONDS))
        return sealed;
    sealed_close(sealed);
    return NULL;
}

const uint8_t *sealed_heard(const struct sealed *sealed, size_t *length)
{
    *length = sealed->heard;
    return sealed->bytes;
}

int sealed_send(struct sealed *sealed, const void *bytes, size_t length)
{
    return outcome(gnutls_record_send(sealed->session, bytes, length));
}

int sealed_say(struct sealed *sealed, const struct wire_frame *frame)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    size_t length = frames_encode(frame, bytes);

    return sealed_send(sealed, bytes, length);
}

int sealed_update(struct sealed *sealed)
{
    return outcome(gnutls_session_key_update(sealed->session, GNUTLS_KU_PEER));
}

static void take(const uint8_t *bytes, size_t length, struct hearing *hearing)
{
    struct wire_frame frame;
    unsigned faults;

    if (wire_decode(bytes, length, WIRE_MINOR, &frame, &faults) < 0)
        return;
    hearing->frames[frame.type]++;
    hearing->last[frame.type] = frame;
    if (frame.type == WIRE_BYE)
        hearing->byes[frame.bye.reason]++;
}

void sealed_hear(struct sealed *sealed, struct hearing *hearing)
{
    uint8_t bytes[WIRE_FRAME_MAX];
    ssize_t length;

    /* One record carries one frame. */
    while ((length = gnutls_record_recv(sealed->session, bytes, sizeof(bytes))) > 0)
        take(bytes, (size_t)length, hearing);
    if (length == 0 || outcome(length) == -EPIPE)
        hearing->closed = true;
}

void sealed_ask_arrival(struct sealed *sealed)
{
    const int on = 1;

    if (setsockopt(sealed->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
        harness_die("SO_TIMESTAMPNS: %s", strerror(errno));
}

int64_t sealed_arrival(const struct sealed *sealed)
{
    return sealed->arrived_ns;
}

size_t sealed_hello(const struct secret_key *key, uint8_t *bytes, size_t size)
{
    struct sealed *sealed;
    ssize_t length;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        harness_die("socketpair: %s", strerror(errno));
    sealed = sealed_new(ends[0], key);
    (void)sealed_step(sealed);
    length = recv(ends[1], bytes, size, MSG_DONTWAIT);
    if (length <= 0)
        harness_die("a TLS client that says nothing");
    sealed_close(sealed);
    close(ends[1]);
    return (size_t)length;
}
