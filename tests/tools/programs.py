# SPDX-License-Identifier: Apache-2.0
"""se-serverd, se-run and se-model as a test with many of them at once needs them (asyncio)."""
import asyncio
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import struct
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPTS = ROOT / 'models/prompts.jsonl'


class Fault(Exception):
    """What should not be."""


async def until(condition, seconds, what):
    """Asks again and again; the pause grows, so that a busy machine is not made busier."""
    deadline, pause = time.monotonic() + seconds, 0.002
    while not condition():
        if time.monotonic() > deadline:
            raise Fault('%s: not within %g s' % (what, seconds))
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def tail(path, lines=12):
    try:
        return ''.join(open(path, errors='replace').readlines()[-lines:])
    except OSError:
        return ''


def quiet_port():
    """One of 127.0.0.1 that is free and stays it: below those that the kernel gives to whoever
    connects, an edge that tries again and again among them. With one of those, it would happen that
    a server that was killed finds its port taken when it comes back."""
    first = int(open('/proc/sys/net/ipv4/ip_local_port_range').read().split()[0])
    for _ in range(100):
        port = random.SystemRandom().randrange(5000, max(first, 10000))
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue
    return 0


class Server:
    """se-serverd, which may be ended and started again at the same addresses."""
    started = 0

    def __init__(self, tools, work, options, patience=60):
        Server.started += 1
        self.name = 'server%d' % Server.started
        self.stat = 'exact.%d.%d' % (os.getpid(), Server.started)
        self.program, self.options, self.patience = tools / 'se-serverd', options, patience
        self.log = work / (self.name + '.log')
        self.url = {'tcp': 'tcp://127.0.0.1:%d' % quiet_port(),
                    'ipc': 'ipc://%s/%s.ipc' % (work, self.name),
                    'shm': 'shm://%s/%s.shm' % (work, self.name)}
        self.process = None
        self.starts = 0

    def command(self):
        return [str(self.program), '--listen', ','.join(self.url.values()), '--stat', self.stat,
                *self.options]

    def port(self):
        return int(self.url['tcp'].rpartition(':')[2])

    def _listens(self):
        return 'listening on' in tail(self.log) or self.process.returncode is not None

    async def start(self):
        self.starts += 1
        with open(self.log, 'wb') as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)
        await until(self._listens, self.patience, 'a server that listens')
        if self.process.returncode is not None:
            raise Fault('the server ended with %d at its start' % self.process.returncode)
        urls = re.search(r': listening on (.*)', self.log.read_text()).group(1)
        self.url['tcp'] = urls.split(',')[0]

    def context(self):
        """Tokens that a text may come to."""
        return int(re.search(r'texts of up to (\d+) tokens', self.log.read_text()).group(1))

    async def kill(self):
        self.process.kill()
        await self.process.wait()

    def leaves_behind(self):
        """Sockets and pages, when it is killed."""
        page = '/dev/shm/' + self.stat
        return self.url['ipc'][6:], self.url['shm'][6:], page, page + '.sessions'

    async def leave(self):
        """In good order: 0, and nothing is left behind."""
        if self.process.returncode is not None:
            raise Fault('the server ended with %d by itself' % self.process.returncode)
        self.process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), self.patience)
        except asyncio.TimeoutError:
            raise Fault('the server does not leave within %g s' % self.patience) from None
        if code != 0:
            raise Fault('the server left with %d' % code)
        for path in self.leaves_behind():
            if os.path.exists(path):
                raise Fault('the server left %s behind' % path)

    def counters(self):
        """The page of counters (runtime/base/stat.h), name by name."""
        page = open('/dev/shm/' + self.stat, 'rb').read()
        if page[:7] != b'SE-STAT':
            raise Fault('%s is no page of counters' % self.stat)
        n, = struct.unpack_from('<I', page, 12)
        names = [page[64 + 64 * i:64 + 64 * i + 56].rstrip(b'\0').decode() for i in range(n)]
        return {name: struct.unpack_from('<Q', page, 64 + 64 * (n + i))[0]
                for i, name in enumerate(names)}

    def idle(self):
        """Nobody is there, and nothing is held for anybody."""
        c = self.counters()
        return c['sessions'] == c['peers'] == 0 and c['kv_pages_free'] == c['kv_pages']

    def footprint(self):
        """Bytes in memory, open descriptors and threads."""
        proc = '/proc/%d/' % self.process.pid
        status = open(proc + 'status').read()
        number = lambda key: int(re.search(key + r':\s*(\d+)', status).group(1))
        return {'rss_kb': number('VmRSS'), 'fds': len(os.listdir(proc + 'fd')),
                'threads': number('Threads')}

    async def remove(self):
        """Whatever became of it."""
        if self.process is not None and self.process.returncode is None:
            await self.kill()
        for path in self.leaves_behind():
            pathlib.Path(path).unlink(missing_ok=True)


