/* SPDX-License-Identifier: BSD-2-Clause */
#include "master_state.h"

#include <errno.h>
#include <math.h>

#define NEAR_MISS 4          /* gates */
#define ADMIT_SHARE 4        /* of the gate: what the last slew may leave to a newcomer */
#define COMING_NS (1250 * NS_PER_MS) /* longer than from one tick to the next */
#define NOISY_GATES 2.0      /* sd of a rate that says nothing of the group's */
#define NOISY_SHARE 16       /* a link that much noisier than most is not the group's */
#define SHORT_ROUNDS 4       /* with fewer clocks than the quorum, before that is said */
#define DISPUTE_ROUNDS 4     /* without a majority: then the group forms afresh */

/* A clock that jumped is out.  But if most of those that are in did so at once, it
 * was the master's own, against which all are measured. */
static void settle_jumps(struct master *master, int64_t raw_ns, struct actions *actions)
{
    unsigned in = 0, jumped = 0;
    bool own;

    for (size_t i = 0; i < master->peer_count; i++) {
        in += master->peers[i].standing.in;
        jumped += master->peers[i].standing.in && master->peers[i].jumped;
    }
    own = jumped > 1 && 2 * jumped > in;
    if (own) {
        master->own.in = master->own.coming = false;
        master_note_clock(master, NULL, NOTE_CLOCK_JUMPED, actions)->count = 1;
    }
    for (size_t i = 0; i < master->peer_count; i++) {
        struct peer *peer = &master->peers[i];

        if (peer->jumped && !own) {
            peer->standing.in = peer->standing.coming = false;
            master_note_jump(master, peer, raw_ns, actions);
        }
        peer->jumped = false;
    }
}

static void admit(struct master *master, const struct ballot *ballot, size_t i,
                  struct actions *actions)
{
    struct standing *standing = master_ballot_standing(master, ballot, i);
    int64_t group_ns = map_total_at(&master->group, ballot->raw_ns);

    standing->in = true;
    standing->in_raw_ns = ballot->raw_ns;
    master_note_clock(master, ballot->peers[i], NOTE_CLOCK_IN, actions)->offset_ns =
        ballot->clocks[i].phase_ns - group_ns;
}

/* The mean of those that are in is another one with a new clock in it: the others are told
 * to allow for that (measure_mean) before, and have time to tell their kernels. */
static void welcome(struct master *master, const struct ballot *ballot, size_t i,
                    struct actions *actions)
{
    struct standing *standing = master_ballot_standing(master, ballot, i);

    if (!standing->coming)
        standing->coming_raw_ns = ballot->raw_ns;
    standing->coming = true;
    if (ballot->raw_ns - standing->coming_raw_ns < COMING_NS)
        return;
    admit(master, ballot, i, actions);
    standing->coming = false;
}

/* What a newcomer is judged by. */
struct admission {
    int64_t gate_ns; /* the group's, or the clock's own if its link is noisier than most: ... */
    double gate_ppb;
    bool seasoned; /* ... once it has been looked at for long */
    bool known;    /* as well as the others are: what a new link says would else shift them all */
};

static struct admission admission_of(const struct master *master,
                                     const struct average_clock *clock, unsigned samples)
{
    struct admission admission = {.gate_ns = master->average.gate_ns,
                                  .gate_ppb = master->average.gate_ppb,
                                  .seasoned = samples >= MASTER_SEASONED_SAMPLES};
    int64_t own_ns;
    double own_ppb;

    average_gates(clock->phase_sd_ns, clock->rate_sd_ppb, &own_ns, &own_ppb);
    if (admission.seasoned && own_ns / NOISY_SHARE <= admission.gate_ns &&
        own_ppb / NOISY_SHARE <= admission.gate_ppb) {
        admission.gate_ns = own_ns > admission.gate_ns ? own_ns : admission.gate_ns;
        admission.gate_ppb = fmax(own_ppb, admission.gate_ppb);
    }
    admission.known = clock->phase_sd_ns <= (double)admission.gate_ns / ADMIT_SHARE &&
                      clock->rate_sd_ppb <= admission.gate_ppb / ADMIT_SHARE;
    return admission;
}

