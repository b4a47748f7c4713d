/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page of memory a virtual machine shares with its host (ivshmem, BAR 2): the machine's probe
 * writes what its clock shows, the host reads it, and asks for two things.  Both ends are the same
 * x86-64 processor: 64 bits are written at once, and stores are seen in the order of the program.
 *
 * A machine's TSC is, under emulation, the host's minus a constant, which the host finds out by
 * asking for it many times: the constant lies in every interval between question and answer.
 */
#ifndef GUEST_PAGE_H
#define GUEST_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define PAGE_SIZE_BYTES (1 << 20)
#define PAGE_RECORDS 8192
#define PAGE_PERIOD_NS 10000000

/* One reading of CLOCK_REALTIME and of the kernel's clock parameters. */
struct page_record {
    uint64_t tsc;         /* in the middle of the reading */
    uint64_t width;       /* that the reading took, in ticks of the TSC */
    int64_t real_ns;
    int64_t frequency;    /* adjtimex: ppm with 16 binary places */
    int64_t tick_us;
    int64_t maxerror_us;
    int64_t status;
};

/* Each request is a number of the host's that the probe repeats once it is done. */
struct page {
    _Atomic uint64_t starts;          /* of the probe: it writes 0 records before, then counts up */
    _Atomic uint64_t written;         /* records so far: the next is written % PAGE_RECORDS */

    _Atomic uint64_t listening;       /* host: nonzero while it asks for the TSC */
    _Atomic uint64_t tsc_asked;
    _Atomic uint64_t tsc_answered;
    _Atomic uint64_t tsc;             /* when tsc_asked was seen */

    _Atomic uint64_t set_asked;
    _Atomic uint64_t set_answered;
    _Atomic uint64_t set_tsc;         /* CLOCK_REALTIME shall be set_ns when the TSC is this */
    _Atomic int64_t set_ns;
    _Atomic uint64_t hz;              /* ticks of the TSC in a true second */
    _Atomic int64_t set_error;        /* 0, or -errno */

    _Alignas(4096) struct page_record records[PAGE_RECORDS];
};

_Static_assert(sizeof(struct page) <= PAGE_SIZE_BYTES, "the page holds the records");

static inline uint64_t page_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

#endif
