/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/tcp_bind.h"

#include <errno.h>
#include <netinet/in.h>

int tcp_bind(int fd, const struct sockaddr *address, socklen_t size, bool *early)
{
    const int yes = 1;
    bool v6 = address->sa_family == AF_INET6;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        (v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) < 0))
        return -errno;
    if (bind(fd, address, size) == 0) {
        *early = false;
        return 0;
    }
    if (errno != EADDRNOTAVAIL)
        return -errno;
    if (setsockopt(fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, &yes,
                   sizeof yes) < 0 ||
        bind(fd, address, size) < 0)
        return -EADDRNOTAVAIL;
    *early = true;
    return 0;
}
