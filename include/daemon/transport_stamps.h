/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport_stamps: the kernel's own stamps of what crosses a TCP socket, by the
 * host's CLOCK_REALTIME.  Part of the transport: nobody else includes this.
 *
 * Arrival.  The kernel tells one stamp for each read: that of the newest segment the
 * read took bytes from; segments that wait in the socket's queue are merged and keep the
 * newest one's.  So the frame that a read completes gets the stamp of its own last
 * segment, and frames before it in the same read one that is too late, but never later
 * than the read: the error is that of a queue, which the estimator expects.  Reading
 * frame by frame would not help, the merged ones told apart all the same.
 *
 * Departure.  Each send() asks for a stamp of the segment with its last byte.  It comes
 * back through the error queue with the number of that byte, counted from the first
 * one sent, modulo 2^32.  It is the frame's if that byte is the frame's last one:
 * nothing else is.  A frame that was written in parts left with its end.  One that
 * went into a segment with the next has none of its own.  A segment sent again is
 * stamped again: the first stamp of a byte counts, and once a frame's stamp is
 * there nobody waits for those of earlier frames any more.
 */
#ifndef BERKELEY_DAEMON_TRANSPORT_STAMPS_H
#define BERKELEY_DAEMON_TRANSPORT_STAMPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STAMPS_WAITING_MAX 16 /* frames; the oldest gives way */

/* Of a connection with nothing sent yet: bytes are counted from here on, and departures not yet
 * stamped.  0, or -errno if the kernel does not stamp. */
int stamps_prepare(int fd);

/* With nothing sent yet, or after stamps_prepare().  0, or -errno if the kernel does not stamp. */
int stamps_enable(int fd);

/* recv() without waiting, and its stamp; *real_ns 0: the kernel tells none. -errno. */
ssize_t stamps_receive(int fd, void *bytes, size_t size, int64_t *real_ns);

/* The next stamp of a departure in the error queue.  0; -EAGAIN: none is there;
 * -ENODATA: something else was, and is no more. */
int stamps_depart(int fd, uint32_t *last_byte, int64_t *real_ns);

/* A frame on its way out. */
struct departing {
    uint32_t last_byte;
    uint32_t sequence;
    uint8_t type;
};

/* All zero at the start. */
struct departures_due {
    uint32_t written; /* bytes ever, modulo 2^32 */
    unsigned first, count;
    struct departing waiting[STAMPS_WAITING_MAX];
};

/* The socket took that many more. */
void departures_written(struct departures_due *due, size_t bytes);

/* A frame was written but for its last `rest` bytes, which come next. */
void departures_expect(struct departures_due *due, size_t rest, uint8_t type, uint32_t sequence);

/* Whose last byte is that?  0, and neither it nor any before is waited for any
 * longer; -ENOENT: nobody's. */
int departures_match(struct departures_due *due, uint32_t last_byte, struct departing *frame);

#endif
