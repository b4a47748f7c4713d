/* SPDX-License-Identifier: BSD-2-Clause */
/* Socket addresses from text and from bytes. */
#ifndef BERKELEY_TESTS_SOCKET_ADDRESS_H
#define BERKELEY_TESTS_SOCKET_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static inline struct sockaddr_storage socket_address_make(const uint8_t bytes[16], bool six)
{
    struct sockaddr_storage storage = {.ss_family = six ? AF_INET6 : AF_INET};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;

    if (six)
        memcpy(&v6->sin6_addr, bytes, 16);
    else
        memcpy(&v4->sin_addr, bytes, 4);
    return storage;
}

static inline struct sockaddr_storage socket_address_of(const char *text)
{
    const bool six = strchr(text, ':') != NULL;
    uint8_t bytes[16] = {0};

    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, text, bytes), 1);
    return socket_address_make(bytes, six);
}

#endif
