/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells the host, through the page shared with it, what this machine's clock shows: see page.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "page.h"

#define DEVICES "/sys/bus/pci/devices"
#define READINGS 8

static bool says(const char *device, const char *name, unsigned wanted)
{
    char path[512];
    unsigned found = 0;
    FILE *file;

    snprintf(path, sizeof(path), DEVICES "/%s/%s", device, name);
    file = fopen(path, "r");
    if (!file)
        return false;
    if (fscanf(file, "%x", &found) != 1)
        found = 0;
    fclose(file);
    return found == wanted;
}

/* Nothing has enabled the device: there is no driver for it. */
static struct page *map(const char *device)
{
    char path[512];
    void *memory;
    int fd;

    snprintf(path, sizeof(path), DEVICES "/%s/enable", device);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1)
        return NULL;
    close(fd);
    snprintf(path, sizeof(path), DEVICES "/%s/resource2", device);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    memory = mmap(NULL, PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static struct page *find_page(void)
{
    DIR *devices = opendir(DEVICES);
    struct page *page = NULL;
    struct dirent *entry;

    while (devices && !page && (entry = readdir(devices))) {
        if (says(entry->d_name, "vendor", 0x1af4) && says(entry->d_name, "device", 0x1110))
            page = map(entry->d_name);
    }
    if (devices)
        closedir(devices);
    return page;
}

static int64_t realtime_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* The narrowest of some readings: the host's other work may come between any two instructions. */
static void take_reading(struct page *page)
{
    uint64_t number = page->written;
    struct page_record *record = &page->records[number % PAGE_RECORDS];
    struct timex kernel = {0};

    record->width = UINT64_MAX;
    for (int i = 0; i < READINGS; i++) {
        uint64_t before = page_tsc();
        int64_t real_ns = realtime_ns();
        uint64_t after = page_tsc();

        if (after - before < record->width) {
            record->width = after - before;
            record->tsc = before + (after - before) / 2;
            record->real_ns = real_ns;
        }
    }
    adjtimex(&kernel);
    record->frequency = kernel.freq;
    record->tick_us = kernel.tick;
    record->maxerror_us = kernel.maxerror;
    record->status = kernel.status;
    page->written = number + 1;
}

/* For at most a fifth of a second, then other programs run. */
static void answer_tsc(struct page *page)
{
    uint64_t until = page_tsc() + page->hz / 5;

    while (page->listening && page_tsc() < until) {
        uint64_t asked = page->tsc_asked;

        if (asked != page->tsc_answered) {
            page->tsc = page_tsc();
            page->tsc_answered = asked;
        }
    }
}

/* As after boot: no frequency, no offset to slew, not synchronised. */
static void forget_discipline(void)
{
    struct timex fresh = {.modes = ADJ_FREQUENCY | ADJ_TICK | ADJ_STATUS | ADJ_OFFSET,
                          .status = STA_PLL,
                          .tick = 10000};

    adjtimex(&fresh);
    fresh = (struct timex){.modes = ADJ_STATUS | ADJ_MAXERROR,
                           .status = STA_UNSYNC,
                           .maxerror = 16000000};
    adjtimex(&fresh);
}

/* Again while it took long: what comes between reading the TSC and setting is an error of it. */
static void set_clock(struct page *page)
{
    double hz = (double)page->hz;
    uint64_t before, after;
    int tries = 200;

    forget_discipline();
    do {
        struct timespec then;
        int64_t ns;

        before = page_tsc();
        ns = page->set_ns + (int64_t)((double)(int64_t)(before - page->set_tsc) / hz * 1e9);
        then = (struct timespec){ns / 1000000000, ns % 1000000000};
        page->set_error = clock_settime(CLOCK_REALTIME, &then) ? -errno : 0;
        after = page_tsc();
    } while (!page->set_error && (double)(after - before) > 8e-6 * hz && --tries > 0);
    page->set_answered = page->set_asked;
}

int main(void)
{
    const struct timespec period = {.tv_nsec = PAGE_PERIOD_NS};
    const struct sched_param first = {.sched_priority = 1};
    struct page *page = find_page();

    if (!page) {
        fprintf(stderr, "probe: no memory shared with the host\n");
        return 1;
    }
    mlockall(MCL_CURRENT | MCL_FUTURE);
    sched_setscheduler(0, SCHED_FIFO, &first);
    page->starts++;
    for (;;) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL);
        if (page->set_asked != page->set_answered)
            set_clock(page);
        take_reading(page);
        if (page->listening)
            answer_tsc(page);
    }
}
