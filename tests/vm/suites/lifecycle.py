# SPDX-License-Identifier: BSD-2-Clause
"""The life of the service under systemd, as README.md and berkeleyd(8) tell it to a user."""

import json
import re
import time

MACHINES = 2
PPM = [50, -30]
OFFSET_MS = [200, -200]

ROLES = {1: "master", 2: "slave"}
CAP_SYS_TIME = 1 << 25
CONFIGURATION = "/etc/berkeley.conf"
LEARNED_PPM = 20    # two clocks go on learning for minutes; one forgotten is off by more


def service(machine):
    return "berkeley-" + ROLES[machine.number]


def clock_service(machine):
    return "berkeley-clock@" + ROLES[machine.number]


def show(machine, unit, name):
    """A property of a unit."""
    return machine.run("systemctl show -P %s %s" % (name, unit)).strip()


def is_active(machine, unit):
    return show(machine, unit, "ActiveState") == "active"


def state(machine):
    """What berkeleyctl says, or None."""
    status, answer, _ = machine.call("berkeleyctl status --json")
    return json.loads(answer)["state"] if status == 0 else None


def await_synchronised(lab, report, since, timeout=90):
    for machine in lab.machines:
        lab.until(machine.name + " is synchronised", lambda: state(machine) == "synchronised",
                  timeout)
    report.check("both are synchronised", True, "after %.1f s" % (lab.truth.now() - since))


def check_never_back(lab, report, since):
    backward_ns = max(row[machine.number].backward_ns for row in lab.truth.rows(since)
                      for machine in lab.machines)
    report.check("no clock goes back", not backward_ns > 0, "%g ns" % backward_ns)


def said(machine, unit, since="-1h"):
    """Lines of the unit's own processes."""
    return [line for line in machine.journal("-b -u %s --since=%s" % (unit, since))
            if line.get("SYSLOG_IDENTIFIER") == "berkeleyd"]


def moment(machine):
    """For journal_since(): not by the clock that is turned here, nor by a cursor, after which
    journalctl leaves out the first line of a unit."""
    return float(machine.read("/proc/uptime").split()[0]) * 1e6


def journal_since(machine, since, unit):
    return [line["MESSAGE"] for line in machine.journal("-b -u " + unit)
            if int(line["__MONOTONIC_TIMESTAMP"]) >= since]


def find(messages, text):
    """The first line with text in it, or None."""
    return next((message for message in messages if text in message), None)


def edit(machine, key, value):
    """As somebody does with an editor: the key's line, commented out or not."""
    machine.run("sed -i 's/^\\( *\\)#\\?%s = .*/\\1%s = %s;/' %s"
                % (key, key, value, CONFIGURATION))


def test_install(lab, report):
    """The package is installed."""
    begun = lab.truth.now()
    lab.install()
    report.check("dpkg -i", True, "%.1f s" % (lab.truth.now() - begun))
    for machine in lab.machines:
        units = machine.run("systemctl is-enabled berkeley-master berkeley-slave berkeley-wait",
                            status=1).split()
        report.check(machine.name + ": nothing is enabled", units == ["disabled"] * 3, units)
        running = machine.run("systemctl list-units --plain --no-legend '*berkeley*'").strip()
        report.check(machine.name + ": nothing is started", running == "", running or "no unit")


def test_configure(lab, report):
    """Key and addresses, as README.md has it."""
    master, slave = lab[1], lab[2]
    master.run("berkeleyctl keygen")
    slave.run("install -m 0640 -g berkeley /dev/stdin /etc/berkeley.key",
              stdin=master.read("/etc/berkeley.key").encode())
    master.run("sed -i '0,/#listen = .*/s//listen = [\"%s\"];/' %s"
               % (master.address, CONFIGURATION))
    edit(slave, "master", '"%s"' % master.address)
    for machine in lab.machines:
        answer = machine.run("berkeleyd --check").strip()
        report.check(machine.name + ": berkeleyd --check", answer.endswith("valid"), answer)


