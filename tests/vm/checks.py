#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What needs a kernel with RDMA, and networks that lose and delay. Runs inside tests/vm/vm.sh.

  checks.py [--build DIR] [--threads DIR] [--short] [NAME...]      all checks, or these

Real programs on both sides of the cable, rxe_a and rxe_b; every text is held against what the
target writes alone (se-model). netem acts on both ends, so that a delay is half a round trip.
"""
import argparse
import asyncio
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))
from programs import ROOT, Edge, Expected, Fault, Server, tail, until

PATIENCE = 120
# Emulated processors are slow at floating point, so the target is the small model, in 8 bits, and
# drafts come from the text itself but for the first edge's.
TARGET = DRAFT = ROOT / 'models/tales-draft'
SERVER = ['--weights', 'q8', '--max-rows', '16', '--max-nodes', '8', '--max-batch', '8',
          '--park', '20s', '--insecure']
# A lost packet is sent again after 4.096 us * 2^14, 67 ms; else the kernel's usual half second.
# The server lets edges write into its memory; those of WRITTEN do.
RDMA = 'rdma://10.77.0.2:7077?ack_timeout=14'
WRITTEN = RDMA + '&write=1'
RDMA6 = 'rdma://[fd77::2]:7081?ack_timeout=14'
# ThreadSanitizer wants its address space where it expects it.
FIXED = ['setarch', os.uname().machine, '-R']


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def cable(*how):
    """Sets what netem does at both ends; nothing without words."""
    for end in 'ra', 'rb':
        subprocess.run(['tc', 'qdisc', 'del', 'dev', end, 'root'], stderr=subprocess.DEVNULL)
        if how:
            run('tc', 'qdisc', 'add', 'dev', end, 'root', 'netem', *how)


class Bench:
    """A server at one end and what it is asked from the other."""

    def __init__(self, tools, work):
        self.tools, self.work = tools, work
        self.expected = Expected(tools, PATIENCE)

    async def server(self):
        server = Server(self.tools, self.work, ['--model', str(TARGET), *SERVER], PATIENCE)
        server.url['tcp'] = 'tcp://10.77.0.2:7078'
        server.url['rdma'] = WRITTEN + ',' + RDMA6
        await server.start()
        return server

    def edge(self, url, number, n, temp, seed, draft, environment=None):
        return Edge(self.tools, [
            '--server', url, '--draft', draft, '--tokenizer', str(TARGET), '-n', str(n),
            '--max-budget', '6', '--max-beam-len', '4',
            '--dataset', str(ROOT / 'models/prompts.jsonl'), '--offset', str(number),
            '--max-requests', '1', '--ids-out', '--temp', temp, '--seed', str(seed), '--threads', '1',
            '--speculate', 'on', '--retry', '500ms', '--give-up', '%ds' % PATIENCE], environment)

    async def exact(self, url, edges, n, event=None, environment=None):
        """Edges at once, and an event when half of the tokens are there. How long it took."""
        rng, pairs = random.Random(len(url) * n), []
        for i in range(edges):
            temp, seed, number = rng.choice(['0', '0.7', '1.0']), i + 1, rng.randrange(40)
            wanted = await self.expected.answer(TARGET, number, n, ['--weights', 'q8', '--temp', temp,
                                                                   '--seed', str(seed)])
            pairs.append((self.edge(url, number, n, temp, seed, 'ngram' if i else str(DRAFT), environment),
                          wanted[:n]))
        began = time.monotonic()
        tasks = [asyncio.ensure_future(edge.run()) for edge, _ in pairs]
        try:
            if event:
                total = sum(len(wanted) for _, wanted in pairs)
                await until(lambda: sum(e.tokens for e, _ in pairs) >= total / 3 or
                            all(e.code is not None for e, _ in pairs), PATIENCE, 'a third of the texts')
                await event()
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        except asyncio.TimeoutError:
            raise Fault('not over within %d s\n%s' % (PATIENCE, self.words(pairs))) from None
        finally:
            for edge, _ in pairs:
                edge.signal(9)
            await asyncio.gather(*tasks, return_exceptions=True)
        for edge, wanted in pairs:
            if edge.code != 0 or edge.answers() != [wanted]:
                raise Fault('exit %s\n  have %s\n  want %s\n%s' %
                            (edge.code, edge.answers(), [wanted], self.words([(edge, wanted)])))
        return '%d texts, %d tokens, %.1f s' % (edges, sum(len(w) for _, w in pairs),
                                                time.monotonic() - began)

    @staticmethod
    def words(pairs):
        return '\n'.join('%s\n%s' % (e.shown_command(), e.err.decode()[-800:]) for e, _ in pairs)


# ---- the checks: what they are called, what they do

async def over(bench, server, url, edges, n, *how):
    cable(*how)
    return await bench.exact(server.url['tcp'] if url == 'tcp' else url, edges, n)


async def killed(bench, server, url, edges, n, *how):
    cable(*how)
    async def event():
        await server.kill()
        await server.start()
    return await bench.exact(url, edges, n, event)


async def faulty(bench, server, url, edges, n):
    """Frames that are lost, come twice or late, on top of what the link promises."""
    cable()
    faults = {'SE_FAULTS': 'seed=7,drop=0.05,twice=0.05,late=0.05,delay=1ms..5ms'}
    return await bench.exact(url, edges, n, environment=faults)


async def unplugged(bench, server, edges, n):
    """For longer than silence may last: both ends give the connection up."""
    cable()
    async def event():
        cable('loss', '100%')
        await asyncio.sleep(9)
        cable()
    return await bench.exact(RDMA, edges, n, event)


async def taken_away(bench, server, url, edges, n):
    """One device after the other, and given back: nobody is started anew."""
    cable()
    took = []
    async def words(*command):
        process = await asyncio.create_subprocess_exec(*command)
        try:
            if await asyncio.wait_for(process.wait(), 60) != 0:
                raise Fault('%s: %d' % (' '.join(command), process.returncode))
        except asyncio.TimeoutError:
            raise Fault('%s: not within 60 s' % ' '.join(command)) from None
    async def event():
        for side in 'a', 'b':
            began = time.monotonic()
            await words('rdma', 'link', 'delete', 'rxe_' + side)
            took.append('%.1f s' % (time.monotonic() - began))
            await asyncio.sleep(1)
            await words('rdma', 'link', 'add', 'rxe_' + side, 'type', 'rxe', 'netdev', 'r' + side)
            await asyncio.sleep(3)
    said = await bench.exact(url, edges, n, event)
    return '%s, and then %s; they went within %s' % (said, await bench.exact(url, 1, 16), ', '.join(took))


async def told(bench, server):
    """What a user reads who cannot get there."""
    cable()
    said = []
    async def ask(url, words, give_up='4s', before=(), prompt='Once'):
        edge = Edge(bench.tools, ['--server', url, '--draft', str(DRAFT), '--tokenizer', str(TARGET),
                                  '-p', prompt, '-n', '4', '--give-up', give_up])
        edge.command[:0] = before
        await asyncio.wait_for(edge.run(), PATIENCE)
        if edge.code == 0 or words not in edge.err.decode():
            raise Fault('%s: exit %s, and not "%s" in: %s' % (url, edge.code, words, edge.err.decode()))
        said.append(edge.err.decode().strip().splitlines()[-1])
    for url, words in (('rdma://10.77.0.2:7999', 'no server listens on that port'),
                       ('rdma://10.77.0.9:7077', 'no RDMA device of this machine has a way there'),
                       ('rdma://10.77.0.2:7077?device=mlx5_0', "no RDMA device 'mlx5_0', but rxe_a, rxe_b"),
                       ('rdma://10.77.0.2:7077?device=rxe_a&gid=0', 'has no IP address in that entry'),
                       ('rdma://10.77.0.2:7077?retry=9', 'from 0 to 7')):
        await ask(url, words)
    os.chmod('/dev/infiniband/rdma_cm', 0o600)
    try:
        await ask(RDMA, 'no permission to use /dev/infiniband/rdma_cm',
                  before=['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'])
    finally:
        os.chmod('/dev/infiniband/rdma_cm', 0o666)
    cable('loss', '100%')
    await ask(RDMA, 'nobody answers over RDMA there', give_up='12s')
    cable()
    # Somebody on the way lets no long packets through, as with another MTU.
    run('tc', 'qdisc', 'add', 'dev', 'ra', 'root', 'handle', '1:', 'prio')
    run('tc', 'filter', 'add', 'dev', 'ra', 'parent', '1:', 'protocol', 'ip', 'basic', 'match',
        'cmp(u16 at 2 layer network gt 450)', 'action', 'drop')
    await ask(RDMA, 'if only long frames are, compare the MTU', give_up='12s', prompt='Once upon a time ' * 100)
    cable()
    return '\n      '.join(said)


def loss(percent):
    return ['loss', '%g%%' % percent] if percent else []


def checks(short):
    n, edges = (16, 2) if short else (48, 3)
    for name, url in ('rdma', RDMA), ('rdma, written', WRITTEN):
        yield name, lambda b, s, url=url: over(b, s, url, edges, n)
        yield name + ', loss 1%', lambda b, s, url=url: over(b, s, url, edges, n, *loss(1))
        yield name + ', server killed', lambda b, s, url=url: killed(b, s, url, edges, max(n, 32))
    if short:
        yield 'tcp, 14 ms, loss 1%', lambda b, s: over(b, s, 'tcp', edges, n, 'delay', '7ms', *loss(1))
        return
    for name, url in ('rdma', RDMA), ('rdma, written', WRITTEN):
        yield name + ', frames faulty', lambda b, s, url=url: faulty(b, s, url, edges, n)
        yield name + ', 10 ms, loss 1%', lambda b, s, url=url: over(b, s, url, edges, n, 'delay', '5ms',
                                                                    *loss(1))
        yield name + ', server killed, loss 1%', lambda b, s, url=url: killed(b, s, url, edges, n,
                                                                             *loss(1))
    yield 'rdma, cable pulled for 9 s', lambda b, s: unplugged(b, s, edges, 64)
    yield 'rdma, devices taken away', lambda b, s: taken_away(b, s, RDMA, edges, 96)
    yield 'rdma, what is said', told
    yield 'rdma, IPv6', lambda b, s: over(b, s, RDMA6, edges, n)
    yield 'rdma, from an entry of a device', lambda b, s: over(b, s, RDMA + '&device=rxe_a&gid=1', edges, n)
    for ms in 14, 50:
        for percent in 0, 1, 2:
            yield ('tcp, %d ms, loss %d%%' % (ms, percent), lambda b, s, ms=ms, percent=percent: over(
                b, s, 'tcp', edges, n, 'delay', '%gms' % (ms / 2), *loss(percent)))


async def run_checks(o, work):
    bench, failed = Bench(o.build / 'tools', work), 0
    server = await bench.server()
    for name, check in checks(o.short):
        if o.names and name not in o.names:
            continue
        try:
            print('  ok       %s: %s' % (name, await check(bench, server)), flush=True)
        except Fault as fault:
            failed += 1
            print('  FAILED   %s: %s\n%s' % (name, fault, tail(server.log)), flush=True)
    cable()
    try:
        await server.leave()
    finally:
        await server.remove()
    return failed


def program(name, *words):
    """Runs a test that is a program; what it says is shown where it is indented, or failed."""
    began = time.monotonic()
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print('  %s %s: %.1f s' % ('ok      ' if done.returncode == 0 else 'FAILED  ', name,
                               time.monotonic() - began))
    for line in done.stdout.splitlines():
        if done.returncode or line.startswith('    '):
            print(line)
    sys.stdout.flush()
    return done.returncode != 0


# ---- how long a frame takes, both ends polling; told, and judged by nobody

def lat_of_perftest(size, rounds):
    """A round trip of ib_send_lat, which tells half of it."""
    words = ['ib_send_lat', '-F', '-R', '-s', str(size), '-n', str(rounds)]
    with subprocess.Popen(['taskset', '-c', '1', *words], stdout=subprocess.DEVNULL) as other:
        try:
            for _ in range(20): # until that one listens
                time.sleep(0.5)
                done = subprocess.run(['taskset', '-c', '0', *words, '10.77.0.2'], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
                rows = [line.split() for line in done.stdout.splitlines() if line.split()[:1] == [str(size)]]
                if done.returncode == 0 and rows:
                    return 2 * float(rows[0][4])
        finally:
            other.kill()
    raise Fault('ib_send_lat does not get there')


def lat_of_link(tools, size, rounds, url):
    done = subprocess.run([tools / 'se-bench', 'link', url, '--size', str(size), '--rounds', str(rounds),
                           '--warm-up', '200', '--gap', '', '--no-floor', '--spin', '--pin', '0,1', '--json'],
                          stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    return json.loads(done.stdout)['back_to_back_us']['p50']


def latency(o, pairs=5, rounds=1000):
    if o.short:
        return 0
    cable()
    ways = [('sent', lambda size: lat_of_link(o.build / 'tools', size, rounds, 'rdma://10.77.0.2:7080')),
            ('written', lambda size: lat_of_link(o.build / 'tools', size, rounds, 'rdma://10.77.0.2:7080?write=1'))]
    if shutil.which('ib_send_lat'):
        ways.insert(0, ('ib_send_lat', lambda size: lat_of_perftest(size, rounds)))
    else:
        print('  skipped  latency beside ib_send_lat: there is none (perftest)')
    for size, rows in (132, 3 * pairs), (700, pairs), (4096, pairs):
        took = [[way(size) for _, way in ways] for _ in range(rows)]
        for at, (name, _) in enumerate(ways):
            median = lambda values: '%s (%s - %s)' % tuple(
                '%.4g' % v for v in (statistics.median(values), min(values), max(values)))
            print('    %4d bytes, %-11s  p50 %s us, %s times the first' %
                  (size, name, median([row[at] for row in took]), median([row[at] / row[0] for row in took])),
                  flush=True)
    return 0


# Programs of their own, before there is a server: the suite of links over real verbs, where every
# connection has rnr_retry=0, and a server and its edges in threads.
PROGRAMS = {
    'conformance': lambda o: program('conformance over rdma', o.build / 'tests/transport/test_rdma',
                                     *(['--short'] if o.short else [])),
    'threads': lambda o: program('edges that come and go, in threads', *FIXED,
                                 (o.threads or o.build) / 'tests/transport/stress_link',
                                 'rdma://10.77.0.2:7079?rnr_retry=0'),
    'latency': latency,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build')
    parser.add_argument('--threads', type=pathlib.Path, metavar='DIR',
                        help='another build folder, of which "threads" takes its program')
    parser.add_argument('--short', action='store_true', help='for every change')
    parser.add_argument('names', nargs='*', help='of checks, among them ' + ', '.join(PROGRAMS))
    o = parser.parse_args()
    if not os.path.exists('/sys/class/infiniband/rxe_b'):
        print('skipped: no rxe_b: this runs inside tests/vm/vm.sh')
        return 77
    failed = sum(run(o) for name, run in PROGRAMS.items() if not o.names or name in o.names)
    if not o.names or set(o.names) - set(PROGRAMS):
        with tempfile.TemporaryDirectory(prefix='vm.') as work:
            failed += asyncio.run(run_checks(o, pathlib.Path(work)))
    print('%d failed' % failed)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
