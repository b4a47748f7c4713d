/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timex_model: the Linux kernel's NTP arithmetic (kernel/time/ntp.c) as a pure
 * value: adjtimex in, a clock's reading out.  Used by the emulated clock, by the
 * tests of clock_kernel and by the simulator.
 *
 * Modelled as measured on 6.1: frequency, tick, status bits, ADJ_OFFSET under
 * STA_PLL with STA_FREQHOLD (at each second boundary of the corrected clock a
 * quarter of the remainder at time constant 0 becomes the next second's chunk
 * and leaves the read-back remainder), clamps (offset +-0.5 s, frequency
 * +-500 ppm), ADJ_OFFSET_SINGLESHOT, maxerror growing by 500 us a second and
 * STA_UNSYNC at 16 s, ADJ_SETOFFSET (which drops slews and synchronisation).  Leap
 * seconds and PPS are left out.
 */
#ifndef BERKELEY_DAEMON_TIMEX_MODEL_H
#define BERKELEY_DAEMON_TIMEX_MODEL_H

#include "core/timestamp.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>

/* Ticks a second (HZ) of the modelled kernel: time_offset is kept a tick's share
 * at a time there, so what is read back may be 1 ns nearer to zero than what was set.
 * What is left to adjtime for its last second becomes whole ns a tick: exactly so at
 * 100, 250 and 1000 Hz, up to 299 ns nearer to zero at 300. */
#define TIMEX_MODEL_HZ INT64_C(250)
#define TIMEX_MODEL_TICK_US INT64_C(10000) /* nominal tick: USER_HZ is 100 */
#define TIMEX_MODEL_PHASE_LIMIT_US INT64_C(16000000)

/* Plain data without pointers or padding: may live in shared memory and be copied.
 * All integers, so that it does not matter in how many pieces it is advanced. */
struct timex_model {
    int64_t raw_ns;        /* RAW up to which the model has advanced */
    int64_t real_ns;       /* corrected clock at raw_ns */
    uint64_t real_frac;    /* and the fraction below it: 2^-32 * 10^-9 ns */
    int64_t freq_scaled;   /* time_freq: 2^-32 ns a second */
    int64_t offset_scaled; /* time_offset, the remainder: 2^-32 ns a tick; chunk excluded */
    int64_t chunk_scaled;  /* what this second adds to every tick, 2^-32 ns */
    int64_t singleshot_us;
    int64_t tick_us;
    int64_t maxerror_us, esterror_us;
    int64_t reftime_s; /* last ADJ_OFFSET: the PLL's interval when it is not held */
    int32_t status, constant;
    int32_t tai, reserved;
    int64_t backward_ns; /* largest step back anybody made: the tests' evidence */
};

/* A clock just booted: real_ns at RAW raw_ns, frequency 0, unsynchronised. */
void timex_model_init(struct timex_model *model, int64_t raw_ns, int64_t real_ns);

/* Runs forward to RAW raw_ns (never back: earlier instants are ignored). */
void timex_model_advance(struct timex_model *model, int64_t raw_ns);

/* adjtimex at RAW raw_ns: the clock state, or -EINVAL as the kernel has it.
 * `timex` is read and filled in like the system call does. */
int timex_model_adjust(struct timex_model *model, int64_t raw_ns, struct timex *timex);

/* The corrected clock at RAW raw_ns >= model->raw_ns, model unchanged. */
int64_t timex_model_read(const struct timex_model *model, int64_t raw_ns);

/* False for what no run of the functions above leaves behind (a damaged file). */
bool timex_model_valid(const struct timex_model *model);

#endif
