/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control: the socket on which the daemon answers questions about itself.
 *
 * One line in, "WORD [ARGUMENT]\n"; one line of JSON out, and the connection is over.  Who may
 * ask is decided by the socket's file (its group) and, for words that change something, by who
 * the kernel says is asking: root or the daemon's own user.  Clients come after everything else
 * the loop has to do, and a long answer is made in pieces, one a turn.  A question that is refused
 * gets {"error": "..."}.
 */
#ifndef BERKELEY_DAEMON_CONTROL_H
#define BERKELEY_DAEMON_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#define CONTROL_LINE_MAX 256     /* bytes of a question, newline included */
#define CONTROL_ARGUMENT_SIZE 64
#define CONTROL_CLIENTS_MAX 16   /* at a time, the next ones wait; each has a second for its
                                  * question, and one to take the answer */

struct json_object;

/* The elements of a list that an answer ends with, so many that they are made a few at a time. */
struct control_list {
    struct json_object *(*next)(void *context); /* is taken over; NULL: there are no more */
    void (*end)(void *context);                 /* once, whether all were taken or not */
    void *context;
};

struct control_word {
    const char *word;
    bool changes;        /* for root and the daemon's own user only */
    bool takes_argument; /* or may; without it an argument is refused */
    /* The answer, which is taken over; NULL: out of memory.  Not to close the control. */
    struct json_object *(*answer)(void *context, const char *argument);
    /* In its place: the answer is an object, and if `list` is filled in, with an empty array as its
     * last member, whose elements that list gives. */
    struct json_object *(*answer_long)(void *context, const char *argument,
                                       struct control_list *list);
};

/* What was asked: 0 (argument: "" if none); -EINVAL for anything but "WORD" or "WORD ARGUMENT",
 * both of printable ASCII without spaces, with a newline at the end and nowhere else; -ENOENT for a
 * word not in the table. */
int control_parse(const struct control_word *words, size_t count, const char *line, size_t length,
                  const struct control_word **word, char argument[CONTROL_ARGUMENT_SIZE]);

/* An answer that refuses the question, with this sentence. */
struct json_object *control_complain(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

struct control;

/* Listens on a socket file of mode 0660 at `path`, in the place of one that nobody answers on.
 * words: borrowed.  0 or -errno: -EADDRINUSE if somebody answers there, -EEXIST if what is there
 * is no socket. */
int control_open(sd_event *loop, const char *path, const struct control_word *words, size_t count,
                 void *context, struct control **control);
/* Removes the file.  NULL is allowed. */
void control_close(struct control *control);

#endif
