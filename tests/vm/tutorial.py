#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/tutorial.md says, done: a server and an edge 14 ms apart, each in a network of its own.

  tutorial.py ROOT FOLDER      FOLDER: with the packages

Runs inside tests/vm/vm.sh with SE_VM_INIT=systemd, and changes the machine that it runs on. Blocks of
the page whose first line says "sh server", "sh edge" or "sh watch" are typed there, in their order;
what a chat says comes from the block behind it. Of what cannot be typed here, building, the packages
in FOLDER take the place, and root has no need of sudo. At the end stands what was typed and shown, as a
page, behind a line "-- transcript": nothing that is written here outlives the machine.
"""
import os
import re
import shutil
import subprocess
import sys
import time

HOME = '/tmp/tutorial-alice'
NOTE = '''# What the tutorial showed

[The tutorial](tutorial.md), typed by `tools/dev vm-test tutorial` on a machine of QEMU's with systemd: the server in its
network, the edge in another, 7 ms away in each direction (netem). The processors are %s, so the rates are not those of
a real machine. `sudo` is left out: the machine has one user.
'''
# A port where nobody listens says so after one way there and back.
KNOCK = '''
import socket, time
took = []
for _ in range(5):
    began = time.monotonic()
    socket.socket().connect_ex(("server", 9))
    took.append(time.monotonic() - began)
print("%.1f" % (1e3 * min(took)))
'''
LONG = 240 # characters of a line that are shown
faults = []
began = time.monotonic()


def fault(text, *values):
    faults.append(text % values)
    print('  FAILED   ' + faults[-1], flush=True)


def ok(text, *values):
    print('  ok       %s: %.1f s' % (text % values, time.monotonic() - began), flush=True)


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def lay_cable():
    """Two ends of a cable, one of them in another network: 14 ms there and back."""
    run('ip', 'netns', 'add', 'edge')
    run('ip', 'link', 'add', 'to-edge', 'type', 'veth', 'peer', 'name', 'to-server')
    run('ip', 'link', 'set', 'to-server', 'netns', 'edge')
    inside = ['ip', 'netns', 'exec', 'edge']
    for prefix, device, address in [([], 'to-edge', '10.88.0.1/24'), (inside, 'to-server', '10.88.0.2/24')]:
        run(*prefix, 'ip', 'addr', 'add', address, 'dev', device)
        run(*prefix, 'ip', 'link', 'set', device, 'up')
        run(*prefix, 'tc', 'qdisc', 'add', 'dev', device, 'root', 'netem', 'delay', '7ms')
    run(*inside, 'ip', 'link', 'set', 'lo', 'up')
    with open('/etc/hosts', 'a', encoding='ascii') as file:
        file.write('10.88.0.1 server\n')
    out = run(*inside, sys.executable, '-c', KNOCK, capture_output=True, text=True).stdout
    return float(out)


def blocks_of(page):
    """(words behind the first fence, lines) of each block."""
    with open(page, encoding='utf-8') as file:
        return [(words.split(), text) for words, text in re.findall(r'^```(.*?)\n(.*?)^```$', file.read(), re.M | re.S)]


class Walk:
    def __init__(self):
        self.env = dict(os.environ, HOME=HOME, LC_ALL='C.UTF-8', TERM='xterm')
        self.said = []
        os.makedirs(HOME, exist_ok=True)

    def note(self, where, typed, shown):
        shown = '\n'.join(line.rstrip() if len(line) < LONG else line[:LONG] + ' ...' for line in shown.splitlines())
        self.said += ['', '## On the ' + where if where else '', '', '```', typed.rstrip('\n'), shown.rstrip('\n'), '```']

    def shell(self, where, text):
        """A shell there: its output and exit status."""
        script = 'sudo() { "$@"; }; set -e\n' + text
        prefix = ['ip', 'netns', 'exec', 'edge'] if where == 'edge' else []
        done = subprocess.run([*prefix, 'bash', '-c', script], env=self.env, text=True, timeout=600, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout

    def learn_keys(self, shown):
        """What people copy by hand."""
        for line in re.findall(r'^([A-Za-z0-9_-]{43} \S+)$', shown, re.M):
            key, name = line.split()
            if name == 'server':
                self.env['SERVER'] = key
            elif name == 'alice':
                self.env['ALICE'] = line

    def type(self, where, text, fails=False):
        code, shown = self.shell(where, text)
        self.learn_keys(shown)
        typed = '$ ' + text.rstrip('\n').replace('sudo ', '')
        self.note(where, typed, shown)
        first = text.split('\n', 1)[0][:60]
        if (code != 0) != fails:
            fault('%s: %s: exit code %d:\n%s', where, first, code, shown)
        else:
            ok('%s: %s', where, first)
        return shown


class Tmux:
    """A terminal that can be looked at."""

    def __init__(self, name, command, env, columns, lines):
        self.name = name
        run('tmux', '-L', 'tutorial', 'new-session', '-d', '-s', name, '-x', str(columns), '-y', str(lines),
            'bash', '-c', command, env=env)

    def screen(self):
        done = subprocess.run(['tmux', '-L', 'tutorial', 'capture-pane', '-p', '-S', '-200', '-t', self.name],
                              text=True, capture_output=True, check=False)
        return '\n'.join(line.rstrip() for line in done.stdout.splitlines()).rstrip('\n')

    def type(self, *keys):
        run('tmux', '-L', 'tutorial', 'send-keys', '-t', self.name, *keys)

    def wait_for(self, pattern, seconds=240):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            screen = self.screen()
            if re.search(pattern, screen):
                return screen
            time.sleep(0.2)
        fault('no %r on the screen:\n%s', pattern, self.screen())
        return self.screen()

    def ended(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if subprocess.run(['tmux', '-L', 'tutorial', 'has-session', '-t', self.name], check=False,
                              capture_output=True).returncode:
                return True
            time.sleep(0.2)
        return False


def command_of(text):
    return text.replace('sudo ', '').rstrip('\n')


def walk_on(walk, blocks):
    chat, typed = None, ''
    while blocks:
        words, text = blocks.pop(0)
        if words[:2] == ['sh', 'edge'] and 'chat' in words:
            typed = blocks.pop(0)[1].splitlines()
            chat = Tmux('chat', 'exec ip netns exec edge ' + command_of(text), walk.env, 100, 40)
            chat.wait_for(r'(?:^|\n)>\Z') # blanks at the ends of lines are gone
            chat.type('-l', typed[0])
            chat.type('Enter')
            screen = chat.wait_for(r'(?s)\n> \S.*\n>\Z')
            walk.note('edge', '$ ' + command_of(text), screen)
            ok('edge: a chat')
        elif words[:2] == ['sh', 'watch']:
            chat.type('-l', typed[1])
            chat.type('Enter')
            watch = Tmux('watch', 'exec ' + command_of(text), walk.env, 80, 24)
            screen = watch.wait_for(r'alice(?s:.*)(step|waits|idle|prompt)')
            time.sleep(3)
            screen = watch.screen()
            watch.type('q')
            if not watch.ended(10):
                fault('se-top does not leave')
            walk.note('server, in a third terminal', '$ ' + command_of(text), screen)
            ok('server: a look at it meanwhile')
            chat.wait_for(r'(?s)\n> \S.*\n> \S.*\n>\Z')
            chat.type('C-d')
            if not chat.ended(20):
                fault('the chat does not end')
        elif words[:1] == ['sh'] and len(words) > 1:
            shown = walk.type(words[1], text, 'fails' in words)
            if 'fails' in words and 'revoked' not in shown:
                fault('who is revoked is told %s', shown)
            if 'systemctl status' in text and 'active (running)' not in shown:
                fault('the server is not active:\n%s', shown)


def is_emulated():
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as file:
        return 'QEMU' in file.read()


def main():
    root, folder = sys.argv[1], sys.argv[2]
    if not os.path.isdir('/run/vm') or not os.path.isdir('/run/systemd/system'):
        print('skipped: this runs inside tests/vm/vm.sh, with SE_VM_INIT=systemd')
        return 77
    if not shutil.which('tmux'):
        print('skipped: there is no tmux; on Debian: apt-get install tmux')
        return 77
    if os.path.exists('/var/lib/man-db/auto-update'): # an index of all manual pages takes minutes here
        os.remove('/var/lib/man-db/auto-update')
    packages = [os.path.join(folder, n) for n in os.listdir(folder) if re.match(r'specedge(-doc)?_.*\.deb$', n)]
    run('dpkg', '-i', *packages, stdout=subprocess.DEVNULL)
    ok('%d packages', len(packages))
    trip_ms = lay_cable()
    if not 14 <= trip_ms < 30:
        fault('there and back are %.1f ms, not 14', trip_ms)
    ok('a cable, there and back: %.1f ms', trip_ms)
    walk = Walk()
    blocks = blocks_of(os.path.join(root, 'docs/tutorial.md'))
    assert sum(words[:1] == ['sh'] and len(words) > 1 for words, _ in blocks) > 8, 'the page has no blocks'
    walk_on(walk, blocks)
    code, shown = walk.shell('server', 'se-top --json --once | head -c 300; journalctl -u se-serverd -o cat | tail -n 20')
    if code or 'alice' not in shown:
        fault('the journal does not tell of alice:\n%s', shown)
    walk.note('server: what its journal has', '$ journalctl -u se-serverd -o cat | tail -n 20', shown.split('\n', 1)[-1])
    print('%d failed' % len(faults))
    print('-- transcript')
    print(NOTE % ('emulated' if is_emulated() else 'shared') + '\n'.join(walk.said))
    return 1 if faults else 0


sys.exit(main())
