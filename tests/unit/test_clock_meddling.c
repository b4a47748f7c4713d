/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtual_kernel.h"

#include "daemon/clock_meddling.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct meddler {
    struct timex timex;
    const char *told;
};

static void meddle(struct virtual_kernel *kernel, struct timex timex)
{
    assert_return_code(timex_model_adjust(&kernel->model, kernel->model.raw_ns, &timex), 0);
}

static void quiet_while_alone(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    for (int i = 0; i < 3000; i++) {
        (void)look(clock);
        if (i % 5 != 4)
            steer(clock, 1234.5678 * (i % 700) - 400000, (i % 41 - 20) * INT64_C(91011));
        pass(&kernel, 900 * NS_PER_MS + i * INT64_C(67000));
    }
    assert_int_equal(lines, 0);
    clock_free(clock);
}

static void maxerror_run_full_is_no_meddling(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);
    struct order order = {.maxerror_ns = 15999 * NS_PER_MS, .synchronised = true};

    (void)state;
    assert_int_equal(clock_steer(clock, &order), 0);
    for (int i = 0; i < 30; i++) {
        pass(&kernel, NS_PER_S);
        (void)look(clock);
    }
    assert_int_equal(kernel.model.status & STA_UNSYNC, STA_UNSYNC);
    assert_int_equal(lines, 0);
    clock_free(clock);
}

static void every_change_is_told(void **state)
{
    static const struct meddler meddlers[] = {
        {{.modes = ADJ_FREQUENCY, .freq = -3 * PPM}, "frequency +1.000 -> -3.000 ppm"},
        {{.modes = ADJ_TICK, .tick = 10001}, "tick 10000 -> 10001 us"},
        {{.modes = ADJ_TIMECONST, .constant = 6}, "time constant 0 -> 6"},
        {{.modes = ADJ_MAXERROR, .maxerror = 0}, "maximum error 100 -> "},
        {{.modes = ADJ_OFFSET, .offset = 3}, "slew left 8000000 -> "},
        {{.modes = ADJ_STATUS, .status = STA_PLL}, "status 0x2081 -> 0x2001"},
        {{.modes = ADJ_STATUS, .status = STA_PLL | STA_FREQHOLD | STA_UNSYNC}, "-> 0x20c1"},
        {{.modes = ADJ_OFFSET_SINGLESHOT, .offset = 9000}, "adjtime slew 0 -> "},
        /* What chronyd does first; a clock that is set keeps the other bits. */
        {{.modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_OFFSET,
          .status = STA_UNSYNC,
          .maxerror = 16000000},
         "status 0x2081 -> 0x0040"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof meddlers / sizeof meddlers[0]; i++) {
        struct virtual_kernel kernel;
        struct clock *clock = virtual_clock(&kernel, NULL);
        steer(clock, 1000, 8 * NS_PER_MS);
        meddle(&kernel, meddlers[i].timex);
        pass(&kernel, NS_PER_S);
        (void)look(clock);
        if (lines != 1)
            fail_msg("%d lines, not one, tell \"%s\"", lines, meddlers[i].told);
        if (!strstr(heard, meddlers[i].told) || !strstr(heard, "by another program:"))
            fail_msg("\"%s\" is not in \"%s\"", meddlers[i].told, heard);
        (void)look(clock);
        assert_int_equal(lines, 1);
        clock_free(clock);
    }
}

/* The discipline says so, and by how much; and what another program does after that is news. */
static void a_clock_that_was_set_is_not_told_here(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    for (int seconds = -5; seconds <= 5; seconds += 10) {
        steer(clock, 1000, 8 * NS_PER_MS);
        meddle(&kernel, (struct timex){.modes = ADJ_SETOFFSET, .time = {.tv_sec = seconds}});
        pass(&kernel, NS_PER_S);
        (void)look(clock);
        assert_int_equal(lines, 0);
    }
    steer(clock, 1000, 0);
    meddle(&kernel, (struct timex){.modes = ADJ_FREQUENCY, .freq = 5 * PPM});
    (void)look(clock);
    assert_int_equal(lines, 1);
    clock_free(clock);
}

static void told_again_after_a_quiet_hour(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    for (int i = 0; i < 3 * 3600; i += 600) {
        steer(clock, 1000, 0);
        meddle(&kernel, (struct timex){.modes = ADJ_FREQUENCY, .freq = 5 * PPM});
        (void)look(clock);
        pass(&kernel, 600 * NS_PER_S);
    }
    assert_int_equal(lines, 1);
    pass(&kernel, 3000 * NS_PER_S);
    steer(clock, 1000, 0);
    meddle(&kernel, (struct timex){.modes = ADJ_FREQUENCY, .freq = 5 * PPM});
    (void)look(clock);
    assert_int_equal(lines, 2);
    clock_free(clock);
}

static void foreign_adjtime_is_cancelled(void **state)
{
    struct virtual_kernel kernel;
    struct clock *clock = virtual_clock(&kernel, NULL);

    (void)state;
    meddle(&kernel, (struct timex){.modes = ADJ_OFFSET_SINGLESHOT, .offset = 9000});
    (void)look(clock);
    assert_int_equal(lines, 0);
    steer(clock, 0, 0);
    assert_int_equal(kernel.model.singleshot_us, 0);
    clock_free(clock);
}

static void culprits_are_named(void **state)
{
    char units[] = "/tmp/berkeley-units-XXXXXX";
    char path[128], text[256];
    struct virtual_kernel kernel;

    (void)state;
    assert_non_null(mkdtemp(units));
    clock_meddling_culprit(units, NULL, text, sizeof text);
    assert_string_equal(text, "another program");
    (void)snprintf(path, sizeof path, "%s/systemd-timesyncd.service", units);
    assert_int_equal(mkdir(path, 0700), 0);

    struct clock *clock = virtual_clock(&kernel, units);
    steer(clock, 1000, 0);
    meddle(&kernel, (struct timex){.modes = ADJ_FREQUENCY, .freq = 5 * PPM});
    (void)look(clock);
    assert_non_null(strstr(heard, "changed by systemd-timesyncd.service: frequency"));
    clock_free(clock);

    char other[128];
    (void)snprintf(other, sizeof other, "%s/chrony.service", units);
    assert_int_equal(mkdir(other, 0700), 0);
    clock_meddling_culprit(units, NULL, text, sizeof text);
    assert_string_equal(text, "chrony.service or systemd-timesyncd.service");
    assert_int_equal(rmdir(other) | rmdir(path) | rmdir(units), 0);
}

static void write_name(const char *processes, const char *process, const char *name)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", processes, process);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/%s/comm", processes, process);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "%s\n", name);
    assert_int_equal(fclose(file), 0);
}

