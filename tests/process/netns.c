/* SPDX-License-Identifier: BSD-2-Clause */
#include "netns.h"

#include "harness_part.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX (128 * 1024)
#define BUFFER_SIZE (8 * 1024 * 1024)

struct netns {
    struct harness_part part;
    int near, far; /* /proc/self/ns/net */
    int tap;
    struct netns_stream *streams;
    size_t count;
    uint8_t packet[PACKET_MAX];
};

/* --- making them --- */

static void write_word(const char *path, const char *word)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, word, strlen(word)) < 0)
        harness_die("%s: %s", path, strerror(errno));
    close(fd);
}

/* Root of a namespace of its own, where this one is a user's. */
static int become_root(void)
{
    char users[32], groups[32];

    snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWUSER) < 0)
        return -errno;
    write_word("/proc/self/setgroups", "deny");
    write_word("/proc/self/uid_map", users);
    write_word("/proc/self/gid_map", groups);
    return 0;
}

/* This process is in it afterwards. */
static int make_space(void)
{
    int r = unshare(CLONE_NEWNET) < 0 ? -errno : 0, fd;

    if (r == -EPERM) {
        r = become_root();
        if (r == 0)
            r = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
    }
    if (r < 0)
        harness_die("no network namespace can be made here: %s; run this test as root, in a "
                    "container with CAP_SYS_ADMIN and CAP_NET_ADMIN",
                    strerror(-r));
    fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        harness_die("/proc/self/ns/net: %s", strerror(errno));
    return fd;
}

static void enter(int space)
{
    if (setns(space, CLONE_NEWNET) < 0)
        harness_die("setns: %s", strerror(errno));
}

__attribute__((format(printf, 1, 2))) static void command(const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (system(line) != 0) /* NOLINT(cert-env33-c) */
        harness_die("failed: %s (it takes ip(8) of iproute2, and CAP_NET_ADMIN)", line);
}

static void join(struct netns *netns)
{
    netns->near = make_space();
    netns->far = make_space();
    enter(netns->near);
    command("ip link add near type veth peer name far && ip link set far netns /proc/%d/fd/%d && "
            "ip address add " NETNS_NEAR "/24 dev near && ip link set near up && "
            "ip link set lo up",
            (int)getpid(), netns->far);
    enter(netns->far);
    command("ip address add " NETNS_FAR "/24 dev far && ip link set far up && ip link set lo up");
    enter(netns->near);
}

void netns_enter_near(struct netns *netns)
{
    enter(netns->near);
}

void netns_enter_far(struct netns *netns)
{
    enter(netns->far);
}

/* --- listening --- */

static void listen_in(struct netns *netns)
{
    struct sockaddr_ll cable = {.sll_family = AF_PACKET,
                                .sll_protocol = htons(ETH_P_ALL),
                                .sll_ifindex = (int)if_nametoindex("near")};
    const int size = BUFFER_SIZE;

    netns->tap = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (netns->tap < 0 ||
        setsockopt(netns->tap, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0 ||
        bind(netns->tap, (struct sockaddr *)&cable, sizeof cable) < 0)
        harness_die("packet socket: %s", strerror(errno));
}

static struct netns_stream *find_stream(struct netns *netns, const struct netns_stream *same)
{
    /* The last: ports are used again. */
    for (size_t i = netns->count; i-- > 0;) {
        struct netns_stream *stream = &netns->streams[i];

        if (stream->from == same->from && stream->to == same->to &&
            stream->from_port == same->from_port && stream->to_port == same->to_port)
            return stream;
    }
    return NULL;
}

static void begin_stream(struct netns *netns, const struct netns_stream *begun)
{
    struct netns_stream *before = find_stream(netns, begun);

    if (before && before->first == begun->first)
        return; /* SYN sent again */
    netns->streams = harness_resize(netns->streams, (netns->count + 1) * sizeof(*netns->streams));
    netns->streams[netns->count++] = *begun;
}

/* Bytes sent again are there already. */
static void add_bytes(struct netns_stream *stream, uint32_t sequence, const uint8_t *bytes,
                      size_t length)
{
    size_t at = sequence - stream->first;

    if (length == 0 || (uint32_t)(at + length) <= stream->length)
        return;
    if (at > stream->length)
        harness_die("bytes of a connection went by unseen");
    stream->bytes = harness_resize(stream->bytes, at + length);
    memcpy(stream->bytes + at, bytes, length);
    stream->length = at + length;
}

static void take_segment(struct netns *netns, const struct iphdr *ip, const uint8_t *bytes,
                         size_t length)
{
    struct netns_stream *stream, same = {.from = ip->saddr, .to = ip->daddr};
    struct tcphdr tcp;
    size_t header;

    if (length < sizeof tcp)
        return;
    memcpy(&tcp, bytes, sizeof tcp);
    header = tcp.doff * (size_t)4;
    same.from_port = ntohs(tcp.source);
    same.to_port = ntohs(tcp.dest);
    same.first = ntohl(tcp.seq) + 1;
    if (tcp.syn)
        begin_stream(netns, &same);
    stream = find_stream(netns, &same);
    if (tcp.syn || tcp.rst) /* a reset may be all that there ever is */
        return;
    if (stream && header <= length)
        add_bytes(stream, ntohl(tcp.seq), bytes + header, length - header);
    else
        harness_die("a segment of no connection");
}

static void take_packet(struct netns *netns, size_t length)
{
    const size_t at = sizeof(struct ether_header);
    struct ether_header ether;
    struct iphdr ip;
    size_t header, total;

    if (length < at + sizeof ip)
        return;
    memcpy(&ether, netns->packet, sizeof ether);
    memcpy(&ip, netns->packet + at, sizeof ip);
    header = ip.ihl * (size_t)4;
    total = ntohs(ip.tot_len);
    if (ntohs(ether.ether_type) != ETHERTYPE_IP || ip.protocol != IPPROTO_TCP)
        return;
    if (total < header || at + total > length)
        harness_die("a packet longer than what was seen of it");
    take_segment(netns, &ip, netns->packet + at + header, total - header);
}

static void netns_pump(struct harness_part *part)
{
    struct netns *netns = (struct netns *)part;
    ssize_t length;

    while ((length = recv(netns->tap, netns->packet, sizeof netns->packet, 0)) > 0)
        take_packet(netns, (size_t)length);
}

const struct netns_stream *netns_stream(struct netns *netns, size_t n)
{
    struct tpacket_stats stats = {.tp_drops = 0};
    socklen_t size = sizeof stats;

    netns_pump(&netns->part);
    if (getsockopt(netns->tap, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0 ||
        stats.tp_drops > 0)
        harness_die("%u packets went by unseen", stats.tp_drops);
    return n < netns->count ? &netns->streams[n] : NULL;
}

static void netns_release(struct harness_part *part)
{
    struct netns *netns = (struct netns *)part;

    for (size_t i = 0; i < netns->count; i++)
        free(netns->streams[i].bytes);
    free(netns->streams);
    close(netns->tap);
    close(netns->near);
    close(netns->far);
    free(netns);
}

struct netns *netns_new(struct harness *harness)
{
    struct netns *netns = harness_alloc(sizeof(*netns));

    join(netns);
    listen_in(netns);
    netns->part.pump = netns_pump;
    netns->part.release = netns_release;
    harness_adopt(harness, &netns->part);
    return netns;
}
