/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a clock_server is asked. */
#include "daemon/clock_server.h"

#include "clock_socket.h"

#include <sys/stat.h>
#include <sys/wait.h>

static void only_its_user_may_connect(void **state)
{
    char path[SOCKET_PATH_SIZE];
    struct stat file;
    int fd;

    (void)state;
    socket_place(path);
    fd = clock_server_listen(path);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    close(fd);
    socket_remove(path);
}

static void a_place_in_use_is_not_taken(void **state)
{
    char path[SOCKET_PATH_SIZE];
    char longer[200] = {0};
    int fd;

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    assert_int_equal(clock_server_listen(NULL), -EDESTADDRREQ);
    assert_int_equal(clock_server_listen(longer), -ENAMETOOLONG);
    assert_int_equal(clock_server_listen("/nonexistent/socket"), -ENOENT);
    socket_place(path);
    for (int i = 0; i < 2; i++) {
        fd = clock_server_listen(path);
        assert_true(fd >= 0);
        assert_int_equal(clock_server_listen(path), -EADDRINUSE);
        close(fd);
    }
    socket_remove(path);
}

/* In a child, whose descriptors are its own. */
static int listen_with(int type, const char *path)
{
    struct sockaddr_un address = socket_address(path);
    char pid[16];
    int status, fd;
    pid_t child = fork();

    if (child == 0) {
        (void)close(3);
        fd = socket(AF_UNIX, type, 0);
        if (fd != 3 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            (type != SOCK_DGRAM && listen(fd, 1) < 0))
            _exit(99);
        (void)snprintf(pid, sizeof pid, "%d", getpid());
        (void)setenv("LISTEN_PID", pid, 1);
        (void)setenv("LISTEN_FDS", "1", 1);
        fd = clock_server_listen(NULL);
        _exit(fd < 0 ? -fd : fd);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)unlink(path);
    return WEXITSTATUS(status);
}

static void the_socket_may_be_passed(void **state)
{
    char path[SOCKET_PATH_SIZE];

    (void)state;
    socket_place(path);
    assert_int_equal(listen_with(SOCK_SEQPACKET, path), 3);
    assert_int_equal(listen_with(SOCK_STREAM, path), EINVAL);
    assert_int_equal(listen_with(SOCK_DGRAM, path), EINVAL);
    socket_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_user_may_connect),
        cmocka_unit_test(a_place_in_use_is_not_taken),
        cmocka_unit_test(the_socket_may_be_passed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
