/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a peer's frames tell its estimator, in the order of their instants.
 *
 * When a REPLY really left, the next one tells, and the observation waits for that, the
 * last one of a round for the next round.  In a round of a single exchange it is a whole
 * interval late, which costs less than what its encryption takes longer at times.
 *
 * If it is not told, t3 is what the REPLY itself says, which was read before the frame was
 * written, plus the least time that writing was seen to take.  Without that the way
 * back would seem longer than the way there, on which both stamps are the kernel's.
 */
#include "master_state.h"

#include <math.h>

#define DEPARTURE_LAG_MAX_NS NS_PER_S /* told to be later than that: nonsense */
#define DOUBTFUL_SAMPLES 128.0
#define LAG_FORGET 32 /* REPLYs after which a least lag that is not seen again has faded */

double master_link_doubt(const struct peer *peer)
{
    return 1 + DOUBTFUL_SAMPLES / fmax(peer->estimate.samples, 1);
}

void master_link_reset(struct peer *peer)
{
    estimator_reset(peer->estimator);
    peer->told = peer->correct_due = false;
    peer->correct_sequence = 0;
    peer->departures.waiting = false;
    peer->departures.sequence = 0;
}

/* A frequency left alone for t wanders by W sqrt t, and the clock by W t^1.5 / sqrt 3: by
 * how uncertain a clock is of its time it tells how uncertain it is of its frequency,
 * W (sqrt 3 sd / W)^(1/3). */
static double freq_sd_behind(int64_t sd_ns)
{
    return DISCIPLINE_HOLDOVER_WANDER_PPB *
           cbrt(sqrt(3) * (double)sd_ns / DISCIPLINE_HOLDOVER_WANDER_PPB);
}

/* Both ends were synchronised a moment ago: their clocks show the same, so theta is
 * A of the master less A of the slave; and they run at the same rate, so the slave's
 * oscillator is as fast as its own frequency in force makes up for. */
static void expect(const struct master *master, struct peer *peer, const struct wire_reply *reply,
                   int64_t t1_ns, const struct reading *arrived)
{
    struct estimator_prior prior = {.master_raw_ns = t1_ns}; /* the first it will see */
    int64_t sd_ns = discipline_sd(master->discipline, arrived);

    if (sd_ns == INT64_MAX || reply->offset_sd_ns == INT64_MAX ||
        reply->state == SYNC_UNSYNCHRONISED ||
        timestamp_sub(arrived->total_ns, reply->departure.sent.total_ns, &prior.offset_ns) < 0)
        return;
    prior.offset_sd_ns = hypot((double)sd_ns, (double)reply->offset_sd_ns);
    prior.freq_ppb = master_steering(master->freq_ppb, wire_ppb_from_fs(reply->freq_fs));
    prior.freq_sd_ppb = hypot(discipline_freq_sd(master->discipline, arrived),
                              freq_sd_behind(reply->offset_sd_ns));
    estimator_expect(peer->estimator, &prior);
}

static void observe_back(struct peer *peer, const struct exchange *exchange)
{
    if (estimator_observe(peer->estimator, BACKWARD, exchange->t4_ns, exchange->t3_ns))
        peer->jumped = true;
}

/* It left after t3 was read, and not so late that it could not have arrived at t4. */
static bool is_possible(const struct exchange *exchange, int64_t left_raw_ns)
{
    struct exchange told = *exchange;
    int64_t lag_ns, offset_ns, delay_ns;
    unsigned faults;

    told.t3_ns = left_raw_ns;
    return timestamp_sub(left_raw_ns, exchange->t3_ns, &lag_ns) == 0 && lag_ns >= 0 &&
           lag_ns <= DEPARTURE_LAG_MAX_NS &&
           exchange_measure(&told, INT64_MAX, &offset_ns, &delay_ns, &faults) == 0;
}

static void learn_lag(struct departures *departures, int64_t lag_ns)
{
    if (!departures->told || lag_ns < departures->lag_ns)
        departures->lag_ns = lag_ns;
    else
        departures->lag_ns += (lag_ns - departures->lag_ns) / LAG_FORGET;
    departures->told = true;
}

/* With the stamp in the frame.  A lag that cannot be this time is not added. */
static void observe_unstamped(struct peer *peer, struct exchange exchange)
{
    int64_t left_raw_ns = exchange.t3_ns + peer->departures.lag_ns;

    if (is_possible(&exchange, left_raw_ns))
        exchange.t3_ns = left_raw_ns;
    observe_back(peer, &exchange);
}

/* The REPLY before, now that its departure is told or not. */
static bool settle_previous(struct peer *peer, const struct wire_departure *departure)
{
    struct departures *departures = &peer->departures;
    struct exchange exchange = departures->exchange;
    bool told = departure->prev_sequence && departure->prev_sequence == departures->sequence;
    bool possible = told && is_possible(&exchange, departure->prev_raw_ns);

    if (possible)
        learn_lag(departures, departure->prev_raw_ns - exchange.t3_ns);
    if (departures->waiting && possible) {
        exchange.t3_ns = departure->prev_raw_ns;
        observe_back(peer, &exchange);
    } else if (departures->waiting) {
        observe_unstamped(peer, exchange);
    }
    departures->waiting = false;
    return possible || !told;
}

bool master_link_reply(struct master *master, struct peer *peer, uint32_t sequence,
                       const struct wire_reply *reply, const struct exchange *exchange,
                       const struct reading *arrived)
{
    struct departures *departures = &peer->departures;
    bool good = settle_previous(peer, &reply->departure);

    if (!peer->expected)
        expect(master, peer, reply, exchange->t1_ns, arrived);
    peer->expected = true;
    if (reply->correct_sequence && reply->correct_sequence == peer->correct_sequence) {
        estimator_observe(peer->estimator, FORWARD, peer->correct_raw_ns, reply->correct_raw_ns);
        peer->correct_sequence = 0;
    }
    estimator_observe(peer->estimator, FORWARD, exchange->t1_ns, exchange->t2_ns);
    departures->sequence = sequence;
    departures->exchange = *exchange;
    departures->waiting = departures->told;
    if (!departures->waiting)
        observe_unstamped(peer, *exchange);
    return good;
}
