/* SPDX-License-Identifier: BSD-2-Clause */
/* control_side: a loop, a directory for sockets, and clients that ask there. */
#ifndef BERKELEY_TESTS_CONTROL_SIDE_H
#define BERKELEY_TESTS_CONTROL_SIDE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

#define CONTROL_TEST_S 60
#define ANSWER_SIZE ((size_t)8 * 1024 * 1024)

struct control_side {
    sd_event *loop;
    char directory[64], path[96];
};

static inline void control_side_open(struct control_side *side)
{
    (void)alarm(CONTROL_TEST_S);
    strcpy(side->directory, "/tmp/berkeley-test-XXXXXX");
    assert_non_null(mkdtemp(side->directory));
    (void)snprintf(side->path, sizeof side->path, "%s/x.sock", side->directory);
    assert_true(sd_event_new(&side->loop) >= 0);
}

static inline void control_side_close(struct control_side *side)
{
    sd_event_unref(side->loop);
    (void)unlink(side->path);
    assert_int_equal(rmdir(side->directory), 0);
}

static inline struct sockaddr_un control_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    return address;
}

/* -1: refused, with errno. */
static inline int control_dial(const char *path)
{
    const struct sockaddr_un address = control_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline void control_say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline int control_begin(const struct control_side *side, const char *question)
{
    int fd = control_dial(side->path);

    assert_true(fd >= 0);
    control_say(fd, question);
    return fd;
}

/* Whatever the loop has to do at once. */
static inline void control_settle(struct control_side *side)
{
    while (sd_event_run(side->loop, 0) > 0)
        ;
}

static inline void assert_no_answer(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

/* All that comes until the connection ends, at most `step` bytes a turn of the loop; the
 * caller's to free. */
static inline char *control_take(struct control_side *side, int fd, size_t step)
{
    char *text = malloc(ANSWER_SIZE);
    size_t length = 0;
    ssize_t n;

    assert_non_null(text);
    do {
        assert_true(sd_event_run(side->loop, 10000) >= 0);
        n = recv(fd, text + length, step, 0);
        assert_true(n >= 0 || errno == EAGAIN || errno == ECONNRESET);
        length += n > 0 ? (size_t)n : 0;
        assert_true(length + step < ANSWER_SIZE);
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    text[length] = '\0';
    close(fd);
    return text;
}

static inline char *control_ask(struct control_side *side, const char *question)
{
    return control_take(side, control_begin(side, question), 65536);
}

static inline void assert_answer(struct control_side *side, const char *question,
                                 const char *expected)
{
    char *answer = control_ask(side, question);

    assert_string_equal(answer, expected);
    free(answer);
}

#endif
