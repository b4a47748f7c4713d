/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario: what is simulated, as a person writes it down in
 * tests/sim/scenarios/NAME.conf (libconfig; durations as "50 us"), and what must
 * come out.
 */
#ifndef BERKELEY_SIM_SCENARIO_H
#define BERKELEY_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENARIO_NODES_MAX 64
#define SCENARIO_EVENTS_MAX 32
#define SCENARIO_NAME_SIZE 64
#define SCENARIO_ALL (-1)

/* One direction of a path between the master and a slave. */
struct scenario_delay {
    int64_t base_ns;
    int64_t queue_ns;      /* mean of the exponential part */
    double stall_chance;   /* of one frame, that its segment is lost and sent again ... */
    int64_t stall_ns;      /* ... this much later (TCP: 200 ms; doubled for each further loss) */
    double burst_chance;   /* of one frame, that a burst of other traffic begins ... */
    int64_t burst_ns;      /* ... which lasts so long ... */
    int64_t burst_queue_ns; /* ... and in which this is the mean queue */
};

struct scenario_path {
    struct scenario_delay up;   /* slave to master */
    struct scenario_delay down; /* master to slave */
    int64_t turnaround_ns;      /* a node's time between a frame's arrival and its answer */
    int64_t seal_ns;            /* for a frame's encryption, and for its decryption, at least ... */
    int64_t seal_jitter_ns;     /* ... and the mean of what that takes longer */
    int64_t wake_ns;            /* mean, from the wire to this node's program and back */
    bool own_stamps;            /* the program's, outside the encryption, not the kernel's: ... */
    bool inside;                /* ... or from within it, and nobody tells of a departure later */
};

/* One value for each of the first `count` nodes. */
struct scenario_list {
    int count;
    double values[SCENARIO_NODES_MAX];
};

/* A clock's properties; each is drawn for each node from the seed. */
struct scenario_clock {
    int64_t offset_ns;    /* uniform within +- this */
    double frequency_ppm; /* uniform within +- this */
    double wander;        /* W, random walk of the frequency: its sd after one second (1e-9) */
    int64_t noise_ns;     /* sd of the white noise of a stamp */
    struct scenario_list offsets_ns, frequencies_ppm; /* in place of what would be drawn */
};

enum scenario_what {
    SCENARIO_STEP,       /* somebody sets the clock: by_ns */
    SCENARIO_FREQUENCY,  /* the oscillator changes: by_ppm */
    SCENARIO_STUCK,      /* the corrected clock it reports stands still for length_ns */
    SCENARIO_LIE,        /* its frames name a clock that is by_ns off, for length_ns */
    SCENARIO_LIE_RANDOM, /* ... off by a random value within +-by_ns, anew in each frame */
    SCENARIO_START,      /* starts only now, by_ns off (a node with such an event is down before) */
    SCENARIO_STOP,       /* SIGTERM */
    SCENARIO_KILL,       /* SIGKILL: connections end, the kernel's clock goes on */
    SCENARIO_RESTART,    /* killed and started length_ns later, its clock by_ns off what it was */
    SCENARIO_PARTITION,  /* nothing crosses for length_ns; connections break after TCP's patience */
    SCENARIO_BREAK,      /* the connection is lost; the slave connects again */
    SCENARIO_SUSPEND,    /* the machine sleeps for length_ns */
    SCENARIO_DEAF,       /* does not read its socket for length_ns */
    SCENARIO_PATH,       /* the path's base delays grow by up_ns and down_ns */
};

struct scenario_event {
    int64_t at_ns;
    enum scenario_what what;
    int first, last;    /* nodes; 0 is the master; SCENARIO_ALL: all slaves */
    int64_t by_ns;
    double by_ppm;
    int64_t length_ns;  /* 0: for good */
    int64_t up_ns, down_ns;
    bool known;         /* restart: the daemon finds what it saved (default); else not */
};

/* Limits that a run must keep; < 0: not asked for.  Never asked for because always
 * kept: no backward step, no slew above the limit, no bound that is wrong. */
struct scenario_expect {
    int64_t spread_ns;      /* p99 of the good clocks' spread after `settle` */
    int64_t worst_ns;       /* the largest spread of the good, synchronised clocks after they first
                             * were all in */
    int64_t shift_ns;       /* how far the good clocks' mean may leave, within 600 s of the first
                             * event, the line it followed before */
    int64_t converge_ns;    /* all good clocks within 10 x their steady spread, for good */
    double overshoot;       /* largest share of its initial offset that a clock may go past the
                             * target */
    int excluded[SCENARIO_NODES_MAX]; /* nodes that must have been excluded once; ends with -1 */
    int in_at_end;          /* so many clocks are in at the end */
    bool nobody_excluded;
};

struct scenario {
    char name[SCENARIO_NAME_SIZE];
    char about[256];        /* one sentence */
    int nodes;              /* the master included */
    int64_t length_ns, settle_ns; /* figures are taken after `settle` */
    int64_t interval_ns;
    int exchanges;
    struct scenario_clock clock;
    struct scenario_path path;
    double max_slew_ppm, initial_slew_ppm;
    int64_t asymmetry_max_ns; /* what berkeley.conf declares; -1: nothing */
    bool fault;             /* one of those that every change is tried on with many seeds */
    struct scenario_event events[SCENARIO_EVENTS_MAX];
    size_t event_count;
    struct scenario_expect expect;
};

#define SCENARIO_ERROR_SIZE 512

/* 0, or -EINVAL (-ENOENT, ...) with a line "FILE:LINE: KEY: found ...; allowed is ...".
 * The name is the file's, without directory and ".conf". */
int scenario_load(const char *path, struct scenario *scenario, char error[SCENARIO_ERROR_SIZE]);

/* One setting of a loaded scenario anew, as the command line has it: "clock.wander=1e-8",
 * "interval=6 s".  0, or -EINVAL with the line. */
int scenario_set(struct scenario *scenario, const char *setting, char error[SCENARIO_ERROR_SIZE]);

/* What has to hold between settings: events that name nodes there are, a settle before the
 * end.  0, or -EINVAL with the line; scenario_load() has asked it already. */
int scenario_check(const struct scenario *scenario, const char *source,
                   char error[SCENARIO_ERROR_SIZE]);

/* "lie", "partition" ... */
const char *scenario_word(enum scenario_what what);

/* Which nodes are good throughout: not named by a fault that makes them wrong. */
bool scenario_is_good(const struct scenario *scenario, int node);

#endif
