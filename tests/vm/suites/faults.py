# SPDX-License-Identifier: BSD-2-Clause
"""Failures on machines with a kernel clock each.  vm5 has its cable pulled while others are killed,
paused and set by hand; vm4 has no battery for its clock."""

import os
import subprocess

from lab import Failed, Gone

from . import kills

MACHINES = 5
INSTALLED = True
PPM = [50, -30, 20, -60, 80]
OFFSET_MS = [0, 150, -120, 60, -50]
RTC = {4: "2020-01-01"}
KILLS = 50
CABLE_S = 300
PAUSE_S = 60
SET_MS = 200

CONF = """
master: { interval = "1 s"; quorum = 1; };
slave: { retry_max = "5 s"; };
clock: { step_threshold = "5 s"; };
"""
ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../..")
OTHER_VERSION = """#include_next "core/wire.h"
#undef WIRE_VERSION
#define WIRE_VERSION 2
"""

pulled = {}


def role(machine):
    return "master" if machine.number == 1 else "slave"


def status(machine):
    """None while no daemon answers."""
    try:
        return machine.ctl("status")
    except (Failed, Gone):
        return None


def state(machine):
    return (status(machine) or {}).get("state")


def is_synchronised(*machines):
    return all(state(machine) == "synchronised" for machine in machines)


def is_counted(*machines):
    return all((status(machine) or {}).get("verdict") == "counted" for machine in machines)


def mark(machine):
    """The end of the journal, for said()."""
    return machine.run("journalctl -n 0 --show-cursor").strip().rpartition("cursor: ")[2]


def said(machine, since, *parts):
    """The daemon's lines after that mark with all these parts."""
    lines = machine.journal("-t berkeleyd --after-cursor='%s'" % since)
    texts = [str(line["MESSAGE"]) for line in lines]
    return [text for text in texts if all(part in text for part in parts)]


def check_said(lab, report, machine, since, what, *parts):
    """Exactly one line, awaited."""
    try:
        lab.until(what, lambda: said(machine, since, *parts), 20)
    except Failed:
        pass
    found = said(machine, since, *parts)
    return report.check(what, len(found) == 1, found[0] if len(found) == 1 else
                        "%d lines" % len(found))


def offset_ms(lab, number, other=1):
    """True offset of a machine to another one, now."""
    row = lab.truth.rows(lab.truth.now() - 0.5)[-1]
    return (row[number].offset_us - row[other].offset_us) / 1e3


def shift_ms(lab, since, numbers):
    """How far machines were moved since then, beyond their common movement with the first row."""
    rows = lab.truth.rows(since)
    steps = [abs(late[number].offset_us - early[number].offset_us) / 1e3
             for early, late in zip(rows, rows[4:]) for number in numbers]
    return max(steps)


def test_group(lab, report):
    """A group of five"""
    lab.group(conf=CONF)
    lab.in_parallel(lambda machine: machine.run(
        "systemctl enable --now berkeley-%s" % role(machine), 120))
    begun = lab.truth.now()
    lab.until("all synchronised", lambda: is_synchronised(*lab.machines), 120)
    report.check("all five are synchronised", True, "%.0f s" % (lab.truth.now() - begun))
    lab.until("all counted for a while", lambda: lab.truth.now() - begun > 45 and
              is_counted(*lab.machines), 120)


def test_cable_out(lab, report):
    """Network cable of vm5 pulled"""
    pulled["mark"], pulled["at"] = mark(lab[5]), lab.truth.now()
    lab[5].unplug()
    lab.until("holdover", lambda: state(lab[5]) == "holdover", 60)
    pulled["bound_ns"] = status(lab[5])["bound_ns"]
    report.check("holdover is called that", True, "after %.0f s" %
                 (lab.truth.now() - pulled["at"]))
    check_said(lab, report, lab[5], pulled["mark"], "and said", "Holdover:")


