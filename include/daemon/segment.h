/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment: how far this machine's clock may be off, in a file of 80 bytes that other programs
 * map.  Its layout is that of ClockBound's shared memory, version 2, in the machine's byte order:
 *
 *     0  magic, two u32: 0x414D5A4E, 0x43420200
 *     8  size, u32: 80           12  version, u16: 2
 *    14  generation, u16: odd while the rest is being written, else even; never 0
 *    16  as of, i64 s, i64 ns: CLOCK_MONOTONIC_COARSE
 *    32  void after, i64 s, i64 ns: likewise
 *    48  bound, i64 ns          56  disruption marker, u64
 *    64  drift, u32 ppb         68  status, i32
 *    72  whether /dev/vmclock0 is to be asked, too, u8: no; seven more
 *
 * A reader takes what it read if the generation was the same even number before and after.
 */
#ifndef BERKELEY_DAEMON_SEGMENT_H
#define BERKELEY_DAEMON_SEGMENT_H

#include <stdint.h>

enum segment_status {
    SEGMENT_UNKNOWN = 0,
    SEGMENT_SYNCHRONISED,
    SEGMENT_HOLDOVER,
    SEGMENT_DISRUPTED, /* somebody set the clock, or it stood still: not put right yet */
};

/* At CLOCK_MONOTONIC_COARSE time t from as_of to void_after the clock is off by at most
 * bound + drift (t - as_of).  Unknown and disrupted: all but disruptions is without meaning. */
struct segment_bound {
    int64_t as_of_ns;
    int64_t void_after_ns;
    int64_t bound_ns;
    uint64_t disruptions;
    uint32_t drift_ppb;
    enum segment_status status;
};

struct segment;

/* The file at that path, which is made if it is not there; one that is keeps its inode, so that
 * whoever has mapped it goes on, and what it says, unless its writer was killed at it.  Readable
 * for everybody, whatever the umask.  0 or -errno, and then nothing was harmed: -ELOOP for a
 * symbolic link, -EINVAL for what is no regular file, -EPERM for another user's, -EEXIST for one
 * with other content, -EBUSY for one that is being written by another process. */
int segment_open(const char *path, struct segment **segment);

/* An instant of CLOCK_MONOTONIC_COARSE before now, by its resolution: no reader finds less time
 * gone by since then than has. */
int64_t segment_now(void);

/* 0, or -errno: -ESTALE when the file was removed. */
int segment_write(struct segment *segment, const struct segment_bound *bound);

/* As last written, by whomever. */
uint64_t segment_disruptions(const struct segment *segment);

/* Says that nothing is known any more.  The file stays. */
void segment_close(struct segment *segment);

#endif
