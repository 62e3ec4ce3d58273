#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""se-top as its user sees it at a terminal: keys, sizes, a server that is killed and comes back.

  top.py SE_TOP SE_SERVERD ROOT WORK NAME

WORK is a folder for this run alone, NAME a page of counters that nobody else has.
"""
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal

DOWN, TAB, ESCAPE = '\x1bOB', '\t', '\x1b'
COLOR = re.compile(r'\x1b\[[0-9;]*3[0-9]')


class Top(Terminal):
    def __init__(self, program, name, *more, **variables):
        environment = dict(os.environ, TERM='xterm', LC_ALL='C.UTF-8', **variables)
        if 'NO_COLOR' not in variables:
            environment.pop('NO_COLOR', None)
        super().__init__([program, '--stat', name, '-d', '0.1'] + list(more), environment)
        self.resize(24, 80)

    def resize(self, lines, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack('HHHH', lines, columns, 0, 0))
        os.kill(self.pid, signal.SIGWINCH)

    def leaves(self, code):
        assert self.finish() == code
        assert '\x1b[?1049l' in self.whole, 'the screen is not given back'
        assert '\x1b[?25h' in self.whole or '\x1b[?12l\x1b[?25h' in self.whole, 'no cursor'


def start(serverd, root, work, name):
    log = open(work + '/log', 'w+')
    server = subprocess.Popen([serverd, '-m', root + '/models/tales-draft', '--threads', '1',
                               '--listen', 'ipc://' + work + '/socket', '--stat', name],
                              stderr=log, stdin=subprocess.DEVNULL)
    while 'listening on' not in open(work + '/log').read():
        assert server.poll() is None, open(work + '/log').read()
    return server


def comes_and_goes(program, serverd, root, work, name):
    top = Top(program, name)
    top.wait_for('waiting for a server named ' + name)
    server = start(serverd, root, work, name)
    # A look between its two pages finds the counters alone, and the rest is drawn later.
    top.wait_for('(?s)ipc://.*session edge|session edge.*ipc://')
    server.send_signal(signal.SIGKILL) # its pages stay behind
    server.wait()
    top.wait_for('waiting for a server named ' + name)
    server = start(serverd, root, work, name)
    top.wait_for('sessions')
    top.resize(50, 200)
    top.wait_for('tokens silent') # columns for which there was no room
    top.resize(24, 80)
    top.type('h')
    top.wait_for('next server')
    top.wait_for('tokens of a round, lately')
    top.type('h')
    top.wait_for('session edge')
    top.type('p')
    top.wait_for('PAUSED')
    top.type('/zz')
    top.wait_for('filter:')
    top.wait_for('z_') # what is shown already is not drawn again
    top.type('\r')
    top.wait_for(r'\[zz\]')
    top.type('>')
    top.wait_for('ify')
    top.type(DOWN + TAB + 'r\rq')
    top.leaves(0)
    return server


def is_interrupted(program, name):
    top = Top(program, name)
    top.wait_for('q quit')
    top.type('\x03')
    top.leaves(130)


def has_no_colours(program, name):
    for top in (Top(program, name, '--no-colour'), Top(program, name, NO_COLOR='1')):
        top.wait_for('q quit')
        top.type('q')
        top.leaves(0)
        assert not COLOR.search(top.whole), top.whole


def main():
    program, serverd, root, work, name = sys.argv[1:]
    server = comes_and_goes(program, serverd, root, work, name)
    try:
        is_interrupted(program, name)
        has_no_colours(program, name)
    finally:
        server.terminate()
        server.wait()


main()