def test_kills(lab, report):
    """SIGKILL of daemon, clock process and both at random instants"""
    victims = [lab[2], lab[3], lab[4]]
    begun = lab.truth.now()
    found = kills.kill_often(lab, victims, KILLS)
    kills.check(report, found, KILLS)
    moved_ms = shift_ms(lab, begun, [1])
    report.check("the master's clock was not moved by it", moved_ms < 1, "%.3f ms/s" % moved_ms)
    lab.until("synchronised again", lambda: is_synchronised(*victims) and is_counted(*victims), 90)
    report.check("all synchronised again", True, "spread %.2f ms" % max(
        abs(offset_ms(lab, machine.number)) for machine in victims))


def test_kill_for_good(lab, report):
    """SIGKILL without a restart"""
    machine = lab[3]
    lab.until("vm3 is back", lambda: is_counted(machine), 90)
    machine.run("mkdir -p /run/systemd/system/berkeley-slave.service.d && "
                "printf '[Service]\\nRestart=no\\n' "
                ">/run/systemd/system/berkeley-slave.service.d/restart.conf && "
                "systemctl daemon-reload && sleep 5")
    learned_ppm = status(machine)["frequency_ppb"] / 1e3
    set_by_hand(machine, -SET_MS)
    lab.until("a slew", lambda: abs((status(machine) or {}).get("slew_left_ns", 0)) > 1e5, 20)
    machine.run("systemctl kill -s KILL berkeley-slave")
    since = lab.truth.now()
    lab.until("it rests", lambda: lab.truth.now() - since > 15, 20)
    rows = lab.truth.rows(since + 5)
    first, last = rows[0], rows[-1]
    rate_ppm = (last[3].offset_us - first[3].offset_us) / (last.t - first.t)
    report.check("the clock goes on at the frequency it learned, within 1 ppm",
                 abs(last[3].kernel_ppm - learned_ppm) <= 1 and
                 abs(rate_ppm - last[3].kernel_ppm - PPM[2]) <= 1.5,
                 "%+.2f ppm, learned %+.2f; runs %+.2f" %
                 (last[3].kernel_ppm, learned_ppm, rate_ppm))
    machine.run("rm -r /run/systemd/system/berkeley-slave.service.d; systemctl daemon-reload; "
                "systemctl reset-failed; systemctl start berkeley-slave")


def set_by_hand(machine, by_ms):
    """As a person does, by date(1)."""
    machine.run("now=$(($(date +%%s%%N) + %d)); date -s \"@${now:0:-9}.${now: -9}\"" %
                (by_ms * 1000000))


def test_by_hand(lab, report):
    """vm2 paused for 60 s; date -s on vm4, chronyd by hand on vm3, a full disk meanwhile"""
    marks = {machine.number: mark(machine) for machine in lab.machines}
    lab.until("vm3 is back", lambda: is_counted(lab[3]), 90)
    begun = lab.truth.now()
    lab[2].pause()
    try_date(lab, report, marks)
    try_chronyd(lab, report)
    try_full_disk(lab, report)
    lab.until("paused for long enough", lambda: lab.truth.now() - begun > PAUSE_S, PAUSE_S + 5)
    lab[2].resume()
    check_said(lab, report, lab[2], marks[2], "paused 60 s: said",
               "s behind the group: it is being")
    report.check("not counted meanwhile", not is_counted(lab[2]), "%+.1f s" %
                 (offset_ms(lab, 2) / 1e3))
    moved_ms = shift_ms(lab, begun, [1])
    report.check("nothing of this was spread to the group", moved_ms < 1,
                 "the master moved by at most %.3f ms in a second" % moved_ms)
    restarted = lab.truth.now()
    far = [lab[2], lab[4]]
    lab.each("systemctl restart berkeley-slave", far, 120)
    lab.until("vm2 and vm4 are back", lambda: is_synchronised(*far) and is_counted(*far), 90)
    off_ms = max(abs(offset_ms(lab, machine.number)) for machine in far)
    report.check("back by a restart, vm2 by a step as step_threshold allows", off_ms < 5,
                 "after %.0f s; at most %.2f ms off" % (lab.truth.now() - restarted, off_ms))