class Edge:
    """se-run, whose ids are counted as they come."""

    def __init__(self, tools, options, environment=None, says=None):
        self.command = [str(tools / 'se-run'), *options]
        self.environment = environment or {}
        self.says = says # lines of a chat, all at once, or None
        self.out, self.err, self.tokens = b'', b'', 0
        self.code = None
        self.process = None
        self.progress = lambda: None # called when there are more tokens

    def shown_command(self):
        words = ['%s=%s' % pair for pair in self.environment.items()] + self.command
        said = "printf '%s\\n' " + shlex.join(self.says) + ' | ' if self.says else ''
        return said + shlex.join(words)

    async def _read_ids(self):
        while data := await self.process.stdout.read(1 << 16):
            self.out += data
            self.tokens = len(self.out.split())
            self.progress()

    async def _read_words(self):
        while data := await self.process.stderr.read(1 << 16):
            self.err += data

    async def run(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.PIPE if self.says else asyncio.subprocess.DEVNULL,
            env={**os.environ, **self.environment})
        if self.says: # far less than a pipe holds
            self.process.stdin.write(''.join(line + '\n' for line in self.says).encode())
            self.process.stdin.close()
        await asyncio.gather(self._read_ids(), self._read_words())
        self.code = await self.process.wait()
        self.progress()

    def signal(self, number):
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    def answers(self):
        """One list of ids for each line; the last may be a piece of one."""
        lines = self.out.decode().split('\n')
        if lines[-1] == '':
            lines.pop()
        return [[int(word) for word in line.split()] for line in lines]


class Expected:
    """What the target writes when nobody drafts: se-model, once for each text; for a conversation,
    se-run alone."""

    def __init__(self, tools, patience=60):
        self.tools, self.patience = tools, patience
        self.known = {}
        self.turns = asyncio.Semaphore(os.cpu_count() or 1)
        import json
        self.prompts = [json.loads(line)['prompt'] for line in open(PROMPTS)]

    async def _ask(self, *words):
        async with self.turns:
            process = await asyncio.create_subprocess_exec(
                str(self.tools / 'se-model'), *words, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
            out, err = await asyncio.wait_for(process.communicate(), self.patience)
        if process.returncode != 0:
            raise Fault('se-model %s: %s' % (' '.join(words), err.decode()))
        return [int(word) for word in out.split()]

    def _once(self, *words):
        if words not in self.known:
            self.known[words] = asyncio.ensure_future(self._ask(*words))
        return self.known[words]

    async def prompt(self, target, number):
        return await self._once('tokenize', str(target), '--text', self.prompts[number])

    async def answer(self, target, number, n, options):
        """At least n ids, or as many as there are."""
        n = next(size for size in (16, 64, 160, 1 << 20) if size >= n)
        return await self._once('generate', str(target), '-p', self.prompts[number], '-n', str(n),
                                '--ids-out', '--threads', '1', *options)

    async def chat(self, target, lines, n, options):
        """The answers to a conversation in one process, where nobody drafts and nothing breaks."""
        key = (target, *lines, n, *options)
        if key not in self.known:
            edge = Edge(self.tools, ['--local', '--model', str(target), '--target-threads', '1', '-i',
                                     '-n', str(n), '--ids-out', '--quiet', *options], None, lines)
            self.known[key] = asyncio.ensure_future(self._chat(edge))
        return await self.known[key]

    async def _chat(self, edge):
        async with self.turns:
            await asyncio.wait_for(edge.run(), self.patience)
        if edge.code != 0:
            raise Fault('%s: %d, %s' % (edge.shown_command(), edge.code, edge.err.decode()))
        return edge.answers()
