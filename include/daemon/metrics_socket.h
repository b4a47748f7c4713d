/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics_socket: where metrics_http listens. */
#ifndef BERKELEY_DAEMON_METRICS_SOCKET_H
#define BERKELEY_DAEMON_METRICS_SOCKET_H

#include <stdint.h>

/* A socket that listens on a numeric address, non-blocking, IPv6 only if it is of IPv6; or
 * -errno, -EINVAL for a name. */
int metrics_socket_listen(const char *address, uint16_t port);

#endif