def try_date(lab, report, marks):
    set_by_hand(lab[4], SET_MS)
    check_said(lab, report, lab[4], marks[4], "date -s: noticed and said", "Somebody else set")
    lab.until("vm4 is not counted", lambda: not is_counted(lab[4]), 10)
    report.check("the master does not count that clock", True,
                 "set by %d ms, less what date(1) took" % SET_MS)
    lines = said(lab[4], marks[4], "changed by")
    report.check("and nobody else is blamed", not lines, " ".join(lines) or "no line")


def try_chronyd(lab, report):
    since = mark(lab[3])
    lab[3].run("systemd-run --quiet --unit=by-hand --property=Type=exec "
               "sh -c 'exec /usr/sbin/chronyd -d \"server 10.77.0.1 iburst\"'")
    check_said(lab, report, lab[3], since, "another clock daemon beside is named",
               "changed by chronyd (process")
    lab[3].run("systemctl stop by-hand")


def try_full_disk(lab, report):
    since = mark(lab[3])
    lab[3].run("systemctl stop berkeley-slave && "
               "mount -t tmpfs -o size=16k,uid=berkeley,gid=berkeley state /var/lib/berkeley && "
               "head -c 64k /dev/zero >/var/lib/berkeley/full; systemctl start berkeley-slave")
    lab.until("synchronised", lambda: is_synchronised(lab[3]), 60)
    lab[3].run("systemctl restart berkeley-slave", 120)
    check_said(lab, report, lab[3], since, "a full disk for the state is said",
               "Cannot save frequency and time", "No space left")
    lab[3].run("rm /var/lib/berkeley/full")
    lab.until("synchronised", lambda: is_synchronised(lab[3]), 60)
    lab[3].run("systemctl stop berkeley-slave && test -s /var/lib/berkeley/state && "
               "umount /var/lib/berkeley && systemctl start berkeley-slave", 120)
    report.check("and saved once there is room", True)


def build_other_version(lab):
    """The same daemon, speaking version 2 of the protocol."""
    directory = lab.directory + "/other"
    os.makedirs(directory + "/core")
    with open(directory + "/core/wire.h", "w") as header:
        header.write(OTHER_VERSION)
    subprocess.run(["nice", "make", "-s", "-C", ROOT, "BUILD=" + directory, "prefix=/usr",
                    "sysconfdir=/etc", "CFLAGS=-O1", "CPPFLAGS=-iquote " + directory,
                    directory + "/berkeleyd"], check=True, stdout=subprocess.DEVNULL)
    return directory + "/berkeleyd"


def test_other_version(lab, report):
    """A slave that speaks another version of the protocol"""
    lab[3].push(build_other_version(lab), "/usr/sbin/berkeleyd.other")
    marks = mark(lab[1]), mark(lab[3])
    before = lab[1].ctl("counters")
    lab[3].run("cp -p /usr/sbin/berkeleyd /usr/sbin/berkeleyd.ours && "
               "systemctl stop berkeley-slave && "
               "mv /usr/sbin/berkeleyd.other /usr/sbin/berkeleyd && "
               "systemctl start berkeley-slave && sleep 30", 120)
    lines = [said(machine, since, "versions of the protocol")
             for machine, since in ((lab[1], marks[0]), (lab[3], marks[1]))]
    now = lab[1].ctl("counters")
    tries = now["network"]["accepted"] - before["network"]["accepted"]
    report.check("both journals say what to do, once for a connection at most",
                 all(1 <= len(some) <= tries for some in lines),
                 "; ".join("%d: %s" % (len(some), some[0] if some else "") for some in lines))
    report.check("no storm of connections", 1 <= tries <= 12, "%d in 30 s" % tries)
    lab[3].run("systemctl stop berkeley-slave; mv /usr/sbin/berkeleyd.ours /usr/sbin/berkeleyd; "
               "systemctl start berkeley-slave", 120)


