/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks of addresses: whatever parses has one text, and holds its own first and last address. */
#include "fuzz.h"

#include "daemon/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

static void socket_address(const struct prefix *prefix, const uint8_t bytes[16],
                           struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)address;

    memset(address, 0, sizeof *address);
    address->ss_family = prefix->family;
    if (prefix->family == AF_INET)
        memcpy(&v4->sin_addr, bytes, sizeof v4->sin_addr);
    else
        memcpy(&v6->sin6_addr, bytes, sizeof v6->sin6_addr);
}

/* IPv4 in IPv6 is judged as IPv4, and so is in no block of IPv6. */
static bool is_mapped(const struct prefix *prefix, const uint8_t bytes[16])
{
    struct in6_addr v6;

    memcpy(&v6, bytes, sizeof v6);
    return prefix->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6);
}

static void check_one(const struct prefix *prefix, const uint8_t bytes[16], bool inside)
{
    struct sockaddr_storage address;

    socket_address(prefix, bytes, &address);
    must(prefix_holds(prefix, (const struct sockaddr *)&address) ==
         (inside && !is_mapped(prefix, bytes)));
}

static void check_holds(const struct prefix *prefix)
{
    const unsigned most = prefix->family == AF_INET ? 32 : 128;
    uint8_t last[16];

    must(prefix->bits <= most);
    check_one(prefix, prefix->bytes, true);
    memcpy(last, prefix->bytes, sizeof last);
    for (unsigned bit = prefix->bits; bit < most; bit++) {
        must(!(prefix->bytes[bit / 8] & 0x80 >> bit % 8));
        last[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    check_one(prefix, last, true);
    if (prefix->bits > 0) {
        last[(prefix->bits - 1U) / 8] ^= (uint8_t)(0x80 >> (prefix->bits - 1U) % 8);
        check_one(prefix, last, false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string(data, size);
    char address[INET6_ADDRSTRLEN], printed[INET6_ADDRSTRLEN + 4];
    struct prefix prefix, again;
    int r;

    memset(&prefix, 0, sizeof prefix);
    again = prefix;
    r = prefix_parse(text, &prefix);
    must(r == 0 || r == -EINVAL || r == -ERANGE);
    if (r < 0) {
        must(fuzz_same(&prefix, &again, sizeof prefix));
    } else {
        must(prefix.family == AF_INET || prefix.family == AF_INET6);
        check_holds(&prefix);
        must(inet_ntop(prefix.family, prefix.bytes, address, sizeof address));
        (void)snprintf(printed, sizeof printed, "%s/%u", address, prefix.bits);
        must(prefix_parse(printed, &again) == 0);
        must(fuzz_same(&prefix, &again, sizeof prefix));
    }
    free(text);
    return 0;
}
