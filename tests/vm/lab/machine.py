# SPDX-License-Identifier: BSD-2-Clause
"""One virtual machine."""

import io
import json
import os
import shlex
import subprocess
import tarfile
import time

from . import host
from .channel import Channel, Gone

PATIENCE = 3  # all limits of time are for a quiet host: a busy one gets so many times as much


class Failed(Exception):
    """What a test wanted to happen did not."""


class Machine:
    def __init__(self, number, directory, images, disk, khz, rtc, truth):
        self.number = number
        self.name = "vm%d" % number
        self.address = "10.77.0.%d" % number
        self.directory = directory
        self.truth = truth
        os.makedirs(directory)
        self.process = host.start_qemu(directory, images, disk, number, khz, rtc)
        self.channels = []

    def connect(self):
        end = time.monotonic() + 10
        while len(self.channels) < 2:
            try:
                self.channels.append(
                    Channel("%s/port%d" % (self.directory, len(self.channels))))
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise Gone(self.name + " did not start") from None
                time.sleep(0.1)

    def await_boot(self, timeout=240):
        """Until systemd has started everything."""
        end = time.monotonic() + PATIENCE * timeout
        while True:
            try:
                state = self.call("systemctl is-system-running --wait", timeout=timeout)[1].strip()
                break
            except Gone:
                if time.monotonic() > end:
                    raise Failed(self.name + " does not boot") from None
        if state != "running":
            raise Failed("%s has booted %s: %s" % (self.name, state,
                                                   self.call("systemctl --failed --plain")[1]))

    # Commands.

    def call(self, command, timeout=60, stdin=b""):
        """(status, output, errors) of a command to bash; status 124 after the timeout."""
        channel = next((free for free in self.channels if free.busy.acquire(blocking=False)), None)
        if not channel:
            channel = self.channels[0]
            channel.busy.acquire()
        try:
            status, output, errors = channel.run(command, stdin, PATIENCE * timeout)
        except Gone as gone:
            raise Gone("%s: %s" % (self.name, gone)) from None
        finally:
            channel.busy.release()
        return status, output.decode(errors="replace"), errors.decode(errors="replace")

    def run(self, command, timeout=60, status=0, stdin=b""):
        """The output of a command that ends with that status (None: with any)."""
        found, output, errors = self.call(command, timeout, stdin)
        if status is not None and found != status:
            raise Failed("%s: %s: exit status %d\n%s%s" % (self.name, command, found, output,
                                                           errors))
        return output

    def ctl(self, word):
        return json.loads(self.run("berkeleyctl %s --json" % word))

    def journal(self, selection):
        lines = self.run("journalctl --no-pager -o json " + selection).splitlines()
        return [json.loads(line) for line in lines]

    # Files.

    def read(self, path):
        return self.run("cat " + shlex.quote(path))

    def write(self, path, text, mode=0o644):
        quoted = shlex.quote(path)
        self.run("mkdir -p $(dirname %s) && cat >%s && chmod %o %s" % (quoted, quoted, mode,
                                                                       quoted),
                 stdin=text.encode())

    def push(self, local, remote):
        with open(local, "rb") as file:
            contents = file.read()
        quoted = shlex.quote(remote)
        self.run("cat >%s.new && chmod %o %s.new && mv %s.new %s" % (
            quoted, os.stat(local).st_mode & 0o777, quoted, quoted, quoted), 120, stdin=contents)

    def pull(self, remote, local_directory):
        """A file or a folder of the machine, into one of the host."""
        channel = self.channels[-1]
        with channel.busy:
            status, output, errors = channel.run(
                "tar -C %s -cf - %s" % (shlex.quote(os.path.dirname(remote) or "/"),
                                        shlex.quote(os.path.basename(remote))), b"", 120)
        if status != 0:
            raise Failed("%s: %s" % (self.name, errors.decode()))
        with tarfile.open(fileobj=io.BytesIO(output)) as archive:
            archive.extractall(local_directory)

    # What happens to machines.

    def unplug(self):
        host.plug_cable(self.number, False)

    def plug(self):
        host.plug_cable(self.number, True)

    def pause(self):
        host.qmp(self.directory, "stop")

    def resume(self):
        host.qmp(self.directory, "cont")

    def reset(self):
        """As by a power cut: nothing is written to the disk any more."""
        self.start_again(lambda: host.qmp(self.directory, "system_reset"))

    def reboot(self):
        self.start_again(lambda: self.run("systemctl start reboot.target --no-block "
                                          "--job-mode=replace-irreversibly"))

    def start_again(self, act):
        question = "cat /proc/sys/kernel/random/boot_id"
        boot = self.run(question)
        act()
        end = time.monotonic() + PATIENCE * 240
        while True:
            try:  # not for long: a question that goes down with the machine has no answer
                if self.run(question, timeout=2) != boot:
                    break
            except (Gone, Failed):
                pass
            if time.monotonic() > end:
                raise Failed(self.name + " does not boot again")
            time.sleep(0.2)
        self.await_boot()

    def set_clock(self, offset_ms):
        """CLOCK_REALTIME becomes the host's plus that; frequency, tick and status as after boot."""
        self.truth.set_clock(self.number, offset_ms)

    def end(self):
        for channel in self.channels:
            channel.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