/* Has a newcomer arrived?  Well inside the gate, so that one that narrows does not
 * exclude it while its last slew still runs. */
static bool has_arrived(const struct master *master, const struct average_clock *clock,
                        const struct admission *admission, int64_t group_ns)
{
    return admission->known &&
           average_judge(clock, group_ns, master->group.freq_ppb, admission->gate_ns / ADMIT_SHARE,
                         admission->gate_ppb) == VERDICT_COUNTED;
}

/* So noisy, although looked at for long, that it would never do.  As long as nothing
 * contradicts it, it is synchronised all the same, with a bound as wide as its link is
 * noisy; but it is never in the mean. */
static bool is_hopeless(const struct admission *admission)
{
    return admission->seasoned && !admission->known;
}

static bool agrees(enum clock_verdict verdict)
{
    return verdict == VERDICT_COUNTED || verdict == VERDICT_NOISY;
}

/* A clock that does not vote this time: in, noisy, still coming, or left alone. */
static void settle_other(struct master *master, const struct ballot *ballot, size_t i,
                         struct actions *actions)
{
    struct standing *standing = master_ballot_standing(master, ballot, i);
    struct average_clock *clock = &ballot->clocks[i];
    int64_t group_ns = map_total_at(&master->group, ballot->raw_ns);
    unsigned samples = ballot->peers[i] ? ballot->peers[i]->estimate.samples : 0;
    struct admission admission = admission_of(master, clock, samples);
    enum clock_verdict verdict;

    if (standing->suspended > 0) {
        standing->suspended--;
        clock->verdict = VERDICT_SUSPENDED;
        return;
    }
    verdict = average_judge(clock, group_ns, master->group.freq_ppb, master->average.gate_ns,
                            master->average.gate_ppb);
    if (!standing->in && has_arrived(master, clock, &admission, group_ns))
        welcome(master, ballot, i, actions);
    else if (!agrees(verdict))
        standing->in = standing->coming = false;
    if (standing->in)
        clock->verdict = verdict;
    else
        clock->verdict =
            agrees(verdict) && is_hopeless(&admission) ? VERDICT_NOISY : VERDICT_NEWCOMER;
}

/* A near miss may be the path's noise: only a second one in a row excludes. Not
 * counted it is in either case. */
static void censure(struct master *master, const struct ballot *ballot, size_t i,
                    struct actions *actions)
{
    struct standing *standing = master_ballot_standing(master, ballot, i);
    struct average_clock *clock = &ballot->clocks[i];
    enum clock_verdict wider =
        average_judge(clock, master->average.phase_ns, master->average.rate_ppb,
                      NEAR_MISS * master->average.gate_ns, NEAR_MISS * master->average.gate_ppb);

    if (wider == VERDICT_COUNTED && !standing->censured) {
        standing->censured = true;
        clock->verdict = VERDICT_NOISY;
        return;
    }
    master_exclude(master, ballot, i, actions);
}

static void settle(struct master *master, const struct ballot *ballot, struct actions *actions)
{
    for (size_t i = 0; i < ballot->count; i++) {
        const struct average_clock *clock = &ballot->clocks[i];

        if (clock->verdict == VERDICT_COUNTED)
            master_ballot_standing(master, ballot, i)->censured = false;
        if (clock->verdict == VERDICT_FAR || clock->verdict == VERDICT_FAST)
            censure(master, ballot, i, actions);
        else if (clock->verdict == VERDICT_COUNTED || clock->verdict == VERDICT_NEWCOMER)
            settle_other(master, ballot, i, actions);
    }
}

/* Enough voters, but no majority among them: nobody is moved; and if it stays
 * so, all start afresh as equals. */
