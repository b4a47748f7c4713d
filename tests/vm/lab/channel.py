# SPDX-License-Identifier: BSD-2-Clause
"""How a command gets into a virtual machine: guest/agent.c, over a virtio-serial port."""

import math
import os
import socket
import threading

ANSWER_S = 5
LATE_S = 20  # after a command's timeout, by when the agent has ended it


class Gone(Exception):
    """Nobody answers in the machine."""


class Channel:
    """One port of a machine, for one command at a time, connected as long as the machine is."""

    def __init__(self, path):
        self.busy = threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def run(self, command, stdin, timeout):
        """(status, output, errors) of a command; bytes; status 124 after the timeout."""
        self.synchronise(ANSWER_S)
        text = command.encode()
        head = "RUN %d %d %d\n" % (math.ceil(timeout), len(text), len(stdin))
        self.socket.settimeout(timeout + LATE_S)
        try:
            self.socket.sendall(head.encode() + text + stdin)
            status, output, errors = map(int, self.line().split()[1:])
            return status, self.take(output), self.take(errors)
        except socket.timeout:
            raise Gone("no end of: " + command) from None

    def synchronise(self, timeout):
        """Skips what an earlier command left behind; the agent may only just be starting."""
        token = os.urandom(8).hex().encode()
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(b"\nSYNC %s\n" % token)
            while b"SYNCED %s\n" % token not in self.buffer:
                self.fill()
        except socket.timeout:
            raise Gone("no answer") from None
        self.buffer = self.buffer.split(b"SYNCED %s\n" % token, 1)[1]

    def fill(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise Gone("the machine has ended")
        self.buffer += got

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def take(self, size):
        while len(self.buffer) < size:
            self.fill()
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken
