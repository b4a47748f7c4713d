/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transport_stamps.h"

#include "core/timestamp.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CONTROL_SIZE 512 /* what the kernel says with a stamp is less than half of it */

#define STAMP_ARRIVALS                                                                           \
    (SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |         \
     SOF_TIMESTAMPING_OPT_TSONLY)

static int ask(int fd, int flags)
{
    return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) < 0 ? -errno : 0;
}

/* Before the first byte the kernel counts from the same place with and without
 * the newer OPT_ID_TCP, so that flag is not needed. */
int stamps_prepare(int fd)
{
    return ask(fd, STAMP_ARRIVALS);
}

int stamps_enable(int fd)
{
    return ask(fd, STAMP_ARRIVALS | SOF_TIMESTAMPING_TX_SOFTWARE);
}

/* The software stamp; 0 if there is none, or one that no clock should show. */
static int64_t stamp_in(const struct cmsghdr *header)
{
    struct scm_timestamping stamps;
    int64_t real_ns;

    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_TIMESTAMPING ||
        header->cmsg_len < CMSG_LEN(sizeof stamps))
        return 0;
    memcpy(&stamps, CMSG_DATA(header), sizeof stamps);
    if (!(stamps.ts[0].tv_sec >= 0 && stamps.ts[0].tv_sec < TIMESTAMP_LIMIT_NS / NS_PER_S))
        return 0;
    real_ns = stamps.ts[0].tv_sec * NS_PER_S + stamps.ts[0].tv_nsec;
    return real_ns > 0 ? real_ns : 0;
}

/* True if it names the byte whose departure is told. */
static bool byte_in(const struct cmsghdr *header, uint32_t *last_byte)
{
    struct sock_extended_err told;
    bool v4 = header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR;
    bool v6 = header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_RECVERR;

    if ((!v4 && !v6) || header->cmsg_len < CMSG_LEN(sizeof told))
        return false;
    memcpy(&told, CMSG_DATA(header), sizeof told);
    if (told.ee_origin != SO_EE_ORIGIN_TIMESTAMPING || told.ee_info != SCM_TSTAMP_SND)
        return false;
    *last_byte = told.ee_data;
    return true;
}

ssize_t stamps_receive(int fd, void *bytes, size_t size, int64_t *real_ns)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_SIZE];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

    if (n < 0)
        return -errno;
    *real_ns = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h))
        if (*real_ns == 0)
            *real_ns = stamp_in(h);
    return n;
}

int stamps_depart(int fd, uint32_t *last_byte, int64_t *real_ns)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_SIZE];
    } control;
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
    uint32_t told_byte = 0;
    int64_t told_ns = 0;
    bool told = false;

    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return -EAGAIN;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        told |= byte_in(h, &told_byte);
        if (told_ns == 0)
            told_ns = stamp_in(h);
    }
    if (!told || told_ns == 0)
        return -ENODATA;
    *last_byte = told_byte;
    *real_ns = told_ns;
    return 0;
}

void departures_written(struct departures_due *due, size_t bytes)
{
    due->written += (uint32_t)bytes;
}

void departures_expect(struct departures_due *due, size_t rest, uint8_t type, uint32_t sequence)
{
    if (due->count == STAMPS_WAITING_MAX) {
        due->first = (due->first + 1) % STAMPS_WAITING_MAX;
        due->count--;
    }
    due->waiting[(due->first + due->count) % STAMPS_WAITING_MAX] =
        (struct departing){.last_byte = due->written + (uint32_t)rest - 1,
                           .sequence = sequence,
                           .type = type};
    due->count++;
}

int departures_match(struct departures_due *due, uint32_t last_byte, struct departing *frame)
{
    for (unsigned i = 0; i < due->count; i++) {
        unsigned at = (due->first + i) % STAMPS_WAITING_MAX;

        if (due->waiting[at].last_byte != last_byte)
            continue;
        *frame = due->waiting[at];
        due->first = (at + 1) % STAMPS_WAITING_MAX;
        due->count -= i + 1;
        return 0;
    }
    return -ENOENT;
}
