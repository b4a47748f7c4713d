/* SPDX-License-Identifier: BSD-2-Clause */
/* prefix: blocks of IP addresses, "192.0.2.0/24", "2001:db8::/32", or one alone. */
#ifndef BERKELEY_DAEMON_PREFIX_H
#define BERKELEY_DAEMON_PREFIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct prefix {
    sa_family_t family; /* AF_INET or AF_INET6 */
    uint8_t bits;       /* that count */
    uint8_t bytes[16];  /* 4 of IPv4; those that do not count are 0 */
};

/* 0; -EINVAL: no such thing; -ERANGE: more bits than the address has, or bits set beyond those that
 * count ("192.0.2.7/24"). */
int prefix_parse(const char *text, struct prefix *prefix);

/* IPv4 in IPv6 (::ffff:192.0.2.7) counts as IPv4, in prefixes and addresses. */
bool prefix_holds(const struct prefix *prefix, const struct sockaddr *address);

/* The block of so many bits that this address is in, by its family; false: it has another. */
bool prefix_of(const struct sockaddr *address, unsigned bits4, unsigned bits6,
               struct prefix *prefix);

#endif