static void remove_name(const char *processes, const char *process)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s/comm", processes, process);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/%s", processes, process);
    assert_int_equal(rmdir(path), 0);
}

static void a_program_started_by_hand_is_named(void **state)
{
    char processes[] = "/tmp/berkeley-processes-XXXXXX";
    char text[256];

    (void)state;
    assert_non_null(mkdtemp(processes));
    write_name(processes, "7", "chronyc");
    write_name(processes, "812", "chronyd");
    write_name(processes, "self", "ntpd");
    clock_meddling_culprit("/nowhere", processes, text, sizeof text);
    assert_string_equal(text, "chronyd (process 812)");
    remove_name(processes, "812");
    clock_meddling_culprit(NULL, processes, text, sizeof text);
    assert_string_equal(text, "another program");
    remove_name(processes, "7");
    remove_name(processes, "self");
    assert_int_equal(rmdir(processes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_while_alone),
        cmocka_unit_test(maxerror_run_full_is_no_meddling),
        cmocka_unit_test(every_change_is_told),
        cmocka_unit_test(a_clock_that_was_set_is_not_told_here),
        cmocka_unit_test(told_again_after_a_quiet_hour),
        cmocka_unit_test(foreign_adjtime_is_cancelled),
        cmocka_unit_test(culprits_are_named),
        cmocka_unit_test(a_program_started_by_hand_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
