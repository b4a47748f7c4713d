/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp_bind: a place for a socket that is going to listen. */
#ifndef BERKELEY_DAEMON_TCP_BIND_H
#define BERKELEY_DAEMON_TCP_BIND_H

#include <stdbool.h>
#include <sys/socket.h>

/* Also at an address that this machine does not have yet, *early then: at boot it may come later
 * than we do.  IPv6 only if the address is of IPv6.  0 or -errno. */
int tcp_bind(int fd, const struct sockaddr *address, socklen_t size, bool *early);

#endif
