/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire: the frames of berkeley-protocol(7) to bytes and back.
 *
 * A frame is an 8-byte big-endian header (version, type, length of the whole
 * frame, sequence) and a body of fixed size per type.  Decoding goes byte by
 * byte into the host structs below, checks every field, and never partly writes
 * its output.
 *
 * Stamps and corrections are within +-TIMESTAMP_LIMIT_NS.  Bounds and standard
 * deviations are >= 0; INT64_MAX says unknown.  Names are 1 to 63 characters of
 * printable ASCII, filled up with NULs.
 */
#ifndef BERKELEY_CORE_WIRE_H
#define BERKELEY_CORE_WIRE_H

#include "core/timestamp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 1       /* major: another one is another protocol */
#define WIRE_MINOR 0         /* minor: bodies may only grow at their end */
#define WIRE_HEADER_SIZE 8
#define WIRE_FRAME_MAX 256   /* no frame of any version is longer */
#define WIRE_NAME_SIZE 64    /* host and group names, NUL included */
#define WIRE_ID_SIZE 16
#define WIRE_EXCHANGES_MAX 8 /* in one round */
#define WIRE_INTERVAL_MIN_NS (100 * NS_PER_MS)
#define WIRE_INTERVAL_MAX_NS (3600 * NS_PER_S)

/* The disciplined frequency travels in femtoseconds per second: 10^-6 ppb. */
#define WIRE_FREQ_LIMIT_FS INT64_C(200000000000000) /* +-20 % */

enum wire_type {
    WIRE_HELLO = 1,
    WIRE_WELCOME,
    WIRE_POLL,
    WIRE_REPLY,
    WIRE_CORRECT,
    WIRE_REPORT,
    WIRE_BYE,
};

/* What a node says of its own clock. */
enum sync_state {
    SYNC_UNSYNCHRONISED = 0,
    SYNC_SYNCHRONISED,
    SYNC_HOLDOVER,
};

/* What the master thinks of one clock; see core/average.h for the rule. */
enum clock_verdict {
    VERDICT_NONE = 0,      /* not judged yet: no round with this clock so far */
    VERDICT_COUNTED,       /* in the average */
    VERDICT_REFERENCE,     /* in the average as a reference: the group follows it */
    VERDICT_NEWCOMER,      /* corrected, but does not vote until it is in */
    VERDICT_NOISY,         /* too uncertain to count this time; corrected */
    VERDICT_FAR,           /* excluded: offset too far from the median */
    VERDICT_FAST,          /* excluded: frequency too far from the median */
    VERDICT_SUSPENDED,     /* excluded a moment ago: left alone for some rounds */
    VERDICT_SILENT,        /* no usable answer in this round */
    VERDICT_OBSERVER,      /* measures only: neither corrected nor counted */
    VERDICT_NO_QUORUM,     /* the clocks disagree: nobody is corrected */
    VERDICT_COUNT_
};

/* Who drives a node's clock. */
enum clock_kind {
    CLOCK_KIND_KERNEL = 1, /* the machine's own clock, disciplined */
    CLOCK_KIND_EMULATED,   /* a clock of the demo or of a test */
    CLOCK_KIND_OBSERVED,   /* measured, never touched */
};

enum stamp_source {
    STAMP_USER = 0,   /* taken around the system call */
    STAMP_KERNEL = 1, /* taken by the kernel at the socket */
};

enum bye_reason {
    BYE_SHUTDOWN = 1, /* the daemon stops */
    BYE_RESTARTED,    /* a newer connection of the same node took over */
    BYE_FULL,         /* no room for another slave */
    BYE_VERSION,      /* no common protocol version */
    BYE_GROUP,        /* the other end belongs to another group */
    BYE_PROTOCOL,     /* a frame that cannot be, or out of turn */
    BYE_TIMEOUT,      /* silent for too long */
    BYE_FLOOD,        /* more frames than any honest peer sends */
    BYE_NAME,         /* a node of this name is connected already */
    BYE_KEY,          /* the key is another node's, or was withdrawn */
    BYE_COUNT_
};

/* Why a frame was refused: a bit each, counted and named. */
enum wire_fault {
    WIRE_FAULT_VERSION = 1 << 0, /* major version is not ours */
    WIRE_FAULT_TYPE = 1 << 1,    /* no such frame */
    WIRE_FAULT_LENGTH = 1 << 2,  /* length does not fit the type */
    WIRE_FAULT_RANGE = 1 << 3,   /* a field is outside what it can be */
    WIRE_FAULT_NAME = 1 << 4,    /* a name that is not printable ASCII */
};

struct wire_hello {
    uint8_t minor;         /* highest minor version spoken */
    uint8_t kind;          /* enum clock_kind */
    uint8_t state;         /* enum sync_state */
    uint32_t precision_ns; /* of one clock reading; > 0 */
    int64_t freq_fs;       /* disciplined frequency in force, fs/s */
    uint8_t id[WIRE_ID_SIZE];
    char name[WIRE_NAME_SIZE];
    char group[WIRE_NAME_SIZE];
};

struct wire_welcome {
    uint8_t minor; /* version chosen */
    uint8_t state; /* the group's */
    uint8_t exchanges;
    int64_t interval_ns;
    char name[WIRE_NAME_SIZE]; /* the master's */
    char group[WIRE_NAME_SIZE];
};

/* Every stamped frame (POLL, REPLY, CORRECT, REPORT) begins with its sender's
 * reading at departure, patched in by wire_stamp() right before the write, and
 * the departure stamp of an earlier frame of the same type, which the kernel
 * tells only afterwards (two-step); sequence 0 = none. */
