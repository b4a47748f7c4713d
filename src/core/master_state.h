/* SPDX-License-Identifier: BSD-2-Clause */
/* master_state: what the parts of the master machine share. */
#ifndef BERKELEY_CORE_MASTER_STATE_H
#define BERKELEY_CORE_MASTER_STATE_H

#include "core/average.h"
#include "core/estimator.h"
#include "core/exchange.h"
#include "core/master.h"

#define MASTER_FAST_INTERVAL_NS (500 * NS_PER_MS)
#define MASTER_FAST_ROUNDS_MAX 60 /* the fast phase after somebody joined is never longer */
#define MASTER_SEASONED_SAMPLES 100 /* observations after which a link is what it is */
#define MASTER_FORM_ROUNDS 4 /* of measuring before the group gets its time */

/* A clock's standing in the group; the master's own has one too. */
struct standing {
    bool coming;          /* in soon, if nothing comes between; since when: */
    int64_t coming_raw_ns;
    bool in;              /* votes: it was within the gates in the last round it took part in */
    int64_t in_raw_ns;    /* since when */
    bool founder;         /* was averaged when the group was formed, ... */
    double founding_ppb;  /* ... its frequency in force then */
    bool censured;        /* outside the gate by a near miss in the round before */
    unsigned suspended;   /* rounds for which it is still left alone after an exclusion */
    enum clock_verdict verdict;
};

/* What the last decided round saw of a clock. */
struct sight {
    bool taken;       /* it was measured */
    int64_t phase_ns; /* at the round's instant */
    double rate_ppb;
    double weight;    /* in that round's mean */
};

/* One POLL of the round under way. */
struct poll {
    uint32_t sequence;
    int64_t t1_raw_ns;   /* what the frame says, and so its answer echoes */
    int64_t left_raw_ns; /* when it left: the kernel's stamp, if there is one */
    bool sent, answered;
};

/* REPLYs whose departure is told by the next one. */
struct departures {
    bool waiting;             /* the exchange below is not observed yet, backward */
    uint32_t sequence;        /* of its REPLY */
    struct exchange exchange; /* t3 as that REPLY itself tells it */
    bool told;                /* this slave's kernel stamps what it sends */
    int64_t lag_ns;           /* how long after such a t3 a REPLY leaves at least */
};

struct peer {
    bool up, welcomed;
    char address[MACHINE_ADDRESS_SIZE];
    char name[WIRE_NAME_SIZE];
    char owner[WIRE_NAME_SIZE]; /* of the key: nobody else may use it; "": shared, or none */
    uint8_t id[WIRE_ID_SIZE];
    uint8_t kind;          /* enum clock_kind */
    uint8_t state;         /* what it says of itself, enum sync_state, ... */
    int64_t claimed_sd_ns; /* ... and how well it knows the group's time then */
    int64_t bound_ns;      /* the bound it reported last */
    uint8_t minor;
    bool reference;
    uint32_t sequence;     /* of our frames to it */
    uint32_t heard_sequence; /* of the last one of its frames */
    unsigned refused;      /* of its frames */
    int64_t heard_raw_ns;  /* last word; the connection's start before that */

    struct estimator *estimator;
    bool expected;         /* it was told what is known before its first frame */
    bool told;             /* the peer was: its map comes from this link */
    bool returned;         /* with a link of before, which no exchange has borne out yet */
    struct poll polls[WIRE_EXCHANGES_MAX];
    unsigned answers;      /* in this round */
    bool answered_before;  /* in the round before: it is waited for */
    bool jumped;           /* in this round: its RAW clock against the master's */
    bool epoch_known;
    uint32_t epoch;
    unsigned jumps;        /* since that was said last ... */
    int64_t jump_said_raw_ns; /* ... which was then; 0: never */
    struct reading slave;  /* its clock when it sent its last REPLY */
    double freq_ppb;       /* its frequency in force then */
    bool correct_due;          /* that of the last decision, when its turn comes */
    struct wire_correct correct;
    uint32_t correct_sequence; /* last CORRECT sent, and when */
    int64_t correct_raw_ns;
    uint32_t poll_sequence;    /* last POLL whose departure the kernel told */
    int64_t poll_raw_ns;
    struct departures departures;

