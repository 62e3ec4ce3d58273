# SPDX-License-Identifier: Apache-2.0
"""A program at a terminal of its own, and what it shows there. For tests of what users do."""
import os
import pty
import re
import select
import signal
import struct
import fcntl
import termios
import time

DEADLINE_S = 60 # of each wait; generous to slow machines


class Terminal:
    def __init__(self, argv, environment):
        self.shown = '' # since the last thing that was waited for
        self.whole = ''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 200, 0, 0))

    def _read(self, seconds):
        """Whether something came."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError: # the other side is closed
            return False
        text = data.decode(errors='replace')
        self.shown += text
        self.whole += text
        return bool(data)

    def wait_for(self, pattern):
        """Until the pattern is there; what comes after it is kept for the next wait. The match."""
        end = time.monotonic() + DEADLINE_S
        while True:
            found = re.search(pattern, self.shown)
            if found:
                self.shown = self.shown[found.end():]
                return found
            left = end - time.monotonic()
            if left <= 0 or (not self._read(left) and self.ended()):
                raise AssertionError('no %r in what is shown:\n%s' % (pattern, self.whole))

    def wait_for_keys(self):
        """Until the program reads each key by itself: what is typed before is shown twice."""
        end = time.monotonic() + DEADLINE_S
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            if time.monotonic() > end:
                raise AssertionError('it does not read keys:\n%s' % self.whole)
            self._read(0.01)

    def type(self, text):
        os.write(self.fd, text.encode())

    def ended(self):
        """Whether there is nothing more to read."""
        return not select.select([self.fd], [], [], 0)[0] or not self._read(0)

    def finish(self):
        """Reads to the end; the exit code, -N for a signal."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            self._read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self._read(0):
                    pass
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError('it does not end:\n%s' % self.whole)
