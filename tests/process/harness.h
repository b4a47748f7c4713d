/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness: real programs on loopback, and what surrounds them: a service
 * manager, a journal, peers that misbehave, and the truth about their clocks.
 *
 * Everything belongs to a struct harness and ends with it: processes are told
 * to stop, then killed; descriptors are closed; the directory is removed. What
 * the harness itself cannot do (no memory, no temporary directory) ends the
 * test program with a message.
 *
 * seconds: how long to wait at most, times $BERKELEY_TEST_SCALE.  All waits
 * also take in what the receivers below were sent, so that no daemon blocks on
 * a full socket: wait with these, or with harness_wait(), not with sleep().
 */
#ifndef BERKELEY_TESTS_HARNESS_H
#define BERKELEY_TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct harness;

struct harness *harness_new(void);
/* True if no process reported a sanitizer's findings or a secret. */
bool harness_free(struct harness *harness);
/* The same as cmocka fixtures: *state is the harness. */
int harness_setup(void **state);
int harness_teardown(void **state);

const char *harness_directory(const struct harness *harness);
/* A name in the directory; lives as long as the harness. */
const char *harness_path(struct harness *harness, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Writes the file anew and returns its path. */
const char *harness_write(struct harness *harness, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A TCP port nobody on loopback has; never the same twice in a program. */
uint16_t harness_port(void);

/* do { if (what is waited for) ...; } while (harness_wait(harness, deadline)); */
int64_t harness_deadline(double seconds);
bool harness_wait(struct harness *harness, int64_t deadline);

/* --- the service manager's notify socket --- */

struct notify;

struct notify *notify_open(struct harness *harness);
/* All messages so far, oldest first, with their line breaks; NULL beyond the last. */
const char *notify_message(struct notify *notify, size_t n);
/* Is there, or will there be, a line that begins with `text`, in a message after the mark? */
bool notify_wait(struct notify *notify, const char *text, double seconds);
/* How many such lines there are. */
unsigned notify_count(struct notify *notify, const char *text);
/* The value last given to the variable ("STATUS"), NULL if none. */
const char *notify_last(struct notify *notify, const char *variable);
/* From now on only look at what follows. */
void notify_mark(struct notify *notify);

/* --- the journal's socket, native protocol --- */

struct journald;

struct journald *journald_open(struct harness *harness);
size_t journald_count(struct journald *journald);
/* The field of the n-th entry, NULL if it has none; length may be NULL. */
const char *journald_field(struct journald *journald, size_t n, const char *key, size_t *length);
/* First entry from `from` on whose field matches the extended regex: its number or -1. */
long journald_find(struct journald *journald, size_t from, const char *key, const char *regex);
long journald_wait(struct journald *journald, size_t from, const char *key, const char *regex,
                   double seconds);
/* Datagrams that were not in the journal's protocol. */
unsigned journald_faults(struct journald *journald);

/* --- processes --- */

struct process;

struct process_options {
    const char *program;            /* NULL: $BERKELEYD, or the one that was built */
    const char *const *arguments;   /* after the program's name, NULL at the end; may be NULL */
    const char *const *environment; /* "NAME=value" sets, "NAME" removes; likewise */
    struct notify *notify;          /* NOTIFY_SOCKET */
    struct journald *journald;      /* JOURNAL_STREAM, and the shim leads there */
};

/* Standard output and error go to files of their own.  A program that cannot be
 * run exits with 127. */
struct process *process_spawn(struct harness *harness, const struct process_options *options);
/* berkeleyd with these arguments (NULL at the end) and nothing else. */
struct process *process_start(struct harness *harness, const char *argument, ...)
    __attribute__((sentinel));

pid_t process_pid(const struct process *process);
bool process_running(struct process *process);
void process_signal(struct process *process, int number);
/* Exit code, 128 + signal, or -1 when it did not exit in time. */
int process_wait_exit(struct process *process, double seconds);
/* Once it ended: did it leave a core? */
bool process_dumped_core(const struct process *process);
/* SIGTERM, and what process_wait_exit() says after 10 s. */
int process_stop(struct process *process);
/* SIGKILL; gone when it returns. */
void process_kill(struct process *process);

/* Is there, or will there be, a line of standard error after the mark that
 * matches the extended regex?  If not, says so with all of the output. */
bool process_wait_line(struct process *process, const char *regex, double seconds);
unsigned process_count_lines(struct process *process, const char *regex);
/* From now on only look at lines that follow. */
void process_mark(struct process *process);
/* All so far; good until the next call for this process. */
const char *process_stderr(struct process *process);
const char *process_stdout(struct process *process);

/* --- keys --- */

struct secret_key {
    char identity[64];
    char secret[65]; /* hexadecimal */
    char name[64];   /* "": anybody's */
};

/* Of a random secret, which no process of a harness may print from now on: harness_free()
 * tells.  name: the only machine that may use it, or NULL. */
struct secret_key key_make(const char *identity, const char *name);
void key_bytes(const struct secret_key *key, uint8_t bytes[32]);
/* A key file of that name in the directory, for its owner only; its path. */
const char *key_write(struct harness *harness, const char *name, const struct secret_key *keys,
                      size_t count);
/* The identity of a key whose secret is in these bytes, even in part; NULL: none. */
const char *key_told(const char *text, size_t length);

/* --- raw TCP --- */

struct tcp;

/* To 127.0.0.1; NULL if refused. */
struct tcp *tcp_connect(struct harness *harness, uint16_t port);
struct tcp *tcp_listen(struct harness *harness, uint16_t port);
/* The next connection, or NULL. */
struct tcp *tcp_accept(struct tcp *listener, double seconds);
/* -1 once closed. */
int tcp_fd(const struct tcp *tcp);
bool tcp_send(struct tcp *tcp, const void *bytes, size_t length);
/* How many of size bytes arrived before time or connection ended. */
size_t tcp_receive(struct tcp *tcp, void *bytes, size_t size, double seconds);
/* Has the peer closed, or does it, whatever it still says? */
bool tcp_wait_closed(struct tcp *tcp, double seconds);
/* Sends FIN; still reads. */
void tcp_half_close(struct tcp *tcp);
void tcp_reset(struct tcp *tcp);
void tcp_close(struct tcp *tcp);

/* --- the truth: emulated clocks seen from outside --- */

#define CLOCKS_ALL UINT64_MAX

struct clocks;

/* Waits until all files are clocks; NULL if they are not in time. */
struct clocks *clocks_open(struct harness *harness, const char *const *paths, size_t count,
                           double seconds);
/* All at one instant of the host's CLOCK_MONOTONIC_RAW, into real_ns[count]. */
void clocks_read(struct clocks *clocks, int64_t *real_ns);
/* Largest minus smallest at one instant; bit n of subset is clock n. */
int64_t clocks_spread(struct clocks *clocks, uint64_t subset);
bool clocks_wait_spread(struct clocks *clocks, uint64_t subset, int64_t limit_ns, double seconds);
/* The largest spread seen while watching for that long. */
int64_t clocks_watch(struct clocks *clocks, uint64_t subset, double seconds);
/* Largest step back of clock n: seen between any two reads, or known to its file; 0 = never. */
int64_t clocks_backward(struct clocks *clocks, size_t n);

#endif