    struct standing standing;
    double given_sd_ppb;   /* sd of the frequency behind the map it follows */
    struct estimate estimate; /* of this round, valid if it takes part */
    struct sight sight;
};

/* How well the mean of the clocks that are in is known. */
struct mean {
    bool references;    /* the clocks are these alone: they are the group's time */
    unsigned clocks;
    double phase_sd_ns, rate_sd_ppb;
    double wander_ppb;  /* the largest of theirs */
    int64_t scatter_ns; /* how far it may be from the group's time while each clock still
                         * follows its own correction */
};

enum phase {
    PHASE_IDLE,       /* until the next beat */
    PHASE_POLLING,    /* exchanges are going out */
    PHASE_WAITING,    /* all are out, answers are missing */
    PHASE_CORRECTING, /* what was decided is going out */
};

struct absent;

struct master {
    bool (*is_bound)(void *context, const char *name); /* NULL: no name is */
    void *bound_context;
    struct master_config config;
    struct discipline *discipline;
    struct clock_status status; /* of the last tick */

    struct peer *peers; /* config.max_slaves at creation, and as many as ever seen */
    size_t peer_count;
    struct absent *absent; /* who left a moment ago, at most config.max_slaves */
    size_t absent_count;

    bool interval_changed;     /* and the slaves do not know yet */

    enum phase phase;
    uint32_t round;
    unsigned exchange;         /* next to go out */
    unsigned exchanges;        /* of this round */
    uint32_t turn;             /* in this exchange: the slot that is next, ... */
    int64_t turn_raw_ns;       /* ... when, ... */
    int64_t turn_ns;           /* ... and how long before the one after it */
    int64_t start_raw_ns;      /* of this round */
    int64_t deadline_raw_ns;   /* of its answers */
    int64_t next_raw_ns;       /* the next round's start */

    bool formed;               /* the group has a time */
    bool settled;              /* and had a quorum of clocks that are in since */
    struct map group;          /* the group's time as the total correction of the master's RAW */
    double rate_var_ppb2;      /* of its rate, as the members' own have told it */
    struct average average;    /* of the last round with a quorum */
    unsigned forming_rounds;   /* with enough clocks, before the group is formed */
    unsigned quiet_rounds;     /* since the last slave joined */
    bool torn;                 /* said that no group can be formed of these clocks */
    unsigned disputed_rounds;  /* in a row without a majority */
    unsigned short_rounds;     /* in a row with fewer clocks than the quorum */
    bool quorum;               /* the last round had one */
    unsigned counted, present;
    double mean_delay_ns;      /* of the counted clocks, the master's 0 included */
    struct mean mean;
    int64_t seen_raw_ns; /* the instant of all sights */
    int64_t spread_ns;   /* then */

    uint64_t refused[REFUSAL_COUNT_];

    struct standing own;
    struct sight own_sight;
    int64_t outstanding_ns;
    double freq_ppb; /* ordered */
};

/* The parts, each calling only those above it. */

/* master_state.c */
bool master_is_reference(const struct master *master, const char *name);
uint32_t master_next_sequence(struct peer *peer);
/* The rate of a clock whose oscillator runs freq_ppb fast and whose frequency in
 * force is steered_ppb. */
double master_rate(double freq_ppb, double steered_ppb);
/* The frequency in force with which it runs at rate_ppb. */
double master_steering(double rate_ppb, double freq_ppb);
/* A link is new: soon the next rounds, and several. */
void master_hurry(struct master *master, int64_t raw_ns);

/* master_link.c: what a peer's frames tell the estimator. */
/* A valid answer.  False if it tells a departure that cannot be: that one is not used. */
bool master_link_reply(struct master *master, struct peer *peer, uint32_t sequence,
                       const struct wire_reply *reply, const struct exchange *exchange,
                       const struct reading *arrived);