def test_start(lab, report):
    """Both are enabled and started."""
    begun = lab.truth.now()
    lab.in_parallel(lambda machine: machine.run("systemctl enable --now " + service(machine)))
    report.check("systemctl enable --now", True, "%.1f s" % (lab.truth.now() - begun))
    await_synchronised(lab, report, begun)
    for machine in lab.machines:
        sentence = lab.until(machine.name + ": STATUS says so", lambda: re.search(
            "^(.*, )?synchronised: offset.*", show(machine, service(machine), "StatusText")), 10)
        report.check(machine.name + ": STATUS says so", True, sentence.group())
        answer = machine.run("timedatectl show -p NTP -p NTPSynchronized").split()
        report.check(machine.name + ": timedatectl", answer == ["NTP=yes", "NTPSynchronized=yes"],
                     " ".join(answer))
    check_never_back(lab, report, begun)


def test_journal(lab, report):
    """What the journal has of it."""
    for machine in lab.machines:
        lines = said(machine, service(machine))
        messages = [line["MESSAGE"] for line in lines]
        again = {message for message in messages if messages.count(message) > 1}
        report.check(machine.name + ": each line once", not again, "%d lines" % len(messages))
        bad = [line["MESSAGE"] for line in lines if int(line["PRIORITY"]) <= 4]
        report.check(machine.name + ": no warning", not bad, "; ".join(bad))
        line = next(line for line in lines if line["MESSAGE"].startswith("Synchronised"))
        fields = ["MESSAGE_ID", "BERKELEY_STATE", "BERKELEY_OFFSET_NS", "BERKELEY_BOUND_NS"]
        report.check(machine.name + ": -o json has the fields", all(f in line for f in fields),
                     " ".join("%s=%s" % (f, line.get(f)) for f in fields[1:]))
    explained = lab[2].run("journalctl -x -u berkeley-slave | grep -c 'Defined-By: Berkeley'")
    report.check("journalctl -x explains", int(explained) > 1, "%s lines" % explained.strip())


def test_rights(lab, report):
    """What the running processes may."""
    for machine in lab.machines:
        for unit, user, power in ((service(machine), "berkeley", 0),
                                  (clock_service(machine), "berkeley-clock", CAP_SYS_TIME)):
            pid = show(machine, unit, "MainPID")
            found = machine.run("ps -o user:20= -p %s; "
                                "sed -n 's/^Cap\\(Eff\\|Prm\\|Bnd\\):\\s*//p' /proc/%s/status"
                                % (pid, pid)).split()
            report.check("%s is %s with capabilities %#x" % (unit, user, power),
                         found[0] == user and [int(c, 16) for c in found[1:]] == [power] * 3,
                         " ".join(found))
    for unit in ("berkeley-slave", "berkeley-clock@slave"):
        exposure = lab[2].run("systemd-analyze security --no-pager %s | tail -n 1" % unit).split()
        level = float(next(word for word in exposure if word[0].isdigit()))
        report.check("systemd-analyze security %s is at most 1.5" % unit, level <= 1.5, level)


def test_asking(lab, report):
    """Who may ask berkeleyctl."""
    slave = lab[2]
    slave.run("useradd anybody && useradd -G berkeley member")
    for who, word, status in (("root", "status", 0), ("member", "status", 0),
                              ("anybody", "status", 77), ("member", "trace on", 77),
                              ("member", "step --yes", 77), ("root", "step --yes", 1)):
        found, output, errors = slave.call("runuser -u %s -- berkeleyctl %s" % (who, word))
        report.check("%s: berkeleyctl %s: exit status %d" % (who, word, status), found == status,
                     (errors or output).split("\n")[0])


