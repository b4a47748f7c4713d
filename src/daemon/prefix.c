/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MAPPED_BITS 96

static const uint8_t mapped[MAPPED_BITS / 8] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static unsigned bits_of(sa_family_t family)
{
    return family == AF_INET ? 32 : 128;
}

/* Without sign, blanks or zeros in front. */
static int parse_bits(const char *text, unsigned *bits)
{
    unsigned value = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        value = value * 10 + (unsigned)(*text - '0');
        if (value > UINT8_MAX)
            value = UINT8_MAX; /* more than any address has */
    }
    *bits = value;
    return 0;
}

/* Clears the bits beyond the first ones; true if any was set. */
static bool cut(uint8_t bytes[16], unsigned bits)
{
    bool any = false;

    for (unsigned i = 0; i < 16; i++) {
        const unsigned count = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
        const uint8_t kept = (uint8_t)(bytes[i] & ~(0xffU >> count));

        any = any || kept != bytes[i];
        bytes[i] = kept;
    }
    return any;
}

/* Whose bytes begin so has at least MAPPED_BITS: others are cut before. */
static void unmap(struct prefix *prefix)
{
    if (prefix->family != AF_INET6 || memcmp(prefix->bytes, mapped, sizeof mapped) != 0)
        return;
    memmove(prefix->bytes, prefix->bytes + sizeof mapped, 4);
    memset(prefix->bytes + 4, 0, 12);
    prefix->family = AF_INET;
    prefix->bits = (uint8_t)(prefix->bits - MAPPED_BITS);
}

int prefix_parse(const char *text, struct prefix *prefix)
{
    const char *slash = strchr(text, '/');
    const size_t length = slash ? (size_t)(slash - text) : strlen(text);
    struct prefix read = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
    char address[INET6_ADDRSTRLEN];
    unsigned bits = bits_of(read.family);
    int r;

    if (length >= sizeof address)
        return -EINVAL;
    (void)snprintf(address, sizeof address, "%.*s", (int)length, text);
    if (inet_pton(read.family, address, read.bytes) != 1)
        return -EINVAL;
    r = slash ? parse_bits(slash + 1, &bits) : 0;
    if (r < 0)
        return r;
    if (bits > bits_of(read.family) || cut(read.bytes, bits))
        return -ERANGE;
    read.bits = (uint8_t)bits;
    unmap(&read);
    *prefix = read;
    return 0;
}

bool prefix_of(const struct sockaddr *address, unsigned bits4, unsigned bits6,
               struct prefix *prefix)
{
    struct prefix read = {.family = address->sa_family};

    if (address->sa_family == AF_INET)
        memcpy(read.bytes, (const char *)address + offsetof(struct sockaddr_in, sin_addr), 4);
    else if (address->sa_family == AF_INET6)
        memcpy(read.bytes, (const char *)address + offsetof(struct sockaddr_in6, sin6_addr), 16);
    else
        return false;
    read.bits = (uint8_t)bits_of(read.family);
    unmap(&read);
    read.bits = (uint8_t)(read.family == AF_INET ? bits4 : bits6);
    (void)cut(read.bytes, read.bits);
    *prefix = read;
    return true;
}

bool prefix_holds(const struct prefix *prefix, const struct sockaddr *address)
{
    struct prefix block;

    return prefix_of(address, prefix->bits, prefix->bits, &block) &&
           block.family == prefix->family && memcmp(block.bytes, prefix->bytes, 16) == 0;
}
