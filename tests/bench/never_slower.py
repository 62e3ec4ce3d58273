#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Never slower, with real programs: the same prompts through one server, plain (--speculate off),
left to itself (auto) and always drafting (on).

    never_slower.py [--pin] [--modes off,auto] [--turns N] [--answers N] [--tokens N] [--samples FILE] [SITUATION...]

The three take turns and change their order each turn; no sample is dropped. A sample is the
tokens per second of one run of se-run over all its answers, or with several clients the mean of
theirs; the table shows the median and the range. Every text must be the same in all three. Edges
and server share this machine, so what drafts takes from what verifies. In a real pair it does not:
--pin gives the server one processor of its own, and the edges the others.
"""
import argparse
import asyncio
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/tools'))
from exact import make_random # noqa: E402
from programs import PROMPTS, Fault, Server # noqa: E402
from proxy import Proxy # noqa: E402

MODES = 'off', 'auto', 'on'
# name: draft, clients, seconds of one way (0: the server itself)
SITUATIONS = {
    'tales-draft': ('tales-draft', 1, 0),
    'useless draft': ('random', 1, 0),
    'draft as slow as the target': ('tales-target', 1, 0),
    'tales-draft, 50 ms there and back': ('tales-draft', 1, 0.025),
    'useless draft, 50 ms there and back': ('random', 1, 0.025),
    '64 clients, tales-draft': ('tales-draft', 64, 0),
    '64 clients, useless draft': ('random', 64, 0),
}


def others():
    """Processors that are not the server's."""
    return sorted(os.sched_getaffinity(0))[1:]


def pin(pid):
    for task in os.listdir('/proc/%d/task' % pid):
        os.sched_setaffinity(int(task), {min(os.sched_getaffinity(0))})


class Client:
    """One se-run; its answers are read when it has ended."""

    def __init__(self, o, url, draft, mode, number, answers):
        self.command = [str(o.tools / 'se-run'), '--server', url, '--draft', str(draft),
                        '--dataset', str(PROMPTS), '--offset', str(number % 40), '--stride',
                        str(max(1, 40 // answers)), '--max-requests', str(answers), '-n',
                        str(o.tokens),
                        '--temp', str(o.temp), '--seed', '7', '--ignore-eos', '--speculate', mode,
                        '--threads', '1', '--json', '--quiet']
        # The proxy, this program, stays with the edges: it is part of the way.
        self.pinned = ['taskset', '-c', ','.join(map(str, others()))] if o.pin else []

    async def run(self):
        process = await asyncio.create_subprocess_exec(
            *self.pinned, *self.command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await process.communicate()
        if process.returncode:
            raise Fault('%s\nended with %d: %s' % (' '.join(self.command), process.returncode,
                                                   err.decode()))
        self.answers = [json.loads(line) for line in out.splitlines()]
        return self

    def rate(self):
        summary = [answer['summary'] for answer in self.answers]
        return sum(s['tokens'] for s in summary) / sum(s['seconds'] for s in summary)

    def texts(self):
        return [answer['text'] for answer in self.answers]


async def sample(o, url, draft, mode, clients):
    """Tokens per second, tokens per round, texts."""
    answers = o.answers if clients == 1 else 1
    runs = [Client(o, url, draft, mode, i, answers) for i in range(clients)]
    await asyncio.gather(*(run.run() for run in runs))
    summary = [answer['summary'] for run in runs for answer in run.answers]
    return (statistics.mean(run.rate() for run in runs),
            sum(s['tokens'] for s in summary) / sum(s['rounds'] for s in summary),
            [run.texts() for run in runs])


def span(values):
    return '%.0f (%.0f - %.0f)' % (statistics.median(values), min(values), max(values))


async def measure(o, server, models, name, keep):
    draft, clients, way = SITUATIONS[name]
    proxy = None
    url = 'tcp://127.0.0.1:%d' % server.port()
    if way:
        proxy = Proxy(server.port())
        proxy.way = way
        await proxy.start()
        url = 'tcp://127.0.0.1:%d' % proxy.port
    rates, per_round, texts = {m: [] for m in o.modes}, {m: [] for m in o.modes}, None
    for turn in range(o.turns + 1):
        first = turn % len(o.modes)
        for mode in o.modes[first:] + o.modes[:first]:
            rate, each, said = await sample(o, url, models[draft], mode, clients)
            if texts is not None and said != texts:
                raise Fault('%s, %s: the text is another' % (name, mode))
            texts = said
            if turn == 0: # warms up
                continue
            rates[mode].append(rate)
            per_round[mode].append(each)
            if keep:
                keep.write(json.dumps({'situation': name, 'mode': mode, 'turn': turn,
                                       'tokens_per_s': rate, 'tokens_per_round': each}) + '\n')
                keep.flush()
    if proxy:
        await proxy.close()
    pairs = [a / b for a, b in zip(rates['auto'], rates['off'])]
    quarter = statistics.quantiles(pairs, n=4) if len(pairs) > 1 else pairs * 3
    print('| %s | %s | **%.3f** (%.3f - %.3f) | %.3f - %.3f |'
          % (name, ' | '.join(span(rates[m]) for m in o.modes), statistics.median(pairs),
             quarter[0], quarter[2], min(pairs), max(pairs)), flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--tools', type=pathlib.Path, default=ROOT / 'build/tools')
    parser.add_argument('--pin', action='store_true', help='the server has a processor of its own')
    parser.add_argument('--modes', default='off,auto,on', help='off and auto at least')
    parser.add_argument('--turns', type=int, default=9)
    parser.add_argument('--answers', type=int, default=4)
    parser.add_argument('--tokens', type=int, default=128)
    parser.add_argument('--temp', type=float, default=0.7)
    parser.add_argument('--samples', help='every sample, a JSON object a line')
    parser.add_argument('situation', nargs='*', metavar='SITUATION')
    o = parser.parse_args()
    o.modes = tuple(o.modes.split(','))
    if not {'off', 'auto'} <= set(o.modes) <= set(MODES):
        parser.error('--modes: off,auto or off,auto,on')
    unknown = [name for name in o.situation if name not in SITUATIONS]
    if unknown:
        parser.error('there is no "%s", but: %s' % (unknown[0], '; '.join(SITUATIONS)))
    work = pathlib.Path(tempfile.mkdtemp(prefix='never-slower-'))
    models = {name: ROOT / 'models' / name for name in ('tales-target', 'tales-draft')}
    models['random'] = work / 'random'
    keep = open(o.samples, 'a') if o.samples else None
    server = Server(o.tools, work, ['--model', str(models['tales-target']), '--threads', '1'])
    try:
        make_random(o.tools, models['tales-draft'], models['random'])
        await server.start()
        if o.pin:
            pin(server.process.pid)
        print('| situation, tok/s | %s | auto over plain, turn by turn (quartiles) | range |\n|---%s|'
              % (' | '.join(o.modes), '|--:' * (len(o.modes) + 2)), flush=True)
        for name in o.situation or SITUATIONS:
            await measure(o, server, models, name, keep)
    finally:
        await server.remove()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == '__main__':
    try:
        asyncio.run(main())
    except Fault as fault:
        sys.exit('never_slower.py: %s' % fault)
    except KeyboardInterrupt:
        sys.exit(130)
