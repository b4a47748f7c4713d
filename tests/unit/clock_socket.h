/* SPDX-License-Identifier: BSD-2-Clause */
/* A place for the socket of a clock_server, and plain clients of it. */
#ifndef BERKELEY_TESTS_CLOCK_SOCKET_H
#define BERKELEY_TESTS_CLOCK_SOCKET_H

#include "daemon/clock_call.h"
#include "virtual_kernel.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_PATH_SIZE 64

static inline void socket_place(char path[SOCKET_PATH_SIZE])
{
    char directory[] = "/tmp/berkeley-clock-XXXXXX";

    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, SOCKET_PATH_SIZE, "%s/socket", directory);
}

static inline void socket_remove(char path[SOCKET_PATH_SIZE])
{
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

static inline struct sockaddr_un socket_address(const char *path)
{
    struct sockaddr_un address;

    assert_int_equal(clock_call_address(path, &address), 0);
    return address;
}

static inline int socket_connect(const char *path)
{
    struct sockaddr_un address = socket_address(path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof address), errno);
    return fd;
}

static inline struct clock_call call_of(struct timex timex)
{
    struct clock_call call = {.version = CLOCK_CALL_VERSION,
                              .sequence = 4711,
                              .deadline_ns = clock_call_now_ns() + 3600 * NS_PER_S};

    clock_call_put(&call, &timex);
    return call;
}

#endif