def test_cable_in(lab, report):
    """Network cable of vm5 plugged in again after 5 minutes"""
    if "bound_ns" not in pulled:
        raise Failed("vm5 was not in holdover")
    lab.until("5 minutes", lambda: lab.truth.now() - pulled["at"] > CABLE_S, CABLE_S)
    held, master = status(lab[5]), status(lab[1])
    off_ms = offset_ms(lab, 5)
    sum_ms = (held["bound_ns"] + master["bound_ns"]) / 1e6
    report.check("in holdover the bound grows", held["state"] == "holdover" and
                 held["bound_ns"] > pulled["bound_ns"], "%.2f ms, at first %.2f" %
                 (held["bound_ns"] / 1e6, pulled["bound_ns"] / 1e6))
    report.check("and holds: |offset to the master| <= sum of both bounds",
                 abs(off_ms) <= sum_ms, "%+.3f ms, bounds %.2f ms after %.0f s" %
                 (off_ms, sum_ms, lab.truth.now() - pulled["at"]))
    lab[5].plug()
    since = lab.truth.now()
    lab.until("counted again", lambda: is_synchronised(lab[5]) and is_counted(lab[5]), 90)
    report.check("counted again", True, "after %.0f s" % (lab.truth.now() - since))


def empty_battery(lab, machine):
    """Its battery's clock in 2020, as after years without one.  A kernel whose clock was just
    synchronised writes its own time there, and then not for 11 minutes."""
    def stays():
        machine.run("perl -e 'open my $rtc, q(+<), q(/dev/rtc0) or die; "
                    "my $time = pack q(l9), 0, 0, 0, 1, 0, 120, 0, 0, 0; "
                    "ioctl($rtc, 0x4024700a, $time) or die' && sleep 3")
        return machine.run("cat /sys/class/rtc/rtc0/date").startswith("2020-")

    lab.until("the battery's clock stays in 2020", stays, 30)


def test_power_cut(lab, report):
    """Power cut of the master; vm4, which has no battery for its clock, is booted meanwhile"""
    master, bare, others = lab[1], lab[4], [lab[2], lab[3], lab[5]]
    lab.until("all counted", lambda: is_counted(*lab.machines), 120)
    lab.until("a clock its kernel trusts", lambda: is_synchronised(bare), 120)
    empty_battery(lab, bare)
    marks = [mark(machine) for machine in others]
    before_s = int(bare.run("date +%s"))
    begun = lab.truth.now()
    lab.in_parallel(lambda boot: boot(), [master.reset, bare.reboot])
    report.check("without a battery: never before the time of the shutdown",
                 int(bare.run("date +%s")) >= before_s)
    lab.until("the group is back", lambda: is_synchronised(*lab.machines), 150)
    report.check("master and slaves synchronised again", True, "after %.0f s, boot included" %
                 (lab.truth.now() - begun))
    held = sum(bool(said(machine, since, "Holdover:")) for machine, since in zip(others, marks))
    report.check("the slaves were in holdover", held == len(others), "%d of %d" %
                 (held, len(others)))
    moved_ms = shift_ms(lab, begun, [machine.number for machine in others])
    report.check("no slave was moved by it", moved_ms < 2,
                 "at most %.3f ms in a second" % moved_ms)
    forward = [line["MESSAGE"] for line in bare.journal("-b -t berkeleyd")
               if "set forward to it" in str(line["MESSAGE"])]
    report.check("without a battery: the time saved is taken", len(forward) == 1,
                 forward[0] if forward else "no line")
    report.check("and brought to the group's", abs(offset_ms(lab, 4)) < 5,
                 "%+.2f ms" % offset_ms(lab, 4))
