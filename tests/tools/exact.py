#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The text is the same whoever drafted it: real programs, sockets and models, held against se-model.

  exact.py [--tools DIR] --short [--seconds N] [--seed N]   each fault once, then at random
  exact.py [--tools DIR] --long MINUTES [--seed N]          at random, and is the server as before?
  exact.py [--tools DIR] --cell 'seed=7 fault=kill edges=2' one cell again

A cell is a server, some edges that ask it at once, and something that goes wrong. All of it is
drawn from the cell's seed, each choice by itself, so that one can be set (fault=kill; temp=0 of all
edges, e1.temp=0 of one) and the others stay what they were. The tables below are all there is to
draw from. Every fault is printed with the command that repeats it. Exit status 0, 1, or 77 when
this build has no ZeroMQ.
"""
import argparse
import asyncio
import collections
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from programs import PROMPTS, ROOT, Edge, Expected, Fault, Server, tail, until
from proxy import Proxy

# What there is to draw from: "value*weight value ...".
FAULTS = 'none*6 lossy*3 kill*2 other drain*2 cut*2 reset away stall delay dead*2 interrupt evict*2 crowd*2'
TRANSPORTS = {'none': 'tcp*2 ipc*2 shm*2 local', 'lossy': 'tcp ipc shm local', 'cut': 'tcp',
              'reset': 'tcp', 'away': 'tcp', 'stall': 'tcp', 'delay': 'tcp'}
TRANSPORTS_ELSE = 'tcp ipc shm'
RESIDENT = 'none lossy cut reset away stall delay dead interrupt'.split()
CELL = {
    'edges': '1*3 2*3 3*2 4*2 8 16',
    'server': 'resident*2 own', # one for many cells, or one for this
    'events': '1*2 2 3',        # how often the fault comes
    'down': '0*3 0.1 0.5',      # seconds that it lasts
}
SERVER = { # options of se-serverd that is the cell's own
    'policy': 'pipeline dynamic static',
    'max-rows': '256*2 160',
    'max-nodes': '128*3 24',
    'max-batch': '64*3 1 2',
    'wait': '20ms*2 1ms',
    'threads': '2 1',
    'weights': 'stored*3 q8',
    'tp': '1*5 2', # ranks: what is expected is computed with as many
    'idle': 'park*4 yield',
    'target': 'tales-target*6 padded-target',
}
EDGE = {
    'draft': 'tales-draft*5 tales-target random padded ngram none',
    'temp': '0 0.7*2 1.0',
    'noise': '1 2 3', # --seed
    'kept': 'all*4 top-k top-p min-p',
    'asks': 'prompts*5 chat',
    'prompts': '1*3 2 3', # or turns
    'n': '1 8 16*2 40*3 64*2 128',
    'after': '0*4 10 40',      # tokens of all edges before this one begins
    'context': '0*7 100 160',
    'end': 'eos*2 ignored',
    'check': 'no*4 yes',       # --check-draft
    'gives': 'ids*3 records',  # --result as well
}
EDGE_OPTIONS = { # of se-run, as they are
    'proactive': 'disabled excluded*2 included',
    'shape': 'learned*2 published',
    'depth': 'learned*3 matched fixed*2',
    'speculate': 'auto*2 on*3 off',
    'coupling': '2*3 0',
    'max-budget': '64*2 32*2 8 1',
    'max-branch-width': '16*3 4 1', # 1: a chain
    'max-beam-len': '16*2 8 4 1',
    'max-n-beams': '32*2 8',
    'retry': '2s*2 200ms',
}
KEPT = {'all': [], 'top-k': ['--top-k', '20'], 'top-p': ['--top-p', '0.9'],
        'min-p': ['--min-p', '0.05']}
SIZES = {'kv-mem': '1600K 2M 3M', 'max-sessions': '1 2 3'}

# One of each fault, for every run.
FIXED = [
    'seed=1 fault=none server=own edges=4 transport=tcp speculate=on check=yes',
    'seed=2 fault=none edges=2 transport=local draft=tales-draft',
    'seed=3 fault=lossy edges=3 transport=tcp speculate=on retry=200ms',
    'seed=4 fault=kill edges=3 events=2 transport=tcp temp=0.7 n=40',
    'seed=5 fault=kill edges=2 events=1 transport=shm n=40',
    'seed=6 fault=drain edges=3 events=1 transport=ipc n=40',
    'seed=7 fault=cut edges=3 events=3 n=40',
    'seed=8 fault=reset edges=2 events=2 n=40',
    'seed=9 fault=stall edges=2 events=2 down=0.1 n=40',
    'seed=10 fault=delay edges=2 n=16',
    'seed=11 fault=dead edges=4 events=2 transport=shm n=40',
    'seed=12 fault=evict edges=4 n=64',
    'seed=13 fault=crowd edges=4 max-sessions=1 n=16',
    'seed=14 fault=away edges=2 events=2 n=40',
    'seed=15 fault=interrupt edges=3 events=1 n=40',
    'seed=16 fault=none server=own transport=tcp edges=3 target=padded-target e0.draft=padded speculate=on temp=1.0',
    'seed=17 fault=other edges=3 events=3 transport=ipc speculate=on max-nodes=128 n=64',
    'seed=18 fault=none server=own edges=4 transport=tcp speculate=on temp=1.0 tp=2',
    'seed=19 fault=kill edges=3 events=2 transport=shm n=40 tp=2',
    'seed=20 fault=none edges=2 transport=local draft=tales-draft tp=2',
]
# As much as a server ever has at once.
CROWDED = ('seed=%d fault=none server=resident policy=%s edges=16 asks=prompts prompts=1 n=128 after=0 '
           'context=0 end=ignored')
# A build whose checks make it slow, on a machine that is busy, may do nothing for long; a hang
# does it longer.
PATIENCE = 180
IDLE = 90 # seconds until a server that nobody uses knows it


def weighed(options):
    """'a*2 b' as [a, a, b]"""
    values = []
    for word in options.split():
        value, _, weight = word.partition('*')
        values += [value] * int(weight or 1)
    return values


class Draw:
    """The choices of one cell, by name: what was given, else what the seed says."""

    def __init__(self, text):
        self.given = dict(word.split('=', 1) for word in text.split())
        self.seed = self.given.get('seed', '0')
        self.text = text
        self.asked = {'seed'}
        self.drawn = []

    def rng(self, key):
        return random.Random('%s/%s' % (self.seed, key))

    def of(self, key, options, edge=None):
        own = key if edge is None else 'e%d.%s' % (edge, key)
        self.asked |= {own, key}
        value = self.given.get(own, self.given.get(key))
        if value is None:
            value = self.rng(own).choice(weighed(options))
        self.drawn.append((key, value))
        return value

    def check(self):
        unknown = [key for key in self.given if key not in self.asked]
        if unknown:
            raise SystemExit('exact.py: a cell knows no %s' % ', '.join(unknown))


# ---- the models

def pad(source, out, more, rng):
    """The same model with a larger vocabulary, as many are padded; what is added means nothing."""
    shutil.copytree(source, out)
    config = json.loads((out / 'config.json').read_text())
    path = out / 'model.safetensors'
    data = path.read_bytes()
    n, = struct.unpack_from('<Q', data)
    header, data = json.loads(data[8:8 + n]), data[8 + n:]
    name = next(name for name in header if 'embed_tokens' in name)
    begin, end = header[name]['data_offsets']
    rows, width = header[name]['shape']
    # BF16 of about the size of the others, often larger: they are to be guessed now and then.
    extra = b''.join(struct.pack('<f', rng.gauss(0, 0.08))[2:] for _ in range(more * width))
    data = data[:end] + extra + data[end:]
    for tensor in header:
        if tensor != '__metadata__' and header[tensor]['data_offsets'][0] >= end:
            header[tensor]['data_offsets'] = [at + len(extra) for at in
                                              header[tensor]['data_offsets']]
    header[name].update(shape=[rows + more, width], data_offsets=[begin, end + len(extra)])
    config['vocab_size'] = rows + more
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)
    (out / 'config.json').write_text(json.dumps(config))


def make_random(tools, like, out):
    """Noise of the same shape, with the same tokenizer."""
    subprocess.run([tools / 'se-model', 'random', out, '--config', like / 'config.json', '--seed',
                    '5'], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json':
        if (like / name).exists():
            shutil.copy(like / name, out / name)


class World:
    """What the cells share."""

    def __init__(self, tools, work, patience):
        self.tools, self.work, self.patience = tools, work, patience
        self.expected = Expected(tools, patience)
        self.resident = {} # by policy
        self.first = {}    # their footprints, once they have worked a while
        self.models = {name: ROOT / 'models' / name for name in ('tales-target', 'tales-draft')}
        self.models['random'] = work / 'random'
        self.models['padded'] = work / 'padded'
        self.models['padded-target'] = work / 'padded-target'
        make_random(tools, self.models['tales-draft'], self.models['random'])
        pad(self.models['tales-draft'], self.models['padded'], 64, random.Random(1))
        pad(self.models['tales-target'], self.models['padded-target'], 96, random.Random(2))

    async def server(self, policy):
        """One that stays."""
        if policy not in self.resident:
            self.resident[policy] = asyncio.ensure_future(self._start(policy))
        return await self.resident[policy]

    async def _start(self, policy):
        server = Server(self.tools, self.work,
                        ['--model', str(self.models['tales-target']), '--policy', policy,
                         '--park', '2s'], self.patience)
        await server.start()
        return server

    async def residents(self):
        return [await each for each in self.resident.values()]

    async def remove(self):
        for each in self.resident.values():
            if each.done() and not each.cancelled() and not each.exception():
                await each.result().remove()


# ---- a cell

class Cell:
    def __init__(self, world, text):
        self.world, self.draw = world, Draw(text)
        self.fault = self.draw.of('fault', FAULTS)
        self.transport = self.draw.of('transport', TRANSPORTS.get(self.fault, TRANSPORTS_ELSE))
        self.n_edges = int(self.draw.of('edges', CELL['edges']))
        self.events = int(self.draw.of('events', CELL['events']))
        self.down = float(self.draw.of('down', CELL['down']))
        if self.transport == 'local':
            self.n_edges = min(self.n_edges, 2)
        if self.fault in ('crowd', 'evict', 'dead', 'interrupt'):
            self.n_edges = max(self.n_edges, 3)
        self.own = self.fault not in RESIDENT or self.draw.of('server', CELL['server']) == 'own'
        self.rng = self.draw.rng('moments')
        self.server = self.proxy = None
        self.limit = 512 # of the context
        self.target, self.weights, self.tp = world.models['tales-target'], 'stored', '1'
        self.edges = [None] * self.n_edges
        self.wanted = [[]] * self.n_edges # ids of each answer of each edge
        self.doomed = set()
        self.more = asyncio.Event()
        self.running = 0

    # -- what it is made of

    def server_options(self):
        chosen = {key: self.draw.of(key, options) for key, options in SERVER.items()}
        self.target = self.world.models[chosen.pop('target')]
        chosen.update({'model': str(self.target), 'park': '1s'})
        if self.fault == 'evict':
            chosen['kv-mem'] = self.draw.of('kv-mem', SIZES['kv-mem'])
        if self.fault == 'crowd':
            chosen['max-sessions'] = self.draw.of('max-sessions', SIZES['max-sessions'])
        self.weights, self.tp = chosen['weights'], chosen['tp']
        return [word for key, value in chosen.items() for word in ('--' + key, value)]

    async def open_server(self):
        if self.transport == 'local':
            self.target = self.world.models[self.draw.of('target', SERVER['target'])]
            self.tp = self.draw.of('tp', SERVER['tp'])
            return
        if self.own:
            self.server = Server(self.world.tools, self.world.work, self.server_options(),
                                 self.world.patience)
            await self.server.start()
            self.limit = self.server.context()
        else:
            self.server = await self.world.server(self.draw.of('policy', SERVER['policy']))
        if self.fault in ('cut', 'reset', 'away', 'stall', 'delay'):
            self.proxy = Proxy(self.server.port())
            await self.proxy.start()

    def where(self):
        if self.transport == 'local':
            return ['--local', '--model', str(self.target), '--target-threads', '1', '--tp', self.tp]
        if self.proxy:
            return ['--server', 'tcp://127.0.0.1:%d' % self.proxy.port]
        return ['--server', self.server.url[self.transport]]

    async def add_edge(self, i):
        chosen = {key: self.draw.of(key, options, i) for key, options in EDGE.items()}
        sampling = ['--temp', chosen['temp'], '--seed', chosen['noise'], *KEPT[chosen['kept']]]
        if chosen['end'] == 'ignored':
            sampling.append('--ignore-eos')
        first = self.draw.rng('e%d.first' % i).randrange(40 - 3)
        numbers = range(first, first + int(chosen['prompts']))
        talks = chosen['asks'] == 'chat' and self.fault != 'interrupt' # which is but the answer's end
        if talks:
            chosen['n'], chosen['context'] = str(min(int(chosen['n']), 64)), '0'
            source = ['-i', '--quiet']
        else:
            source = ['--dataset', str(PROMPTS), '--offset', str(first), '--max-requests',
                      chosen['prompts']]
        options = [*self.where(), '--tokenizer', str(self.target), *source, '-n', chosen['n'],
                   '--ids-out', *sampling, '--threads', '1', '--context', chosen['context'],
                   '--give-up', '%ds' % self.world.patience]
        for key, values in EDGE_OPTIONS.items():
            options += ['--' + key, self.draw.of(key, values, i)]
        if chosen['draft'] != 'none':
            folder = self.world.models.get(chosen['draft'])
            options += ['--draft', str(folder or 'ngram')]
            if folder and chosen['check'] == 'yes':
                options.append('--check-draft')
        if chosen['gives'] == 'records':
            options += ['--result', str(self.world.work / 'records')]
        lines = [self.world.expected.prompts[number] for number in numbers] if talks else None
        edge = Edge(self.world.tools, options, self.faults_of_edge(i), lines)
        edge.after, edge.progress = int(chosen['after']), self.more.set
        self.edges[i] = edge
        n, limit, expected = int(chosen['n']), int(chosen['context']), self.world.expected
        if talks:
            more = ['--target-weights', self.weights, '--tp', self.tp]
            self.wanted[i] = await expected.chat(self.target, lines, n, sampling + more)
            return
        more = ['--weights', self.weights] if self.weights != 'stored' else []
        more += ['--tp', self.tp] if self.tp != '1' else []
        self.wanted[i] = [await self.wanted_answer(self.target, number, n, sampling + more, limit)
                          for number in numbers]

    async def wanted_answer(self, target, number, n, sampling, context):
        expected = self.world.expected
        ids = await expected.answer(target, number, n, sampling)
        limit = min(self.limit, context or self.limit)
        if limit < 512: # a token at the last place has a successor
            n = min(n, limit + 1 - len(await expected.prompt(target, number)))
        return ids[:n]

    def faults_of_edge(self, i):
        if self.fault != 'lossy':
            return {}
        rng = self.draw.rng('e%d.faults' % i)
        share = lambda: rng.choice([0, 0.02, 0.05, 0.1])
        low = rng.choice([0, 0, 1, 3])
        return {'SE_FAULTS': 'seed=%d,drop=%g,twice=%g,late=%g,delay=%dms..%dms' %
                             (rng.randrange(1 << 32), share(), share(), share(), low,
                              low + rng.choice([0, 1, 5]))}

    # -- how it goes

    def produced(self):
        return sum(edge.tokens for edge in self.edges if edge)

    async def reached(self, tokens):
        """So many tokens of all edges are there, or nobody writes any more. True: the first."""
        while self.produced() < tokens and self.running > 0:
            self.more.clear()
            await self.more.wait()
        return self.running > 0

    async def run_edge(self, edge):
        try:
            if edge.after:
                # Not for ever: those before it may have less to say.
                others = sum(len(ids) for ids in self.wanted[0])
                await self.reached_by_others(min(edge.after, others))
            await edge.run()
        finally:
            self.running -= 1
            self.more.set()

    async def reached_by_others(self, tokens):
        while self.produced() < tokens and any(
                e.code is None and (e.process or not e.after) for e in self.edges):
            self.more.clear()
            await self.more.wait()

    async def each_event(self, act):
        """At moments that are spread over the answers."""
        total = sum(len(ids) for answers in self.wanted for ids in answers)
        moments = sorted(self.rng.random() for _ in range(self.events))
        for moment in moments:
            if not await self.reached(moment * total):
                return
            await act()

    async def kill_server(self):
        await self.server.kill()
        await asyncio.sleep(self.down)
        await self.server.start()

    async def change_server(self):
        """Killed, and one with other limits takes its place."""
        await self.server.kill()
        for option, values in ('--max-nodes', '2 8 128'), ('--max-rows', '160 256'):
            self.server.options[self.server.options.index(option) + 1] = self.rng.choice(values.split())
        await asyncio.sleep(self.down)
        await self.server.start()

    async def drain_server(self):
        self.server.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.server.process.wait(), self.world.patience)
        if code != 0:
            raise Fault('the server left with %d' % code)
        await asyncio.sleep(self.down)
        await self.server.start()

    async def cut(self):
        self.proxy.cut()

    async def reset(self):
        self.proxy.cut(reset=True)

    async def stall(self):
        await self.proxy.stall(self.down or 0.05)

    async def away(self):
        await self.proxy.away(self.down)

    async def end_edge(self):
        """One of those that run, but for the first: somebody is to see it to the end. Whoever has
        not written yet may not have set up its handler."""
        i, kills = self.rng.randrange(1, self.n_edges), self.fault == 'dead'
        edge = self.edges[i]
        if edge.process is None or edge.code is not None or not (kills or edge.tokens):
            return
        if i not in self.doomed:
            self.doomed.add(i)
            edge.signal(signal.SIGKILL if kills else signal.SIGINT)

    def acts(self):
        return {'kill': self.kill_server, 'other': self.change_server,
                'drain': self.drain_server, 'cut': self.cut,
                'reset': self.reset, 'stall': self.stall, 'away': self.away,
                'dead': self.end_edge, 'interrupt': self.end_edge}

    async def play(self):
        self.running = self.n_edges
        if self.fault == 'delay':
            slow = self.rng.choice([0.001, 0.004])
            self.proxy.delay = lambda: self.rng.random() * slow
        tasks = [asyncio.ensure_future(self.run_edge(edge)) for edge in self.edges]
        act = self.acts().get(self.fault)
        if act:
            tasks.append(asyncio.ensure_future(self.each_event(act)))
        try:
            await self.see_it_move(asyncio.gather(*tasks))
        finally:
            for edge in self.edges:
                edge.signal(signal.SIGKILL)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def see_it_move(self, work):
        """Until it is over. A machine may be slow, so that what counts is how long nothing moves:
        no edge writes, none ends, no server comes. Edges give up by themselves before that."""
        seen, since, stuck = None, time.monotonic(), self.world.patience + 20
        while not work.done():
            await asyncio.wait([work], timeout=1)
            now = (self.produced(), self.running, self.server.starts if self.server else 0)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > stuck:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                raise Fault('nothing moves for %g s, after %d tokens' % (stuck, self.produced()))
        await work

    def check_edge(self, i):
        edge, wanted = self.edges[i], self.wanted[i]
        got = edge.answers()
        cut_off = i in self.doomed and edge.code != 0
        if cut_off and edge.code != (130 if self.fault == 'interrupt' else -signal.SIGKILL):
            raise Fault('edge %d ended with %d when it was ended' % (i, edge.code))
        if not cut_off and edge.code != 0:
            raise Fault('edge %d ended with %d' % (i, edge.code))
        if cut_off: # a beginning of what was wanted
            wanted = [ids[:len(got[k])] if k == len(got) - 1 else ids
                      for k, ids in enumerate(wanted[:len(got)])]
            if self.fault == 'interrupt' and edge.out and edge.out[-1:] != b'\n':
                raise Fault('edge %d was interrupted in a line' % i)
        for k, (have, want) in enumerate(zip(got, wanted)):
            same = next((at for at, (a, b) in enumerate(zip(have, want)) if a != b),
                        min(len(have), len(want)))
            if have != want:
                raise Fault('edge %d, answer %d: %d ids of %d, the same up to %d:\n  have ... %s\n'
                            '  want ... %s' % (i, k, len(have), len(want), same,
                                               have[same:same + 8], want[same:same + 8]))
        if len(got) != len(wanted):
            raise Fault('edge %d gave %d answers of %d' % (i, len(got), len(wanted)))

    def sees(self):
        """Whether the comparison does: one id of one answer is changed."""
        ids = self.wanted[0][-1]
        self.wanted[0][-1] = [*ids[:-1], ids[-1] ^ 1]
        try:
            self.check_edge(0)
        except Fault:
            return True
        finally:
            self.wanted[0][-1] = ids
        return False

    async def check_server(self):
        if self.server.process.returncode is not None:
            raise Fault('the server ended with %d' % self.server.process.returncode)
        if self.server.counters()['step_faults']:
            raise Fault('steps failed')
        if self.own:
            await until(self.server.idle, IDLE, 'nobody is at the server, and nothing is held')
            await self.server.leave()

    async def run(self):
        try:
            await self.open_server()
            await asyncio.gather(*[self.add_edge(i) for i in range(self.n_edges)])
            self.draw.check()
            await self.play()
            for i in range(self.n_edges):
                self.check_edge(i)
            if self.server:
                await self.check_server()
        finally:
            if self.proxy:
                await self.proxy.close()
            if self.server and self.own:
                await self.server.remove()

    def report(self):
        """What one needs to see when it went wrong."""
        lines = []
        for i, edge in enumerate(filter(None, self.edges)):
            lines += ['edge %d: exit %s, %d tokens: %s' % (i, edge.code, edge.tokens,
                                                         edge.shown_command())]
            lines += ['    ' + line for line in edge.err.decode().splitlines()[-6:]]
        if self.server:
            lines += ['server: ' + ' '.join(self.server.command())]
            lines += ['    ' + line for line in tail(self.server.log).splitlines()]
        return '\n'.join(lines)


# ---- many cells

class Tally:
    def __init__(self):
        self.cells = self.answers = self.tokens = self.faults = 0
        self.values = collections.defaultdict(collections.Counter)

    def add(self, cell):
        self.cells += 1
        self.answers += sum(len(answers) for answers in cell.wanted)
        self.tokens += cell.produced()
        for key, value in cell.draw.drawn:
            self.values[key][value] += 1

    def line(self):
        return '%d cells, %d answers, %d tokens compared, %d faults' % (
            self.cells, self.answers, self.tokens, self.faults)

    def table(self):
        return '\n'.join('  %-17s %s' % (key, ', '.join('%s %d' % pair for pair in
                                                       sorted(values.items())))
                         for key, values in self.values.items())


async def run_cell(world, text, tally, tell):
    cell = Cell(world, text)
    began = time.monotonic()
    try:
        await cell.run()
    except Exception as fault:
        tally.faults += 1
        what = fault if isinstance(fault, Fault) else repr(fault)
        print('FAULT: %s\n  in: %s\nrepeat: %s --tools %s --cell \'%s\'\n%s\n' %
              (what, ' '.join('%s=%s' % pair for pair in cell.draw.drawn[:5]), sys.argv[0],
               world.tools, text, cell.report()), flush=True)
        if not isinstance(fault, (Fault, OSError, asyncio.TimeoutError)):
            raise
    else:
        if not cell.sees():
            raise SystemExit('exact.py: the comparison sees nothing')
    tally.add(cell)
    if tell:
        print('%s: %s, %s, %d edges, %d tokens, %.1f s' %
              (text, cell.fault, cell.transport, cell.n_edges, cell.produced(),
               time.monotonic() - began), flush=True)


def footprints(servers):
    return ', '.join('%(rss_kb)d KiB %(fds)d fds %(threads)d threads' % server.footprint()
                     for server in servers)


async def check_left(world, server):
    await until(server.idle, IDLE, 'nobody is at %s, and nothing is held' % server.name)
    now, before = server.footprint(), world.first.get(server.name)
    counters = server.counters()
    print('%s: %s; %s' % (server.name, now, {key: counters[key] for key in (
        'sessions_opened', 'sessions_resumed', 'sessions_expired', 'evictions', 'rounds',
        'pushes', 'repeats', 'stale_rounds', 'tokens', 'gaps', 'hash_faults', 'foreign_frames',
        'flooded_frames', 'peers_cut')}))
    await server.leave()
    # A program under AddressSanitizer keeps what it frees, to see who still reads it.
    keeps = 'ASAN_OPTIONS' in os.environ
    grown = before and not keeps and now['rss_kb'] > before['rss_kb'] * 1.05 + 2048
    if grown or before and any(now[key] != before[key] for key in ('fds', 'threads')):
        raise Fault('%s has grown: %s, and %s before' % (server.name, now, before))


async def check_flat(world, tally):
    """The servers that stayed: nobody is there, nothing is held, nothing has grown."""
    for server in await world.residents():
        try:
            await check_left(world, server)
        except Fault as fault:
            tally.faults += 1
            print('FAULT: %s' % fault, flush=True)
    left = [name for name in os.listdir('/dev/shm') if name.startswith('exact.%d.' % os.getpid())]
    if left:
        tally.faults += 1
        print('FAULT: left in /dev/shm: %s' % left)


async def note_first(world, tally, o):
    """Footprints of servers that have worked for a while, when nobody is there. Memory is first
    touched when it is needed, so the most that can come at once has to have been there: else a
    crowd that chance brings later looks like a leak."""
    for policy in sorted(set(SERVER['policy'].split())):
        await asyncio.gather(*[run_cell(world, CROWDED % (lane, policy), tally, o.verbose)
                               for lane in range(o.lanes)])
    for server in await world.residents():
        if server.name not in world.first:
            await until(server.idle, IDLE, 'nobody is at %s, and nothing is held' % server.name)
            world.first[server.name] = server.footprint()


async def run_short(world, tally, o):
    texts, seeds, end = list(FIXED), itertools.count(o.seed), None

    async def lane():
        nonlocal end
        while tally.faults < 3:
            if not texts:
                end = end or time.monotonic() + o.seconds
                if time.monotonic() >= end:
                    return
            text = texts.pop(0) if texts else 'seed=%d' % next(seeds)
            await run_cell(world, text, tally, o.verbose)

    await asyncio.gather(*[lane() for _ in range(o.lanes)])
    await check_flat(world, tally)


async def run_long(world, tally, o):
    begin = time.monotonic()
    end, told, i = begin + 60 * o.long, begin, 0
    # A tenth of the time at first, so that what servers keep for later is there.
    for part, until_when in enumerate((begin + 6 * o.long, end)):
        async def lane():
            nonlocal i, told
            while time.monotonic() < until_when and tally.faults < 10:
                i += 1
                await run_cell(world, 'seed=%d' % (o.seed + i - 1), tally, o.verbose)
                if time.monotonic() - told > 60:
                    told = time.monotonic()
                    print('%3.0f min: %s; %s' % ((told - begin) / 60, tally.line(),
                                                footprints(await world.residents())), flush=True)
        await asyncio.gather(*[lane() for _ in range(o.lanes)])
        if part == 0:
            await note_first(world, tally, o)
    await check_flat(world, tally)
    print(tally.table())


async def run_all(world, o):
    tally, task = Tally(), asyncio.current_task()
    for number in signal.SIGTERM, signal.SIGINT:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        if o.cell is not None:
            await run_cell(world, o.cell, tally, True)
        elif o.long:
            await run_long(world, tally, o)
        else:
            await run_short(world, tally, o)
    finally:
        await world.remove()
    print(tally.line())
    return 1 if tally.faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--tools', type=pathlib.Path, default=ROOT / 'build/tools',
                        help='folder of the programs')
    parser.add_argument('--short', action='store_true', help='each fault once, then at random')
    parser.add_argument('--seconds', type=float, default=10, help='of what is drawn at random')
    parser.add_argument('--long', type=float, metavar='MINUTES', help='at random for so long')
    parser.add_argument('--lanes', type=int, default=2, help='cells at once')
    parser.add_argument('--cell', metavar='TEXT', help='one cell, by what it is drawn from')
    parser.add_argument('--seed', type=int, help='of the first cell; the next ones count up')
    parser.add_argument('--patience', type=float, default=PATIENCE,
                        help='seconds that nothing moves in a cell')
    parser.add_argument('--verbose', action='store_true', help='a line for each cell')
    o = parser.parse_args()
    if not o.short and o.long is None and o.cell is None:
        parser.error('one of --short, --long and --cell')
    if o.seed is None:
        o.seed = random.SystemRandom().randrange(1 << 32)
    schemes = subprocess.run([o.tools / 'se-run', '--server', 'none://x', '--tokenizer',
                              ROOT / 'models/tales-target', '-p', 'x'], capture_output=True)
    if b'tcp' not in schemes.stderr:
        print('skipped: this build has no ZeroMQ, so there is no TCP to be cut')
        return 77
    print('seed %d' % o.seed, flush=True)
    os.environ.pop('SE_LOG', None)
    os.environ.pop('SE_FAULTS', None)
    with tempfile.TemporaryDirectory(prefix='exact.') as work:
        return asyncio.run(run_all(World(o.tools.resolve(), pathlib.Path(work), o.patience), o))


if __name__ == '__main__':
    sys.exit(main())
