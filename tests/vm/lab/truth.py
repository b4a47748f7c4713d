# SPDX-License-Identifier: BSD-2-Clause
"""What the machines' clocks truly showed, as truth.c tells it."""

import errno
import math
import os
import queue
import subprocess
import threading
import time

from . import host
from .host import command

SET_TRIES = 5


class Clock:
    """One machine's part of a row; what is unknown is nan."""

    def __init__(self, fields):
        self.offset_us, self.kernel_ppm = float(fields[0]), float(fields[1])
        self.status, self.maxerror_us = int(fields[2]), int(fields[3])
        self.rate_min_ppm, self.rate_max_ppm = float(fields[4]), float(fields[5])
        self.backward_ns = float(fields[6])


class Row:
    """All machines at one instant; row[1] is the first machine's clock."""

    def __init__(self, line):
        fields = line.split(",")
        self.t = float(fields[0])
        self.clocks = [Clock(fields[at:at + 7]) for at in range(1, len(fields), 7)]

    def __getitem__(self, number):
        return self.clocks[number - 1]

    @property
    def spread_us(self):
        """Between the machines that told."""
        offsets = [c.offset_us for c in self.clocks if not math.isnan(c.offset_us)]
        return max(offsets) - min(offsets) if offsets else math.nan


class Truth:
    """Records from its start to its end, four rows a second, into a file too."""

    def __init__(self, program, path):
        self.program = program
        self.path = path
        self.hz = int(command(program, "hz"))
        self.recorded = []
        self.answers = queue.Queue()
        self.process = None

    def start(self, pages, quiet):
        self.process = subprocess.Popen(
            [self.program, "record", str(self.hz)] + pages, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, preexec_fn=host.die_with_parent)
        if quiet:  # before the machines, which then are real-time processes too
            os.sched_setscheduler(self.process.pid, os.SCHED_RR, os.sched_param(3))
        elif host.may_take_precedence():
            os.setpriority(os.PRIO_PROCESS, self.process.pid, -15)
        threading.Thread(target=self.record, daemon=True).start()

    def record(self):
        with open(self.path, "w") as file:
            for line in self.process.stdout:
                if line.startswith("set,"):
                    self.answers.put(int(line.split(",")[2]))
                    continue
                file.write(line)
                file.flush()
                self.recorded.append(Row(line))

    def set_clock(self, number, offset_ms):
        """Again while the machine is too busy to answer."""
        for _ in range(SET_TRIES):
            self.process.stdin.write("set %d %d\n" % (number, round(offset_ms * 1e6)))
            self.process.stdin.flush()
            error = self.answers.get(timeout=30)
            if error != -errno.ETIMEDOUT:
                break
        if error:
            raise OSError(-error, "clock of machine %d not set" % number)

    @staticmethod
    def now():
        return time.monotonic()

    def rows(self, since, until=None):
        """Those between two moments; waits for them to be told."""
        until = until or self.now()
        while not self.recorded or self.recorded[-1].t < until - 0.25:
            time.sleep(0.1)
            if self.process.poll() is not None:
                raise RuntimeError("truth ended")
        return [row for row in self.recorded if since <= row.t <= until]

    def end(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(10)
