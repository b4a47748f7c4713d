/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_emulated: a whole machine's clock (oscillator with offset, frequency
 * error and wander; the kernel's arithmetic on top) in a file that is mapped
 * shared.  It goes on while no daemon runs, as a kernel's clock does, and
 * anybody may look at it: that is the ground truth of the demo and the tests.
 */
#ifndef BERKELEY_DAEMON_CLOCK_EMULATED_H
#define BERKELEY_DAEMON_CLOCK_EMULATED_H

#include "daemon/clock_kernel.h"

struct emulated_oscillator {
    int64_t offset_ns;    /* of the corrected clock from the host's CLOCK_REALTIME at creation */
    double frequency_ppb; /* oscillator error: RAW runs this much fast */
    double wander_ppb;    /* random walk of the frequency: sd in ppb after one second */
    uint64_t seed;        /* of the wander; the same seed walks the same way */
};

/* The port to the emulated machine in the file at `path`, created with these
 * properties if it does not exist yet (an existing one goes on as it is).
 * path NULL or "": private memory.  0 or -errno; -EBADMSG: not such a file;
 * -ERANGE: frequency beyond 10 %, wander beyond 100 ppm, or an offset that leads
 * out of what a clock can show. */
int clock_emulated_port(const char *path, const struct emulated_oscillator *oscillator,
                        struct kernel_port *port);

/* For onlookers.  Opens an existing file read-only. */
struct emulated_view;
int emulated_view_open(const char *path, struct emulated_view **view);
void emulated_view_close(struct emulated_view *view);

/* What that machine's clock shows at the host's CLOCK_MONOTONIC_RAW instant
 * host_raw_ns (now, or up to a second ahead). timex may be NULL; filled like
 * adjtimex with modes = 0 otherwise (maxerror is the daemon's bound).
 * 0 or -errno; -EBADMSG: the file was damaged. */
int emulated_view_read(struct emulated_view *view, int64_t host_raw_ns, int64_t *real_ns,
                       struct timex *timex);

/* Largest step back that machine's clock ever made, ns; 0 = never; or -errno. */
int64_t emulated_view_backward(struct emulated_view *view);

/* For tests: do to the machine behind the file what happens to real ones. */
int emulated_meddle_step(const char *path, int64_t delta_ns);     /* somebody sets the clock */
int emulated_meddle_frequency(const char *path, double freq_ppb); /* another daemon writes */

#endif