struct wire_departure {
    struct reading sent;
    uint8_t source;         /* enum stamp_source of `sent` */
    uint32_t prev_sequence; /* that earlier frame's sequence number */
    int64_t prev_raw_ns;    /* RAW when it left */
};

struct wire_poll {
    struct wire_departure departure; /* sent.raw_ns is t1 */
    uint32_t round;
    uint8_t exchange; /* 0 .. exchanges - 1 */
};

struct wire_reply {
    struct wire_departure departure; /* sent.raw_ns is t3, total_ns is A at t3 */
    uint32_t round;                  /* echo */
    uint8_t exchange;                /* echo */
    uint8_t state;                   /* enum sync_state */
    uint8_t source;                  /* enum stamp_source of t2 */
    uint32_t epoch;                  /* goes up when this clock jumped: nothing older holds */
    int64_t t1_raw_ns;               /* echo of the POLL's departure */
    int64_t t2_raw_ns;               /* arrival of the POLL */
    uint32_t correct_sequence;       /* last CORRECT that arrived, 0 = none */
    int64_t correct_raw_ns;          /* its arrival */
    int64_t freq_fs;                 /* frequency in force, fs/s */
    int64_t bound_ns;                /* own published bound; >= 0 */
    int64_t offset_sd_ns;            /* own sd of the offset to the group; >= 0 */
};

struct wire_correct {
    struct wire_departure departure; /* one more forward observation */
    uint32_t round;
    uint32_t epoch;        /* of the slave, as of the samples used */
    uint8_t state;         /* the group's, enum sync_state */
    uint8_t verdict;       /* on this slave, enum clock_verdict */
    uint8_t has_map;       /* 1: obey the map; 0: keep what you have */
    uint16_t counted;      /* clocks in the average */
    uint16_t present;      /* clocks that answered, the master included */
    struct map map;        /* freq_ppb carried as fs/s */
    int64_t correction_ns; /* the map's change at R0: what users call the correction */
    int64_t offset_sd_ns;  /* sd of the offset behind the map; >= 0 */
    int64_t freq_sd_fs;    /* sd of the frequency behind it, fs/s; >= 0 */
    int64_t asymmetry_ns;  /* what unobservable path asymmetry may hide; >= 0 */
    int64_t wander_fs;     /* random walk of the frequency: sd after one second, fs/s; >= 0 */
    int64_t scatter_ns;    /* how far the counted clocks' mean may be from the group's time; >= 0 */
};

struct wire_report {
    struct wire_departure departure;
    uint32_t round;      /* of the map now followed */
    uint8_t state;       /* enum sync_state */
    uint8_t foreign;     /* 1: somebody else set this clock since the last report */
    int64_t applied_ns;  /* measured change of A since the map was taken up */
    int64_t slew_left_ns;
    int64_t freq_fs;
    int64_t bound_ns;
};

struct wire_bye {
    uint8_t reason; /* enum bye_reason */
};

struct wire_frame {
    uint8_t type; /* enum wire_type */
    uint32_t sequence;
    union {
        struct wire_hello hello;
        struct wire_welcome welcome;
        struct wire_poll poll;
        struct wire_reply reply;
        struct wire_correct correct;
        struct wire_report report;
        struct wire_bye bye;
    };
};

/* Length of the frame that starts at bytes, header included: 0 and *length set;
 * -EAGAIN while fewer than WIRE_HEADER_SIZE bytes are there; -EBADMSG if the
 * header names a length that no frame has. */
int wire_frame_length(const uint8_t *bytes, size_t available, size_t *length);

/* One whole frame of exactly `length` bytes.  0 and *faults 0, or -EBADMSG with
 * the reasons in *faults (enum wire_fault) and *frame untouched.  minor is the
 * negotiated one, 0 before that: only above WIRE_MINOR may a known body carry
 * more bytes, ignored.  For HELLO the minor that it names itself counts. */
int wire_decode(const uint8_t *bytes, size_t length, uint8_t minor, struct wire_frame *frame,
                unsigned *faults);

/* Writes the frame and its length.  0, or -EINVAL for a frame that
 * wire_decode() would refuse; outputs untouched then. */
int wire_encode(const struct wire_frame *frame, uint8_t bytes[WIRE_FRAME_MAX], size_t *length);

/* The number of the frame that follows number `sequence`: 0 is left out. */
uint32_t wire_next_sequence(uint32_t sequence);
/* Can a frame of this number follow one of number `last` (0: the first)?  After some have
 * been left out, too. */
bool wire_sequence_follows(uint32_t last, uint32_t sequence);

/* Type and sequence of an encoded frame, from its header. */
void wire_identify(const uint8_t bytes[WIRE_HEADER_SIZE], uint8_t *type, uint32_t *sequence);

/* Puts the reading of this very moment into an encoded stamped frame.
 * 0, or -EINVAL with the frame untouched if it carries no stamp or the reading
 * is one that wire_decode() would refuse. */
int wire_stamp(uint8_t *bytes, size_t length, const struct reading *sent, enum stamp_source source);

/* Lower-case words for logs, status and metrics; "unknown" outside the enum. */
const char *wire_type_name(unsigned type);
const char *wire_fault_name(unsigned faults); /* of the lowest bit set */
const char *sync_state_name(unsigned state);
const char *clock_verdict_name(unsigned verdict);
const char *bye_reason_name(unsigned reason);

/* Does the group count a clock of this verdict as one of its own? */
bool clock_verdict_is_in(unsigned verdict);

/* Parts per 10^9 to femtoseconds per second and back. */
int64_t wire_fs_from_ppb(double freq_ppb);
double wire_ppb_from_fs(int64_t freq_fs);

#endif