/* What is told of a link's sd (by how much it is multiplied): few observations know little
 * of how uncertain they are. */
double master_link_doubt(const struct peer *peer);
/* Nothing known of this link holds any more. */
void master_link_reset(struct peer *peer);

/* master_absent.c */
/* What is known of a peer that leaves; its estimator is gone then if it was kept. */
void master_absent_keep(struct master *master, struct peer *peer, int64_t raw_ns);
/* Its HELLO was taken: was it here a moment ago? */
void master_absent_return(struct master *master, struct peer *peer, int64_t raw_ns);
/* The first exchange after that: false if the peer's RAW clock is not the one that was known. */
bool master_absent_bears_out(struct peer *peer, const struct exchange *exchange,
                             int64_t offset_ns, int64_t delay_ns);
void master_absent_free(struct master *master);

/* master_peer.c */
void master_peer_up(struct master *master, const struct event *event, struct actions *actions);
void master_peer_down(struct master *master, const struct event *event, struct actions *actions);
void master_peer_frame(struct master *master, const struct event *event, struct actions *actions);
void master_peer_sent(struct master *master, const struct event *event);
void master_peer_stamped(struct master *master, const struct event *event);
void master_peer_silence(struct master *master, int64_t raw_ns, struct actions *actions);
void master_peer_close(struct master *master, uint32_t peer, enum bye_reason reason,
                       struct actions *actions);
/* WELCOME, first and whenever the interval it told has changed. */
void master_peer_welcome(struct master *master, uint32_t slot, struct actions *actions);
void master_peer_free(struct master *master);

/* master_ballot.c: the clocks of one round. */
struct ballot {
    struct average_clock *clocks;
    struct peer **peers;         /* NULL: the master's own */
    size_t count;
    int64_t raw_ns;              /* the instant all phases are for, on the master's RAW */
};

/* 0 or -ENOMEM; to be closed in either case. */
int master_ballot_open(struct master *master, const struct reading *now, struct ballot *ballot);
void master_ballot_close(struct ballot *ballot);
/* The group's time is that of references alone. */
bool master_ballot_has_reference(const struct ballot *ballot);
struct standing *master_ballot_standing(struct master *master, const struct ballot *ballot,
                                        size_t i);
/* FAR, FAST, or still left alone for that. */
bool master_ballot_excludes(const struct ballot *ballot, size_t i);
/* Largest minus smallest phase of those that are counted. */
int64_t master_ballot_spread(const struct ballot *ballot);
struct note *master_note_group(const struct master *master, enum note_kind kind,
                               struct actions *actions);
/* peer NULL: the master's own clock. */
struct note *master_note_clock(const struct master *master, const struct peer *peer,
                               enum note_kind kind, struct actions *actions);

/* Its RAW clock jumped: said at once, and then only counted for some time. */
void master_note_jump(const struct master *master, struct peer *peer, int64_t raw_ns,
                      struct actions *actions);

/* Out of the group, named, and left alone for some rounds. */
void master_exclude(struct master *master, const struct ballot *ballot, size_t i,
                    struct actions *actions);
/* Makes an average the group's time. */
void master_adopt(struct master *master, const struct ballot *ballot,
                  const struct average *average);

/* master_form.c: a group without a time gets one if its clocks allow it. */
void master_form(struct master *master, struct ballot *ballot, struct actions *actions);

/* master_correct.c */
/* Of what was measured of this slave, against the group's time. */
double master_offset_sd(const struct master *master, const struct peer *peer);
/* The master's own clock at once; the slaves' CORRECTs are due. */
void master_correct(struct master *master, int64_t raw_ns);

/* master_decide.c */
void master_decide(struct master *master, const struct reading *now, struct actions *actions);

/* master_round.c */
void master_round_wake(struct master *master, const struct reading *now, struct actions *actions);
/* All who are waited for have answered: the round need not wait longer. */
bool master_round_complete(const struct master *master);
int64_t master_round_wake_at(const struct master *master);

#endif