def test_reload(lab, report):
    """Edited, reloaded; edited badly, reloaded, restarted."""
    slave = lab[2]
    pid, at = show(slave, "berkeley-slave", "MainPID"), moment(slave)
    edit(slave, "holdover_limit", '"2 h"')
    slave.run("systemctl reload berkeley-slave")
    line = find(journal_since(slave, at, "berkeley-slave"), "holdover_limit")
    report.check("reload says what is changed", line, line)

    at = moment(slave)
    edit(slave, "max_slew_ppm", "500000")
    status = slave.call("systemctl reload berkeley-slave")[0]
    line = find(journal_since(slave, at, "berkeley-slave"), "max_slew_ppm")
    report.check("bad edit: reload fails", status == 1, "exit status %d" % status)
    report.check("and says why, and what is in force", line and "is kept" in line, line)
    report.check("and the daemon goes on", show(slave, "berkeley-slave", "MainPID") == pid and
                 state(slave) == "synchronised", state(slave))

    status = slave.call("systemctl restart berkeley-slave")[0]
    report.check("restart fails", status == 1, "exit status %d" % status)
    time.sleep(4)  # twice RestartSec=
    found = [show(slave, "berkeley-slave", name)
             for name in ("ActiveState", "ExecMainStatus", "NRestarts")]
    report.check("with 78, and not again and again", found == ["failed", "78", "0"],
                 "%s, %s, %s restarts" % tuple(found))
    edit(slave, "max_slew_ppm", "500")


def test_credential(lab, report):
    """The key as a credential, which only root can read."""
    slave = lab[2]
    begun, at = lab.truth.now(), moment(slave)
    slave.run("install -m 600 /etc/berkeley.key /root/key && rm /etc/berkeley.key")
    slave.write("/etc/systemd/system/berkeley-slave.service.d/key.conf",
                "[Service]\nLoadCredential=berkeley.key:/root/key\n")
    slave.run("systemctl daemon-reload && systemctl start berkeley-slave")
    line = find(journal_since(slave, at, "berkeley-slave"), "1 key in")
    report.check("the credential is read", line and "/run/credentials/" in line, line)
    await_synchronised(lab, report, begun)


def test_watchdog(lab, report):
    """The slave's daemon and the master's clock process hang (SIGSTOP)."""
    begun = lab.truth.now()
    stopped = (lab[1], "berkeley-clock@master"), (lab[2], "berkeley-slave")
    at = [moment(machine) for machine, _ in stopped]
    pids = [show(machine, unit, "MainPID") for machine, unit in stopped]
    for (machine, _), pid in zip(stopped, pids):
        machine.run("kill -STOP " + pid)
    for (machine, unit), pid, since in zip(stopped, pids, at):
        lab.until(unit + " runs again", lambda: is_active(machine, unit) and
                  show(machine, unit, "MainPID") not in (pid, "0"), 60)
        line = find(journal_since(machine, since, unit), "Watchdog timeout")
        report.check(unit + " is killed and started again", line, line)
    await_synchronised(lab, report, begun)
    blind = [line for line in journal_since(lab[1], at[0], "berkeley-master") if "look" in line]
    report.check("the master says once that its clock is away, and once that it is back",
                 len(blind) == 2, " ".join(blind))
    check_never_back(lab, report, begun)


def test_other_daemon(lab, report):
    """chrony and Berkeley on one machine."""
    slave = lab[2]
    slave.run("systemctl start chrony", timeout=120)
    report.check("chrony started: Berkeley ends", not is_active(slave, "berkeley-slave"))
    slave.run("systemctl start berkeley-slave")
    report.check("Berkeley started: chrony ends", not is_active(slave, "chrony"))


def test_timedatectl(lab, report):
    """timedatectl turns synchronisation off and on."""
    slave = lab[2]
    status, _, errors = slave.call("timedatectl set-time 2026-01-01")
    report.check("set-time is refused", status == 1, errors.strip())
    for word, wanted in (("false", ("inactive", "disabled")), ("true", ("active", "enabled"))):
        status, _, errors = slave.call("timedatectl set-ntp " + word)
        report.check("set-ntp %s works" % word, status == 0, errors.strip() or "exit status 0")
        lab.until("set-ntp " + word, lambda: show(slave, "berkeley-slave", "ActiveState")
                  == wanted[0], 20)
        found = tuple(show(slave, "berkeley-slave", name)
                      for name in ("ActiveState", "UnitFileState"))
        report.check("the slave is %s and %s" % wanted, found == wanted, ", ".join(found))