static void dispute(struct master *master, const struct ballot *ballot, struct actions *actions)
{
    if (master->disputed_rounds++ == 0)
        master_note_group(master, NOTE_QUORUM_LOST, actions);
    discipline_hold(master->discipline);
    for (size_t i = 0; i < ballot->count; i++)
        ballot->clocks[i].verdict = VERDICT_NO_QUORUM;
    if (master->disputed_rounds < DISPUTE_ROUNDS)
        return;
    master->formed = false;
    master->forming_rounds = MASTER_FORM_ROUNDS;
    master->own = (struct standing){.verdict = VERDICT_NO_QUORUM};
    for (size_t i = 0; i < master->peer_count; i++)
        master->peers[i].standing = (struct standing){.verdict = master->peers[i].standing.verdict};
}

/* Until the first clocks are in nobody votes, and the group's rate is still that of
 * its first seconds.  By now the founders' own frequencies are known better; what
 * each was told meanwhile must not matter: it is the rate they had then that counts. */
static void refine_rate(struct master *master, const struct ballot *ballot)
{
    double sum_ppb = 0;
    unsigned founders = 0;

    for (size_t i = 0; i < ballot->count; i++) {
        const struct standing *standing = master_ballot_standing(master, ballot, i);
        double freq_ppb = ballot->peers[i] ? ballot->peers[i]->estimate.freq_ppb : 0;

        if (!standing->founder ||
            ballot->clocks[i].rate_sd_ppb > NOISY_GATES * master->average.gate_ppb)
            continue;
        founders++;
        sum_ppb += master_rate(freq_ppb, standing->founding_ppb);
    }
    if (founders < master->config.quorum)
        return;
    master->group = (struct map){.raw_ns = ballot->raw_ns,
                                 .total_ns = map_total_at(&master->group, ballot->raw_ns),
                                 .freq_ppb = sum_ppb / founders};
}

/* Said once it lasts: a daemon that is started anew is back within this. */
static void note_shortage(struct master *master, unsigned members, struct actions *actions)
{
    struct note *note;

    if (members >= master->config.quorum || master->short_rounds > SHORT_ROUNDS)
        return;
    if (++master->short_rounds <= SHORT_ROUNDS)
        return;
    note = master_note_group(master, NOTE_QUORUM_LOST, actions);
    note->state = 2;
    note->count = master->config.quorum;
}

/* Too few who agree to speak for the group: its time goes on as it went. */
static void carry_on(struct master *master, struct ballot *ballot, const struct average *average,
                     bool early, struct actions *actions)
{
    if (master->quorum && !early && master->own.in)
        discipline_hold(master->discipline);
    master->average.gate_ns = average->gate_ns;
    master->average.gate_ppb = average->gate_ppb;
    if (!master->settled)
        refine_rate(master, ballot);
    for (size_t i = 0; i < ballot->count; i++)
        settle_other(master, ballot, i, actions);
    master->disputed_rounds = 0;
}

/* Those who arrive first do not speak for the founders who are still on their way. */
static bool is_early(struct master *master, const struct ballot *ballot)
{
    unsigned founders = 0, in = 0;

    for (size_t i = 0; i < ballot->count; i++) {
        const struct standing *standing = master_ballot_standing(master, ballot, i);

        if (ballot->clocks[i].reference)
            return false;
        founders += standing->founder && standing->suspended == 0;
        in += standing->founder && standing->in;
    }
    return !master->settled && 2 * in <= founders;
}

static void convene(struct master *master, struct ballot *ballot, struct actions *actions)
{
    int64_t apart_ns =
        timestamp_clamp(ballot->raw_ns - master->group.raw_ns, master->config.interval_ns);
    struct average_rule rule = {.quorum = master->config.quorum,
                                .apart_s = apart_ns > 0 ? (double)apart_ns / 1e9 : 0};
    struct average average;
    int r = average_compute(ballot->clocks, ballot->count, &rule, &average);
    bool early = is_early(master, ballot);

    if (r == -ENOMEM || r == -EINVAL)
        return;
    master->counted = average.members;
    if (r == 0 && !early) {
        master_adopt(master, ballot, &average);
        master->settled = true;
        if (master->disputed_rounds > 0 || master->short_rounds > SHORT_ROUNDS)
            master_note_group(master, NOTE_QUORUM_BACK, actions);
        master->disputed_rounds = master->short_rounds = 0;
        settle(master, ballot, actions);
    } else if (!early && average.voters >= master->config.quorum &&
               2 * average.members <= average.voters - average.noisy) {
        dispute(master, ballot, actions);
    } else {
        carry_on(master, ballot, &average, early, actions);
        if (!early)
            note_shortage(master, average.members, actions);
    }
    master->quorum = r == 0 || early;
}

