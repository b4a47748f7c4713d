# SPDX-License-Identifier: BSD-2-Clause
"""A group of virtual machines with systemd and a kernel clock each, and their true time."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from . import host
from .channel import Gone
from .machine import PATIENCE, Failed, Machine
from .truth import Truth

__all__ = ["PATIENCE", "Failed", "Gone", "Lab"]


class Lab:
    """lab[1] is the first machine."""

    def __init__(self, images, directory, package, suite):
        """The suite says how many MACHINES; PPM: how fast each one's clock truly runs with adjtimex
        at 0; OFFSET_MS: to the host's, once booted; RTC: what QEMU's -rtc base= is told, by
        machine, else "utc"; INSTALLED: the package is there from the start; QUIET: nothing else
        on this host delays the machines, where that is allowed."""
        os.makedirs(directory)
        self.directory = directory
        self.package = package
        self.truth = Truth(images + "/truth", directory + "/truth.csv")
        self.count = suite.MACHINES
        self.quiet = getattr(suite, "QUIET", False) and host.may_take_precedence()
        self.machines = []
        try:
            self.start(images, suite)
            self.boot(suite)
        except BaseException:
            self.end()
            raise

    def start(self, images, suite):
        disk = "disk-installed" if getattr(suite, "INSTALLED", False) else "disk"
        rtc = getattr(suite, "RTC", {})
        host.make_network(self.count)
        for number in range(1, self.count + 1):
            khz = round(self.truth.hz / 1e3 / (1 + suite.PPM[number - 1] * 1e-6))
            self.machines.append(Machine(number, "%s/vm%d" % (self.directory, number), images,
                                         disk, khz, rtc.get(number, "utc"), self.truth))

    def boot(self, suite):
        for machine in self.machines:
            machine.connect()
        self.in_parallel(Machine.await_boot)
        self.truth.start([machine.directory + "/page" for machine in self.machines], self.quiet)
        for machine, offset_ms in zip(self.machines, suite.OFFSET_MS):
            machine.set_clock(offset_ms)
            if self.quiet:
                host.set_real_time(machine.process, True)

    def __getitem__(self, number):
        return self.machines[number - 1]

    def __len__(self):
        return self.count

    def in_parallel(self, act, machines=None):
        machines = self.machines if machines is None else machines
        with ThreadPoolExecutor(len(machines)) as pool:
            return list(pool.map(act, machines))

    def each(self, command, machines=None, timeout=60):
        """The outputs of one command in several machines (None: all)."""
        return self.in_parallel(lambda machine: machine.run(command, timeout), machines)

    def until(self, what, predicate, timeout):
        """What predicate returns as soon as it is true."""
        end = time.monotonic() + PATIENCE * timeout
        while not (found := predicate()):
            if time.monotonic() > end:
                raise Failed("not within %g s: %s" % (PATIENCE * timeout, what))
            time.sleep(0.25)
        return found

    # Berkeley in the machines.

    def install(self):
        """The package, as an administrator does."""
        self.in_parallel(lambda machine: machine.push(self.package, "/root/berkeley.deb"))
        self.each("DEBIAN_FRONTEND=noninteractive dpkg -i /root/berkeley.deb", timeout=180)

    def group(self, master=1, slaves=None, conf=""):
        """Key and configuration on all, conf as a file of its own; starts nothing."""
        slaves = slaves or [m.number for m in self.machines if m.number != master]
        self[master].run("rm -f /etc/berkeley.key && berkeleyctl keygen")
        key = self[master].read("/etc/berkeley.key")
        address = self[master].address
        for number in [master] + slaves:
            role = ('master: { listen = ["%s"]; };' if number == master else
                    'slave: { master = "%s"; };') % address
            self[number].write("/etc/berkeley.conf", 'group = "vm";\n%s\n' % role)
            self[number].write("/etc/berkeley.conf.d/test.conf", conf + "\n")
            self[number].write("/etc/berkeley.key", key, 0o640)
            self[number].run("chgrp berkeley /etc/berkeley.key")

    # The end.

    def save(self):
        """Journals, for whoever wants to know why a test failed."""
        for machine in self.machines:
            try:
                journal = machine.run("journalctl --no-pager -o short-precise", 30, None)
            except (Gone, OSError) as error:
                journal = "%s\n" % error
            with open("%s/journal" % machine.directory, "w") as file:
                file.write(journal)

    def end(self):
        self.truth.end()
        for machine in self.machines:
            machine.end()
        host.remove_network(self.count)
