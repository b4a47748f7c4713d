/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange: one question and answer, t1..t4, to an offset and a delay.
 */
#ifndef BERKELEY_CORE_EXCHANGE_H
#define BERKELEY_CORE_EXCHANGE_H

#include <stdint.h>

/* All four are RAW stamps: t1 and t4 of the master, t2 and t3 of the slave. */
struct exchange {
    int64_t t1_ns; /* master sends */
    int64_t t2_ns; /* slave receives */
    int64_t t3_ns; /* slave sends */
    int64_t t4_ns; /* master receives */
};

/* Why an exchange cannot be used: a bit each. */
enum exchange_fault {
    EXCHANGE_FAULT_RANGE = 1 << 0,       /* a stamp no clock can show */
    EXCHANGE_FAULT_MASTER_ORDER = 1 << 1, /* t4 before t1 */
    EXCHANGE_FAULT_SLAVE_ORDER = 1 << 2,  /* t3 before t2 */
    EXCHANGE_FAULT_DELAY = 1 << 3,       /* the slave held it longer than the round trip took */
    EXCHANGE_FAULT_LATE = 1 << 4,        /* answered after the deadline */
};

/*
 * Offset (slave minus master: positive = the slave is ahead) and round-trip
 * delay.  0 and *faults 0, or -EBADMSG with the reasons in *faults and the other
 * outputs untouched; with EXCHANGE_FAULT_RANGE nothing further is looked at.
 * deadline_ns: the latest t4 that is still of use.
 *
 *   theta = ((t2 - t1) + (t3 - t4)) / 2
 *   delta = (t4 - t1) - (t3 - t2)          (Mills 1985; Gusella and Zatti 1989)
 */
int exchange_measure(const struct exchange *exchange, int64_t deadline_ns, int64_t *offset_ns,
                     int64_t *delay_ns, unsigned *faults);

/* Lower-case word for the lowest bit set. */
const char *exchange_fault_name(unsigned faults);

#endif