/* From the ballot back to the clocks. */
static void publish(struct master *master, const struct ballot *ballot)
{
    master->own.verdict = master->config.discipline ? VERDICT_NONE : VERDICT_OBSERVER;
    master->counted = 0;
    for (size_t i = 0; i < ballot->count; i++) {
        struct standing *standing = master_ballot_standing(master, ballot, i);

        standing->verdict = ballot->clocks[i].verdict;
        master->counted += standing->verdict == VERDICT_COUNTED ||
                           standing->verdict == VERDICT_REFERENCE;
    }
}

/* How well the mean of the clocks that are in, or will be in the next round, is known.
 *
 * They are on their way to the group's time, each at its own pace: some may have arrived
 * while others have not.  With deviations x from the group's time the mean is at most
 * |mean x| + mean |x| / 2 away from it until all have. */
static void measure_mean(struct master *master, const struct ballot *ballot)
{
    int64_t group_ns = map_total_at(&master->group, ballot->raw_ns);
    double sum = 0, sum_abs = 0, phase_var = 0, rate_var = 0, doubt;
    struct mean mean = {.references = master_ballot_has_reference(ballot)};

    for (size_t i = 0; i < ballot->count; i++) {
        const struct average_clock *clock = &ballot->clocks[i];
        const struct standing *standing = master_ballot_standing(master, ballot, i);
        double x = (double)(clock->phase_ns - group_ns);

        if (mean.references ? clock->verdict != VERDICT_REFERENCE
                            : !standing->in && !standing->coming)
            continue;
        mean.clocks++;
        sum += x;
        sum_abs += fabs(x);
        if (!ballot->peers[i])
            continue;
        doubt = master_link_doubt(ballot->peers[i]);
        phase_var += pow(doubt * clock->phase_sd_ns, 2);
        rate_var += pow(doubt * clock->rate_sd_ppb, 2);
        mean.wander_ppb = fmax(mean.wander_ppb, ballot->peers[i]->estimate.wander_ppb);
    }
    if (mean.clocks > 0) {
        mean.scatter_ns = timestamp_round((fabs(sum) + sum_abs / 2) / mean.clocks);
        mean.phase_sd_ns = sqrt(phase_var) / mean.clocks;
        mean.rate_sd_ppb = sqrt(rate_var) / mean.clocks;
    }
    master->mean = mean;
}

static void note_round(const struct master *master, const struct ballot *ballot,
                       const struct reading *now, struct actions *actions)
{
    struct note *note = master_note_group(master, NOTE_ROUND, actions);

    for (size_t i = 0; i < ballot->count; i++)
        note->count += master_ballot_excludes(ballot, i);
    note->offset_ns = master->spread_ns;
    note->verdict = (uint8_t)master->own.verdict;
    note->bound_ns = discipline_bound(master->discipline, now);
    note->duration_ns = now->raw_ns - master->start_raw_ns;
    note->state = (uint8_t)discipline_state(master->discipline);
    note->correction_ns = map_total_at(&master->group, now->raw_ns) - now->total_ns;
}

void master_decide(struct master *master, const struct reading *now, struct actions *actions)
{
    struct ballot ballot;

    settle_jumps(master, now->raw_ns, actions);
    if (master_ballot_open(master, now, &ballot) == 0) {
        master->present = (unsigned)ballot.count;
        master->counted = 0;
        master->spread_ns = 0;
    }
    if (ballot.count > 0) {
        if (master->formed)
            convene(master, &ballot, actions);
        else
            master_form(master, &ballot, actions);
        publish(master, &ballot);
        master->spread_ns = master_ballot_spread(&ballot);
        measure_mean(master, &ballot);
        master_correct(master, now->raw_ns);
        if (master->formed)
            note_round(master, &ballot, now, actions);
    }
    master_ballot_close(&ballot);
}
