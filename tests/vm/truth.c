/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the clocks of virtual machines truly show, by the pages they share with this host.
 *   truth hz                      ticks of this host's TSC in a second
 *   truth record HZ PAGE...       rows on standard output until standard input ends, where
 *                                 "set MACHINE NS" makes a machine's CLOCK_REALTIME this host's
 *                                 plus NS; answered by a row "set MACHINE ERROR"
 * A row: seconds of CLOCK_MONOTONIC, then for each machine, at that instant: offset to this host
 * (us), frequency (ppm), status and maxerror (us) of its adjtimex; and of all readings since the
 * row before: least and largest rate of the clock (ppm) and largest step back (ns), each only as
 * far as it is beyond doubt; nan where a machine did not tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guest/page.h"

#define MACHINES_MAX 9
#define ROW_S 0.25
/* How long a row waits for a machine. */
#define LATE_S 1.5
#define LOOK_US 50000
#define ASKS_MIN 200
#define ASKS_MAX 100000
#define KNOWN_S 200e-9     /* so well a constant need not be known better, ... */
#define KNOWN_MOST_S 5e-6  /* ... and worse it is not known */
/* A machine that is being booted has more to do, and less of this host to do it with while asked. */
#define ASK_S 0.3
#define ASK_AGAIN_S 1.0
#define SET_S 2.0

struct machine {
    struct page *page;
    uint64_t starts;              /* of the probe, when the constant was found out */
    uint64_t asked_tsc;           /* when it was, or was not: the host's */
    int64_t ahead;                /* the constant: the machine's TSC minus the host's */
    uint64_t read;                /* records so far */
    struct page_record before;    /* the last of them; its tsc is 0: there is none */
    struct page_record row;       /* what the present row says, once told */
    double offset_us, rate_min, rate_max, back_ns;
    bool known;                   /* starts and ahead are */
    bool told;
};

static double hz;
static uint64_t origin_tsc;
static int64_t origin_real_ns;
static double origin_s;

