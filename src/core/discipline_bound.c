/* SPDX-License-Identifier: BSD-2-Clause */
/* How far the clock may be from the group's time. */
#include "discipline_state.h"

#include <math.h>

bool discipline_claims(const struct discipline *discipline)
{
    return discipline->has_target && !discipline->disowned &&
           discipline->state != SYNC_UNSYNCHRONISED;
}

double discipline_age(const struct discipline *discipline, int64_t raw_ns)
{
    return fabs((double)(raw_ns - discipline->target.map.raw_ns)) / 1e9;
}

double discipline_wander(const struct discipline *discipline)
{
    double wander_ppb = discipline->target.wander_ppb;

    return discipline->state == SYNC_HOLDOVER ? fmax(wander_ppb, DISCIPLINE_HOLDOVER_WANDER_PPB)
                                              : wander_ppb;
}

/* The sd of a map of this age: sd_theta + sd_f t + W t^1.5 / sqrt 3, an upper limit
 * whatever the correlation of theta and f. */
static double sd_after(const struct discipline *discipline, double age_s, double wander_ppb)
{
    const struct target *target = &discipline->target;

    return (double)target->offset_sd_ns + target->freq_sd_ppb * age_s +
           wander_ppb * age_s * sqrt(age_s / 3);
}

double discipline_sd_at(const struct discipline *discipline, int64_t raw_ns)
{
    return sd_after(discipline, discipline_age(discipline, raw_ns), discipline_wander(discipline));
}

int64_t discipline_asymmetry(const struct discipline *discipline)
{
    int64_t asymmetry_ns = discipline->target.asymmetry_ns;
    int64_t most_ns = discipline->limits.asymmetry_max_ns;

    if (!discipline->has_target || discipline->disowned)
        return 0;
    return most_ns >= 0 && asymmetry_ns > most_ns ? most_ns : asymmetry_ns;
}

/* bound = |outstanding| + scatter + asymmetry + 5 sd; what is outstanding may have more digits
 * than a double. */
static int64_t bound_of(const struct discipline *discipline, int64_t outstanding_ns, double sd_ns)
{
    int64_t rest_ns = timestamp_round((double)discipline->target.scatter_ns +
                                      (double)discipline_asymmetry(discipline) +
                                      DISCIPLINE_BOUND_SD * sd_ns);
    int64_t bound_ns;

    return timestamp_add(timestamp_abs(outstanding_ns), rest_ns, &bound_ns) < 0 ? INT64_MAX
                                                                                : bound_ns;
}

int64_t discipline_bound_at(const struct discipline *discipline, int64_t outstanding_ns,
                            int64_t raw_ns)
{
    if (discipline->disowned)
        return INT64_MAX;
    return bound_of(discipline, outstanding_ns, discipline_sd_at(discipline, raw_ns));
}

int64_t discipline_outstanding_to(const struct map *map, const struct reading *now)
{
    int64_t ahead_ns;

    if (timestamp_sub(map_total_at(map, now->raw_ns), now->total_ns, &ahead_ns) < 0)
        return now->total_ns < 0 ? INT64_MAX : -INT64_MAX;
    return ahead_ns;
}

int64_t discipline_outstanding(const struct discipline *discipline, const struct reading *now)
{
    return discipline_outstanding_to(&discipline->target.map, now);
}

int64_t discipline_left(const struct discipline *discipline, const struct reading *now)
{
    return discipline->has_target ? discipline_outstanding(discipline, now) : 0;
}

int64_t discipline_bound(const struct discipline *discipline, const struct reading *now)
{
    if (!discipline->has_target)
        return INT64_MAX;
    return discipline_bound_at(discipline, discipline_outstanding(discipline, now), now->raw_ns);
}

/* Of what is outstanding until late_s from now, if the kernel delivers what it was told and goes
 * on as fast as it was told. */
static double late_outstanding(const struct discipline *discipline, const struct reading *now,
                               double late_s)
{
    double ahead_ns = (double)discipline_outstanding(discipline, now);
    double still_ns = fmax(fabs(ahead_ns), fabs(ahead_ns - (double)discipline->last_slew_ns));
    double off_ppb = discipline->target.map.freq_ppb - discipline->last_freq_ppb;

    return discipline->has_last ? still_ns + fabs(off_ppb) * late_s : still_ns;
}

int64_t discipline_late_bound(const struct discipline *discipline, const struct reading *now,
                              int64_t late_ns)
{
    double late_s = (double)late_ns / 1e9;
    double wander_ppb = fmax(discipline->target.wander_ppb, DISCIPLINE_HOLDOVER_WANDER_PPB);
    int64_t outstanding_ns, late_outstanding_ns;

    if (!discipline_claims(discipline))
        return INT64_MAX;
    outstanding_ns = timestamp_abs(discipline_outstanding(discipline, now));
    late_outstanding_ns = timestamp_round(late_outstanding(discipline, now, late_s));
    return bound_of(discipline,
                    late_outstanding_ns > outstanding_ns ? late_outstanding_ns : outstanding_ns,
                    sd_after(discipline, discipline_age(discipline, now->raw_ns) + late_s,
                             wander_ppb));
}

int64_t discipline_slew_left(const struct discipline *discipline)
{
    return discipline->last_slew_ns;
}

int64_t discipline_esterror(const struct discipline *discipline, int64_t outstanding_ns)
{
    int64_t error_ns;

    if (timestamp_add(timestamp_abs(outstanding_ns) / 2, discipline->target.offset_sd_ns,
                      &error_ns) < 0)
        return INT64_MAX;
    return error_ns;
}

int64_t discipline_sd(const struct discipline *discipline, const struct reading *now)
{
    return discipline_claims(discipline)
               ? timestamp_round(discipline_sd_at(discipline, now->raw_ns))
               : INT64_MAX;
}

/* sd_f + W sqrt t */
double discipline_freq_sd(const struct discipline *discipline, const struct reading *now)
{
    if (!discipline_claims(discipline))
        return INFINITY;
    return discipline->target.freq_sd_ppb +
           discipline_wander(discipline) * sqrt(discipline_age(discipline, now->raw_ns));
}
