/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * step: the one step by hand, as far as it is everybody's: root's permit for it, which the daemon
 * has no way to give, one packet to `berkeleyd --clock` and one back; and what is in its way.
 */
#ifndef BERKELEY_DAEMON_STEP_H
#define BERKELEY_DAEMON_STEP_H

#include <stdint.h>

#define STEP_PERMIT_VERSION UINT32_C(0x62635001)

struct step_permit {
    uint32_t version;
    int32_t result;      /* of the answer: 0 or -errno; 0 in the question */
    int64_t deadline_ns; /* CLOCK_MONOTONIC: nobody waits for the answer any more */
    int64_t step_ns;
};

/* Asks for it at that socket.  0; -EPERM: this is not root; what else clock_policy_permit() tells;
 * -ENOENT or -ECONNREFUSED: nobody sets the clock for a daemon there; -ETIMEDOUT; -EPROTO: who is
 * there speaks otherwise; or -errno of the socket. */
int step_permit(const char *path, int64_t step_ns);

/* Why there is no step, in words that can follow "refused: "; a constant text, or strerror()'s. */
const char *step_error(int error);

#endif
