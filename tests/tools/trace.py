#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What se-trace draws, held against what a timeline must be.

  trace.py check TIMELINE USERS     valid, in order, whole; so many users
  trace.py overlap TIMELINE         1 if nobody drafts while somebody else is verified
  trace.py shift TRACE OFFSET DRIFT prints a trace by a clock that is OFFSET ns ahead and drifts
  trace.py near TIMELINE A B OFFSET the clocks of files A and B were found to be OFFSET ns apart
"""
import json
import sys

PHASES = ['draft', 'uplink', 'prompt', 'queue', 'verify', 'reply', 'downlink']
TIMES = ['begun', 'sent', 'heard', 'ended']


def ns(us):
    """Timelines have microseconds with three places, which a float does not keep apart."""
    return round(us * 1000)


class Timeline:
    def __init__(self, path):
        with open(path, encoding='utf-8') as file:
            whole = json.load(file)
        self.clocks = whole['otherData']['clocks']
        self.process, self.row, self.slices = {}, {}, []
        for event in whole['traceEvents']:
            where = event['pid'], event['tid']
            if event['ph'] == 'X':
                begun = ns(event['ts'])
                self.slices.append((event, begun, begun + ns(event['dur'])))
            elif event['name'] == 'process_name':
                assert event['pid'] not in self.process, 'two processes with one number'
                self.process[event['pid']] = event['args']['name']
            elif event['name'] == 'thread_name':
                assert where not in self.row, 'two rows with one number'
                self.row[where] = event['args']['name']
        self.users = sorted({event['pid'] for event, _, _ in self.slices
                             if event['cat'] == 'round'})

    def of(self, pid, *rows):
        return [item for item in self.slices if item[0]['pid'] == pid and item[0]['cat'] in rows]


def check_rows(line):
    last = {}
    for event, begun, ended in sorted(line.slices, key=lambda item: item[1]):
        where = event['pid'], event['tid']
        assert line.row[where].startswith(event['cat']), 'a slice in a row of others: %s' % event
        assert event['pid'] in line.process, 'a slice of no process: %s' % event
        assert begun >= 0 and ended >= begun, 'before its beginning: %s' % event
        assert begun >= last.get(where, 0), 'two slices at once in a row: %s' % event
        last[where] = ended


def check_rounds(line, pid, steps):
    """Each round is its parts, in order and without a gap; returns how many it saw."""
    rounds = {event['args']['round']: (event['args'], begun, ended)
              for event, begun, ended in line.of(pid, 'round')}
    parts = {}
    for event, begun, ended in line.of(pid, 'draft', 'uplink', 'queue', 'verify', 'downlink'):
        parts.setdefault(event['args']['round'], []).append(
            (PHASES.index(event['name']), begun, ended))
    assert sorted(parts) == sorted(rounds), 'parts of no round, or a round without'
    for number, (facts, begun, ended) in rounds.items():
        mine = sorted(parts[number])
        assert mine[0][1] == begun and mine[-1][2] == ended, facts
        for one, two in zip(mine, mine[1:]):
            assert one[2] == two[1], 'a gap, or two parts at once: %s' % facts
        assert sum(part[2] - part[1] for part in mine) == ended - begun, facts
        verify = [part for part in mine if PHASES[part[0]] == 'verify']
        assert (verify[0][1], verify[0][2]) == steps[facts['step']], 'not the time of its step'
        assert facts['accepted'] <= facts['nodes'] and facts['tokens'] <= facts['taken'], facts
    return len(rounds)


def check(path, users):
    line = Timeline(path)
    check_rows(line)
    steps = {event['args']['step']: (begun, ended)
             for event, begun, ended in line.slices if event['cat'] == 'engine'}
    assert len(line.users) == users, line.process
    seen = sum(check_rounds(line, pid, steps) for pid in line.users)
    waits = [event for event, _, _ in line.slices
             if event['cat'] == 'queue' and event['pid'] not in line.users]
    assert seen == len(waits) >= 4 * users, (seen, len(waits))
    for pid in line.users:
        assert line.of(pid, 'drafter'), 'no drafting'
        assert {'accepted', 'bet', 'tokens', 'step'} <= set(line.of(pid, 'round')[0][0]['args'])
    assert min(begun for _, begun, _ in line.slices) == 0, 'does not begin at 0'


def overlaps(line, one, two):
    return sum(max(0, min(a[2], b[2]) - max(a[1], b[1]))
               for a in line.of(one, 'drafter', 'proactive')
               for b in line.of(two, 'verify') if b[0]['name'] == 'verify')


def overlap(path):
    line = Timeline(path)
    return any(overlaps(line, one, two) > 0
               for one in line.users for two in line.users if one != two)


def shift(path, offset, drift):
    with open(path, encoding='utf-8') as file:
        events = [json.loads(text) for text in file]
    start = min(event['begun'] for event in events if 'begun' in event)
    for event in events:
        for name in TIMES:
            if event.get(name, 0) > 0:
                event[name] += offset + round(drift * (event[name] - start))
        print(json.dumps(event))


def near(path, one, two, offset):
    clock = {clock['file']: clock for clock in Timeline(path).clocks}
    one, two = clock[one], clock[two]
    apart = one['offset_ns'] - two['offset_ns']
    may = one['uncertainty_ns'] + two['uncertainty_ns']
    assert abs(apart - offset) <= may, (apart, offset, may)
    assert may < 50e6, may
    assert one['left_out'] == two['left_out'] == 0 and one['rounds'] > 0 and two['rounds'] > 0


def main(what, *words):
    if what == 'check':
        check(words[0], int(words[1]))
    elif what == 'overlap':
        sys.exit(0 if overlap(words[0]) else 1)
    elif what == 'shift':
        shift(words[0], int(words[1]), float(words[2]))
    elif what == 'near':
        near(words[0], words[1], words[2], int(words[3]))
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
