/* SPDX-License-Identifier: BSD-2-Clause */
#include "pty.h"

#include "ctl.h"
#include "harness_part.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#define ARGUMENTS_MAX 16
#define HOME "\033[H"

struct pty {
    struct harness_part part;
    struct harness *harness;
    pid_t pid;
    int fd, slave; /* slave: so that what was written is not lost with the program */
    int status;
    bool ended;
    char *text;
    size_t length, marked;
};

static void pty_pump(struct harness_part *part)
{
    struct pty *pty = (struct pty *)part;
    char chunk[4096];
    ssize_t n;

    while ((n = read(pty->fd, chunk, sizeof chunk)) > 0) {
        pty->text = harness_resize(pty->text, pty->length + (size_t)n + 1);
        memcpy(pty->text + pty->length, chunk, (size_t)n);
        pty->length += (size_t)n;
        pty->text[pty->length] = '\0';
    }
}

static void pty_release(struct harness_part *part)
{
    struct pty *pty = (struct pty *)part;

    if (!pty->ended) {
        (void)kill(pty->pid, SIGKILL);
        (void)waitpid(pty->pid, NULL, 0);
    }
    close(pty->fd);
    close(pty->slave);
    free(pty->text);
    free(pty);
}

static _Noreturn void child_run(int slave, const char *program, const char *const *environment,
                                const char *const *words)
{
    const char *arguments[ARGUMENTS_MAX + 2] = {program};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < ARGUMENTS_MAX && words[i]; i++)
        arguments[i + 1] = words[i];
    for (size_t i = 0; environment && environment[i]; i++)
        (void)putenv((char *)(uintptr_t)environment[i]);
    if (login_tty(slave) == 0)
        (void)execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static struct pty *start(struct harness *harness, struct winsize size, const char *program,
                         const char *const *environment, const char *const *words)
{
    struct pty *pty = harness_alloc(sizeof *pty);

    pty->harness = harness;
    pty->text = harness_alloc(1);
    if (openpty(&pty->fd, &pty->slave, NULL, NULL, &size) < 0)
        harness_die("openpty: %s", strerror(errno));
    (void)fcntl(pty->fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(pty->fd, F_SETFL, O_NONBLOCK);
    pty->pid = fork();
    if (pty->pid < 0)
        harness_die("fork: %s", strerror(errno));
    if (pty->pid == 0)
        child_run(pty->slave, program, environment, words);
    (void)fcntl(pty->slave, F_SETFD, FD_CLOEXEC);
    pty->part.pump = pty_pump;
    pty->part.release = pty_release;
    harness_adopt(harness, &pty->part);
    return pty;
}

struct pty *pty_start(struct harness *harness, unsigned short columns, unsigned short rows,
                      const char *const *environment, const char *const *words)
{
    return start(harness, (struct winsize){.ws_col = columns, .ws_row = rows},
                 ctl_program(harness), environment, words);
}

struct pty *pty_start_shell(struct harness *harness, const char *const *environment,
                            const char *script, const char *const *words)
{
    const char *all[ARGUMENTS_MAX + 1] = {"-c", script, "sh", ctl_program(harness)};

    for (size_t i = 0; i + 4 < ARGUMENTS_MAX && words[i]; i++)
        all[i + 4] = words[i];
    return start(harness, (struct winsize){.ws_col = 80, .ws_row = 24}, "/bin/sh", environment,
                 all);
}

pid_t pty_pid(const struct pty *pty)
{
    return pty->pid;
}

const char *pty_output(struct pty *pty)
{
    pty_pump(&pty->part);
    return pty->text;
}

bool pty_wait_text(struct pty *pty, const char *text, double seconds)
{
    const int64_t deadline = harness_deadline(seconds);

    do {
        if (strstr(pty_output(pty) + pty->marked, text))
            return true;
    } while (harness_wait(pty->harness, deadline));
    fprintf(stderr, "\"%s\" is not in: %s\n", text, pty->text + pty->marked);
    return false;
}

void pty_mark(struct pty *pty)
{
    pty_pump(&pty->part);
    pty->marked = pty->length;
}

/* The last one between two HOMEs, or after one and before the end of the program's drawing. */
char *pty_drawing(struct pty *pty)
{
    const char *begin = NULL, *end = NULL;
    char *drawing, *to;

    pty_pump(&pty->part);
    for (const char *at = pty->text + pty->marked; (at = strstr(at, HOME)); at++) {
        begin = end;
        end = at;
    }
    if (!begin)
        return NULL;
    drawing = to = harness_alloc((size_t)(end - begin) + 1);
    for (const char *at = begin; at < end; at++) {
        if (*at == '\033')
            at += 1 + strcspn(at + 1, "HJKhl");
        else if (*at != '\r')
            *to++ = *at;
    }
    return drawing;
}

void pty_type(struct pty *pty, const char *keys)
{
    if (write(pty->fd, keys, strlen(keys)) != (ssize_t)strlen(keys))
        harness_die("nothing can be typed: %s", strerror(errno));
}

void pty_resize(struct pty *pty, unsigned short columns, unsigned short rows)
{
    const struct winsize size = {.ws_col = columns, .ws_row = rows};

    (void)ioctl(pty->fd, TIOCSWINSZ, &size);
}

struct termios pty_terminal(const struct pty *pty)
{
    struct termios terminal = {.c_lflag = 0};

    if (tcgetattr(pty->slave, &terminal) < 0)
        harness_die("tcgetattr: %s", strerror(errno));
    return terminal;
}

int pty_wait_exit(struct pty *pty, double seconds)
{
    const int64_t deadline = harness_deadline(seconds);

    while (!pty->ended && waitpid(pty->pid, &pty->status, WNOHANG) != pty->pid)
        if (!harness_wait(pty->harness, deadline))
            return -1;
    pty->ended = true;
    pty_pump(&pty->part);
    return WIFSIGNALED(pty->status) ? 128 + WTERMSIG(pty->status) : WEXITSTATUS(pty->status);
}
