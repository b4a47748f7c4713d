# SPDX-License-Identifier: BSD-2-Clause
"""SIGKILL while a large slew is under way: what it leaves in the kernel, as kills.pl saw it."""

import json
import os
import random

from lab import PATIENCE

HERE = os.path.dirname(os.path.realpath(__file__))
SEED = int(os.environ.get("BERKELEY_TEST_SEED", "20261123"))
STA_DAEMON = 0x1 | 0x8 | 0x80   # PLL, FLL, FREQHOLD: mean something under a running daemon only
STA_UNSYNC = 0x40
SLEW_MOST_MS = 500              # of each of the kernel's two slews
TIDY_MOST_MS = 2.5              # berkeleyd(8), once the fast start is ended
LEARNED_PPM = 5                 # berkeleyd(8): it is kept until another is known to 1 ppm


def kill_often(lab, machines, kills):
    """So many in all, on all machines at once."""
    share = -(-kills // len(machines))

    def on(machine):
        learned_ppm = machine.ctl("status")["frequency_ppb"] / 1e3
        machine.push(HERE + "/kills.pl", "/root/kills.pl")
        seed = random.Random(SEED * 100 + machine.number).randrange(1 << 31)
        output = machine.run("perl /root/kills.pl %d %d %d" % (seed, share, PATIENCE), timeout=420)
        with open(machine.directory + "/kills", "w") as file:
            file.write(output)
        return [dict(json.loads(line), learned_ppm=learned_ppm) for line in output.splitlines()]

    return [kill for some in lab.in_parallel(on, machines) for kill in some]


def slew_ms(clock):
    return abs(clock["pll_ns"]) / 1e6 + abs(clock["adjtime_us"]) / 1e3


def is_tidy(kill):
    """Tick and status are those of a clock without a daemon, and what the kernel knew of its
    synchronisation is left; no slew is left that another one runs against."""
    before, after = kill["before"], kill["after"]
    return (kill["tidied"] and after["tick_us"] == 10000 and not after["status"] & STA_DAEMON and
            after["status"] & STA_UNSYNC >= before["status"] & STA_UNSYNC and
            after["pll_ns"] * after["adjtime_us"] >= 0)


def check(report, kills, at_least):
    kinds = ["%d %s" % (sum(kill["kind"] == kind for kill in kills), kind)
             for kind in ("daemon", "clock", "both")]
    changes = [abs(kill["after"]["ppm"] - kill["before"]["ppm"]) for kill in kills]
    off = [abs(kill["after"]["ppm"] - kill["learned_ppm"]) for kill in kills]
    ended = [kill for kill in kills if kill["kind"] != "clock"]
    beyond = [abs(kill["moved_us"]) / 1e3 - slew_ms(kill["handed"]) for kill in ended]
    report.check("SIGKILL while 50 to 150 ms are slewed", len(kills) >= at_least,
                 "%d kills of %d: %s; %d of them of a daemon in its fast start; seed %d" %
                 (len(kills), at_least, ", ".join(kinds),
                  sum(slew_ms(kill["before"]) > TIDY_MOST_MS for kill in kills), SEED))
    report.check("the slew left is what the kernel was handed, and ends",
                 all(max(abs(kill["handed"]["pll_ns"]) / 1e6,
                         abs(kill["handed"]["adjtime_us"]) / 1e3) <= SLEW_MOST_MS
                     for kill in kills) and max(beyond) <= 150,
                 "at most %.1f ms" % max(slew_ms(kill["handed"]) for kill in kills))
    report.check("after ExecStopPost at most so much is left",
                 all(slew_ms(kill["after"]) <= TIDY_MOST_MS for kill in ended),
                 "%.1f ms" % max(slew_ms(kill["after"]) for kill in ended))
    report.check("the kernel's frequency is what it was, within 1 ppm", max(changes) <= 1,
                 "%.3f ppm" % max(changes))
    report.check("and the one learned before all this, within %d ppm" % LEARNED_PPM,
                 max(off) <= LEARNED_PPM, "%.3f ppm" % max(off))
    untidy = [json.dumps(kill) for kill in ended if not is_tidy(kill)]
    report.check("tick and status are put right", not untidy,
                 "%d of %d %s" % (len(ended) - len(untidy), len(ended), " ".join(untidy)))
    report.check("systemd started it again", all(kill["back"] for kill in kills),
                 "%d of %d" % (sum(kill["back"] for kill in kills), len(kills)))
