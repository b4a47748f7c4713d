/* SPDX-License-Identifier: BSD-2-Clause */
#include "screen.h"

#include "core/timestamp.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The other screen, without cursor; and back. */
#define OPENING "\033[?1049h\033[?25l"
#define CLOSING "\033[?25h\033[?1049l"

static struct {
    bool entered, is_raw, has_keys;
    int signals;
    int last; /* signal that arrived */
    sigset_t before;
    struct termios terminal;
} screen = {.signals = -1};

static int put(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, length);

        if (n < 0 && errno != EINTR)
            return -errno;
        bytes += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int take_terminal(void)
{
    struct termios raw;

    screen.has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &screen.terminal) == 0;
    screen.is_raw = screen.has_keys;
    if (screen.is_raw) {
        raw = screen.terminal;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
            return -errno;
    }
    return put(OPENING, strlen(OPENING));
}

static void give_terminal(void)
{
    (void)put(CLOSING, strlen(CLOSING));
    if (screen.is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.terminal);
}

int screen_enter(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;
    int r;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)sigaddset(&set, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &set, &screen.before) < 0)
        return -errno;
    screen.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (screen.signals < 0)
        return -errno;
    screen.entered = true;
    r = take_terminal();
    if (r < 0)
        screen_leave();
    return r;
}

void screen_leave(void)
{
    if (!screen.entered)
        return;
    screen.entered = false;
    give_terminal();
    close(screen.signals);
    screen.signals = -1;
}

void screen_die(void)
{
    screen_leave();
    (void)raise(screen.last);
    (void)sigprocmask(SIG_SETMASK, &screen.before, NULL);
}

void screen_size(size_t *columns, size_t *rows)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    *columns = size.ws_col;
    *rows = size.ws_row;
}

int screen_draw(const char *text)
{
    size_t columns, rows, length = 0;
    char *bytes = NULL;
    FILE *out = open_memstream(&bytes, &length);
    int r;

    if (!out)
        return -ENOMEM;
    screen_size(&columns, &rows);
    (void)fputs("\033[H", out);
    for (size_t row = 0; row < rows && *text; row++) {
        const size_t line = strcspn(text, "\n");
        size_t fitting = text_fit(text, columns);

        if (fitting > line)
            fitting = line;
        (void)fprintf(out, "%s%.*s\033[K", row > 0 ? "\r\n" : "", (int)fitting, text);
        text += line + (text[line] == '\n');
    }
    (void)fputs("\033[J", out);
    r = fclose(out) == 0 ? put(bytes, length) : -ENOMEM;
    free(bytes);
    return r;
}

/* Until somebody lets it go on.  Where no shell could, the kernel does not stop it: SIGSTOP would
 * be for good. */
static void stop(void)
{
    sigset_t set;

    give_terminal();
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTSTP);
    (void)raise(SIGTSTP);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)take_terminal();
}

static enum screen_event take_signal(void)
{
    struct signalfd_siginfo info;

    if (read(screen.signals, &info, sizeof info) != sizeof info)
        return SCREEN_REDRAW;
    if (info.ssi_signo == SIGTSTP)
        stop();
    if (info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH)
        return SCREEN_REDRAW;
    screen.last = (int)info.ssi_signo;
    return SCREEN_SIGNAL;
}

static bool take_keys(void)
{
    char keys[64];
    ssize_t n = read(STDIN_FILENO, keys, sizeof keys);

    if (n <= 0)
        screen.has_keys = false; /* nobody types here any more */
    return n > 0 && (memchr(keys, 'q', (size_t)n) || memchr(keys, 'Q', (size_t)n));
}

enum screen_event screen_wait(int64_t deadline_ns)
{
    for (;;) {
        struct pollfd inputs[] = {{.fd = screen.signals, .events = POLLIN},
                                  {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN}};
        struct timespec now, left;
        int64_t left_ns;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        left_ns = deadline_ns - (now.tv_sec * NS_PER_S + now.tv_nsec);
        if (left_ns <= 0)
            return SCREEN_TIME;
        left = (struct timespec){.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
        if (ppoll(inputs, 2, &left, NULL) <= 0)
            continue;
        if (inputs[0].revents)
            return take_signal();
        if (take_keys())
            return SCREEN_QUIT;
    }
}
