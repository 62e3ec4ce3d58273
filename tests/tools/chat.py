#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""se-run as its user sees it at a terminal: turns, Ctrl-C, commands, lines called back.

  chat.py SE_RUN ROOT WORK EDITS

WORK is a folder for this run alone; EDITS is yes where libedit is built in.
"""
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal

UP, CTRL_C, CTRL_D = '\x1b[A', '\x03', '\x04'
DRAFTED = '\x1b\\[32m' # as a pattern


class Chat(Terminal):
    def __init__(self, program, root, work, edits, *more):
        environment = dict(os.environ, XDG_STATE_HOME=os.path.join(work, 'state'), HOME=work,
                           TERM='xterm', LC_ALL='C.UTF-8')
        environment.pop('NO_COLOR', None)
        self.edits = edits
        super().__init__([program, '--local', '-m', root + '/models/tales-target', '-d',
                          root + '/models/tales-draft', '--temp', '0.7', '--seed', '5'] +
                         list(more), environment)

    def prompt(self):
        '''Waits for it; what is shown before it.'''
        shown = self.wait_for(r'(?s)(.*?)(\r?\n)?> \Z').group(1)
        if self.edits:
            self.wait_for_keys()
        return shown

    def say(self, text):
        '''One line; what it is answered.'''
        self.type(text + '\r')
        self.wait_for(r'\r\n')
        return self.prompt()


def talks(*how):
    chat = Chat(*how, '-n', '24', '--color', 'never')
    chat.wait_for('/help')
    chat.prompt()
    first = chat.say('There was once a fox.')
    assert len(first.strip()) > 10, first
    second = chat.say('And then?')
    assert second.strip() and second != first, second
    assert 'no command "/nonsense"' in chat.say('/nonsense')
    assert '/reset' in chat.say('/help')
    assert 'tokens per verify' in chat.say('/stats')
    assert chat.say('/reset') == ''
    assert chat.say('There was once a fox.') == first, 'the same beginning, another text'
    assert "temp: 'warm' is not a number" in chat.say('/temp warm')
    chat.say('/seed 6')
    chat.say('/reset')
    assert chat.say('There was once a fox.') != first, 'another seed, the same text'
    chat.say('/seed 5')
    chat.say('/reset')
    assert chat.say('There was once a fox.') == first, 'the first seed again, another text'
    if chat.edits:
        chat.say('/reset')
        chat.type(UP + UP) # the line before /reset
        chat.wait_for(r'There was once a fox\.')
        assert chat.say('') == first, 'a line that was called back, another text'
    chat.type('/quit\r')
    assert chat.finish() == 0
    assert 'tokens per verify' in chat.shown, 'no summary at the end'
    return first


def is_interrupted(*how):
    chat = Chat(*how, '-n', '100000', '--ignore-eos', '--color', 'always', '--speculate', 'on',
                '--depth', 'fixed', '--max-beam-len', '3')
    chat.prompt()
    chat.type('half a line')
    chat.wait_for('half a line')
    # libedit shows a key and then reads on: a Ctrl-C in between would void the line at the next key.
    time.sleep(0.2)
    chat.type(CTRL_C) # voids the line
    chat.prompt()
    for line in 'There was once a fox.', 'And then?':
        chat.type(line + '\r')
        chat.wait_for(DRAFTED) # an answer goes on, and some of it was drafted
        chat.type(CTRL_C)
        chat.prompt()
    chat.type(CTRL_D)
    assert chat.finish() == 0


def remembers(first, work, *how):
    '''Lines of the run before last, in a file that is the user's alone.'''
    path = os.path.join(work, 'state', 'specedge', 'se-run.history')
    assert os.stat(path).st_mode & 0o077 == 0, oct(os.stat(path).st_mode)
    chat = Chat(*how, '-n', '24', '--color', 'never', '--quiet')
    chat.prompt()
    chat.type(UP)
    chat.wait_for(r'And then\?')
    chat.type(UP)
    chat.wait_for(r'There was once a fox\.')
    assert chat.say('') == first
    chat.type(CTRL_D)
    assert chat.finish() == 0


def main():
    program, root, work, edits = sys.argv[1:]
    how = program, root, work, edits == 'yes'
    first = talks(*how)
    is_interrupted(*how)
    if edits == 'yes':
        remembers(first, work, *how)
    print('a chat at the terminal is as it should be')


main()