def test_reboot(lab, report):
    """Both are booted again; one has both roles enabled, the other waits for the time."""
    begun = lab.truth.now()
    lab[1].run("systemctl enable berkeley-slave", status=1)
    lab[2].write("/etc/systemd/system/user.service", """\
[Unit]
After=time-sync.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=berkeleyctl status --json
[Install]
WantedBy=multi-user.target
""")
    lab[2].run("systemctl enable berkeley-wait user")
    lab.in_parallel(lambda machine: machine.reboot())
    report.check("systemctl reboot", True, "%.1f s" % (lab.truth.now() - begun))
    await_synchronised(lab, report, begun)
    roles = [is_active(lab[1], "berkeley-" + role) for role in ("master", "slave")]
    report.check("of both roles the master runs", roles == [True, False],
                 "master %s, slave %s" % tuple(roles))
    answer = json.loads(find([line["MESSAGE"] for line in lab[2].journal("-b -u user")], "{"))
    report.check("what is ordered after time-sync.target starts with the time",
                 answer["state"] == "synchronised", "%(state)s, %(bound_ns)d ns" % answer)
    reached = [int(show(lab[2], unit, name + "TimestampMonotonic")) / 1e6 for unit, name in (
        ("berkeley-slave", "ActiveEnter"), ("time-sync.target", "ActiveEnter"))]
    report.check("time-sync.target is reached", reached[1] > reached[0],
                 "%.1f s after the slave's start" % (reached[1] - reached[0]))
    lab[1].run("systemctl disable berkeley-slave && systemctl enable berkeley-master")


def test_upgrade(lab, report):
    """The package is installed over itself while both run."""
    await_synchronised(lab, report, lab.truth.now())
    begun = lab.truth.now()
    before = [(show(machine, service(machine), "MainPID"), machine.ctl("status")["frequency_ppb"])
              for machine in lab.machines]
    lab.install()
    await_synchronised(lab, report, begun)
    for machine, (pid, ppb) in zip(lab.machines, before):
        found = show(machine, service(machine), "MainPID")
        report.check(machine.name + ": the new one runs", found not in ("0", pid))
        unit_file = show(machine, service(machine), "UnitFileState")
        report.check(machine.name + ": it is still enabled", unit_file == "enabled", unit_file)
        moved = max(abs(row[machine.number].kernel_ppm - ppb / 1e3)
                    for row in lab.truth.rows(begun))
        report.check(machine.name + ": the frequency learned stays in force", moved < LEARNED_PPM,
                     "within %.1f ppm of %.1f" % (moved, ppb / 1e3))
    check_never_back(lab, report, begun)


def test_stop(lab, report):
    """Stopped and disabled."""
    slave = lab[2]
    slave.run("systemctl disable --now berkeley-slave")
    begun = lab.truth.now()
    lab.until("nothing of it runs", lambda: slave.call(
        "systemctl list-units --plain --no-legend 'berkeley-[cs]*'; pgrep berkeleyd")[1] == "", 30)
    report.check("nothing of it runs", True, "after %.1f s" % (lab.truth.now() - begun))
    gone = find([line["MESSAGE"] for line in lab[1].journal("-b -u berkeley-master")],
                "Slave vm2 left")
    report.check("the master heard of it", gone, gone)


def test_remove(lab, report):
    """The package is removed from the machine where it runs, then purged."""
    master = lab[1]
    uids = master.run("id -u berkeley; id -u berkeley-clock").split()
    master.run("dpkg -r berkeley", timeout=120)
    kept = master.run("ls -d /etc/berkeley.conf /etc/berkeley.key /var/lib/berkeley").split()
    report.check("removed: configuration, key and state stay", len(kept) == 3, " ".join(kept))
    units = master.run("systemctl list-units --plain --no-legend '*berkeley*.s[eo]*'; "
                       "pgrep berkeleyd", status=1).strip()
    report.check("nothing of it runs, nor is known to systemd", units == "", units)
    master.run("dpkg -P berkeley", timeout=120)
    owned = " ".join("-o -uid %s -o -gid %s" % (uid, uid) for uid in uids)
    left = master.run("find / /run -xdev \\( -name '*berkeley*' %s \\) "
                      "! -path '/root/*' ! -path '/run/systemd/*.slice*'" % owned).split()
    report.check("purged: nothing is left", not left, " ".join(left))
    report.check("nor its users", master.call("getent passwd berkeley berkeley-clock")[1] == "")