static void die(const char *what)
{
    fprintf(stderr, "truth: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The TSC when a clock shows what is put into now_ns: the narrowest of some readings. */
static uint64_t read_clock(clockid_t id, int64_t *now_ns)
{
    uint64_t width = UINT64_MAX, tsc = 0;

    for (int i = 0; i < 50; i++) {
        struct timespec now;
        uint64_t before = page_tsc(), after;

        clock_gettime(id, &now);
        after = page_tsc();
        if (after - before < width) {
            width = after - before;
            tsc = before + width / 2;
            *now_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
        }
    }
    return tsc;
}

static double seconds(uint64_t from, uint64_t to)
{
    return (double)(int64_t)(to - from) / hz;
}

static int print_hz(void)
{
    int64_t begun_ns, ended_ns;
    uint64_t begun = read_clock(CLOCK_MONOTONIC_RAW, &begun_ns), ended;

    sleep(1);
    ended = read_clock(CLOCK_MONOTONIC_RAW, &ended_ns);
    printf("%.0f\n", (double)(ended - begun) / (double)(ended_ns - begun_ns) * 1e9);
    return 0;
}

static void attach(struct machine *machine, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *memory;

    if (fd < 0)
        die(path);
    memory = mmap(NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        die(path);
    close(fd);
    machine->page = memory;
    machine->page->hz = (uint64_t)hz;
}

/* Asks once; the machine's TSC at its answer lies between before and after of the host's. */
static bool ask(struct page *page, uint64_t until, uint64_t *before, uint64_t *after)
{
    uint64_t number = page->tsc_asked + 1;

    *before = page_tsc();
    page->tsc_asked = number;
    do {
        *after = page_tsc();
    } while (page->tsc_answered != number && *after < until);
    return page->tsc_answered == number;
}

/* The constant lies in the intersection of all intervals. */
static void calibrate(struct machine *machine)
{
    struct page *page = machine->page;
    uint64_t until = page_tsc() + (uint64_t)(ASK_S * hz), before, after, starts = page->starts;
    int64_t least = INT64_MIN, most = INT64_MAX;
    int asks = 0;

    page->listening = 1;
    while (asks < ASKS_MAX && ask(page, until, &before, &after)) {
        int64_t low = (int64_t)(page->tsc - after), high = (int64_t)(page->tsc - before);

        least = low > least ? low : least;
        most = high < most ? high : most;
        if (++asks >= ASKS_MIN && (double)(most - least) < KNOWN_S * hz)
            break;
    }
    page->listening = 0;
    machine->known = asks >= ASKS_MIN && (double)(most - least) < KNOWN_MOST_S * hz &&
                     starts != 0 && starts == page->starts;
    machine->starts = starts;
    machine->asked_tsc = page_tsc();
    if (asks > 0)
        machine->ahead = least + (most - least) / 2;
    machine->read = page->written;
    machine->before.tsc = 0;
}

static uint64_t host_tsc(const struct machine *machine, const struct page_record *record)
{
    return record->tsc - (uint64_t)machine->ahead;
}

static double offset_us(const struct machine *machine, const struct page_record *record)
{
    double true_ns = seconds(origin_tsc, host_tsc(machine, record)) * 1e9;

    return ((double)(record->real_ns - origin_real_ns) - true_ns) / 1e3;
}

/* Beyond doubt: what both readings' widths could have feigned is taken off. */
static void watch_rate(struct machine *machine, const struct page_record *record)
{
    const struct page_record *before = &machine->before;
    double true_ns = (double)(record->tsc - before->tsc) / hz * 1e9;
    double ns = (double)(record->real_ns - before->real_ns);
    double doubt_ns = (double)(record->width + before->width) / 2 / hz * 1e9;
    double fast = (ns - doubt_ns - true_ns) / true_ns * 1e6;
    double slow = (ns + doubt_ns - true_ns) / true_ns * 1e6;

    machine->rate_max = fmax(machine->rate_max, fast);
    machine->rate_min = fmin(machine->rate_min, slow);
    machine->back_ns = fmax(machine->back_ns, -ns);
}

/* True once the machine has told what it shows at the row's instant, or a later record did. */
static bool take_record(struct machine *machine, const struct page_record *record, uint64_t instant)
{
    const struct page_record *before = &machine->before;
    uint64_t at = host_tsc(machine, record);
    double earlier, later, share;

    if (before->tsc)
        watch_rate(machine, record);
    if (before->tsc && seconds(instant, at) >= 0) {
        share = seconds(host_tsc(machine, before), instant) /
                seconds(host_tsc(machine, before), at);
        earlier = offset_us(machine, before);
        later = offset_us(machine, record);
        machine->offset_us = earlier + (later - earlier) * share;
        machine->row = *record;
        machine->told = share >= 0;
    }
    machine->before = *record;
    return seconds(instant, at) >= 0;
}

/* Reads on up to the row's instant; true when nothing more is to be expected for it. */
static bool follow(struct machine *machine, uint64_t instant)
{
    struct page *page = machine->page;
    uint64_t read = machine->read;

    if (machine->told)
        return true;
    if (!machine->known || machine->starts != page->starts)
        return false;
    if (page->written - machine->read > PAGE_RECORDS / 2)
        machine->read = page->written - PAGE_RECORDS / 2;
    while (machine->read < page->written) {
        struct page_record record = page->records[machine->read % PAGE_RECORDS];

        machine->read++;
        if (take_record(machine, &record, instant))
            return true;
    }
    /* What has just been told is old news from one that stood still, and has another constant. */
    if (machine->before.tsc && machine->read > read &&
        seconds(host_tsc(machine, &machine->before), page_tsc()) > LATE_S / 2)
        machine->known = false;
    return false;
}

/* The constant of a machine that was started again is another. */
static void look_after(struct machine *machine)
{
    uint64_t starts = machine->page->starts;
    bool lately = seconds(machine->asked_tsc, page_tsc()) < ASK_AGAIN_S;

    if (starts && !lately && (!machine->known || machine->starts != starts))
        calibrate(machine);
}

static void print_row(struct machine *machines, int count, uint64_t instant)
{
    printf("%.3f", origin_s + seconds(origin_tsc, instant));
    for (struct machine *machine = machines; machine < machines + count; machine++) {
        const struct page_record *row = &machine->row;

        if (machine->told)
            printf(",%.3f,%.4f,%" PRId64 ",%" PRId64 ",%.2f,%.2f,%.0f", machine->offset_us,
                   (double)row->frequency / 65536 + ((double)row->tick_us - 10000) * 100,
                   row->status, row->maxerror_us, machine->rate_min, machine->rate_max,
                   machine->back_ns);
        else
            printf(",nan,nan,0,0,nan,nan,0");
        machine->rate_min = INFINITY;
        machine->rate_max = -INFINITY;
        machine->back_ns = 0;
        machine->told = false;
    }
    printf("\n");
}

static void set_clock(struct machine *machine, int number, int64_t ns)
{
    struct page *page = machine->page;
    uint64_t until = page_tsc() + (uint64_t)(SET_S * hz);
    int64_t real_ns;

    calibrate(machine);
    page->set_tsc = read_clock(CLOCK_REALTIME, &real_ns) + (uint64_t)machine->ahead;
    page->set_ns = real_ns + ns;
    page->set_asked += machine->known;
    while (page->set_answered != page->set_asked && page_tsc() < until)
        usleep(1000);
    /* Not a step that anybody else made. */
    machine->before.tsc = 0;
    machine->read = page->written;
    printf("set,%d,%" PRId64 "\n", number,
           !machine->known || page->set_answered != page->set_asked ? -ETIMEDOUT : page->set_error);
}

/* False at the end of standard input. */
static bool obey(struct machine *machines, int count)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[64];
    int64_t ns;
    int number;

    if (poll(&input, 1, LOOK_US / 1000) <= 0)
        return true;
    if (!fgets(line, sizeof(line), stdin))
        return false;
    if (sscanf(line, "set %d %" SCNd64, &number, &ns) == 2 && number >= 1 && number <= count)
        set_clock(&machines[number - 1], number, ns);
    return true;
}

static int record(struct machine *machines, int count)
{
    int64_t monotonic_ns;
    uint64_t instant;

    origin_tsc = read_clock(CLOCK_REALTIME, &origin_real_ns);
    instant = read_clock(CLOCK_MONOTONIC, &monotonic_ns);
    origin_s = (double)monotonic_ns / 1e9 - seconds(origin_tsc, instant);
    setvbuf(stdin, NULL, _IONBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (;; instant += (uint64_t)(ROW_S * hz)) {
        bool told;

        do {
            if (!obey(machines, count))
                return 0;
            told = true;
            for (int i = 0; i < count; i++) {
                look_after(&machines[i]);
                told = follow(&machines[i], instant) && told;
            }
        } while (!told && seconds(instant, page_tsc()) < LATE_S);
        print_row(machines, count, instant);
    }
}

int main(int argc, char **argv)
{
    struct machine machines[MACHINES_MAX] = {0};
    int count = argc - 3;

    if (argc == 2 && strcmp(argv[1], "hz") == 0)
        return print_hz();
    if (argc < 4 || count > MACHINES_MAX || strcmp(argv[1], "record") != 0) {
        fprintf(stderr, "usage: truth hz | truth record HZ PAGE...\n");
        return 64;
    }
    hz = atof(argv[2]);
    for (int i = 0; i < count; i++)
        attach(&machines[i], argv[i + 3]);
    return record(machines, count);
}
