#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens per verify of the bundled pair, as markdown: temperatures, budgets, ways to draft.

    coupling_table.py BUILD SAMPLES

Runs tests/bench/coupling for every cell and depth that SAMPLES does not know yet, adds what it
says there, a line each, and prints the table. coupling itself ends with an error if the ids are
not those of plain decoding. About an hour on two cores.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPS = '0', '0.3', '0.7', '1'
BUDGETS = 4, 8, 16, 32, 64
# The best fixed depth is looked for among these; a learned tree finds its own, up to the last.
DEPTHS = {
    '--published': {4: (3, 4), 8: (5, 6), 16: (6, 8), 32: (6, 10), 64: (6, 10)},
    '': {4: (3, 4), 8: (5, 6, 8), 16: (6, 8, 12), 32: (8, 10, 12, 16), 64: (10, 14, 16)},
    '--learned': {4: (4,), 8: (8,), 16: (16,), 32: (16,), 64: (16,)},
}
NAMES = {'--published': "published", '': 'coupled', '--learned': 'coupled, learned'}


def key_of(temp, mode, budget, depth):
    return 'T=%s mode=%s budget=%d depth=%d' % (temp, mode, budget, depth)


def known(path):
    cells = {}
    if path.exists():
        for line in path.read_text().splitlines():
            key, bar, said = line.partition(' | ')
            found = re.search(r': ([\d.]+) tokens per verify', said)
            if bar and found and 'tokens as in plain decoding' in said:
                cells[key] = float(found.group(1))
    return cells


def run(build, temp, mode, budget, depth):
    command = [str(build / 'tests/bench/coupling'), str(ROOT / 'models'), '--temp', temp,
               *([mode] if mode else []), '--budget', str(budget), '--depth', str(depth),
               '--prompts', '40', '--tokens', '128']
    print(' '.join(command), file=sys.stderr)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, samples = map(pathlib.Path, sys.argv[1:])
    cells = known(samples)
    for temp in TEMPS:
        for mode, budgets in DEPTHS.items():
            for budget, depths in budgets.items():
                for depth in depths:
                    key = key_of(temp, mode, budget, depth)
                    if key not in cells:
                        said = ' '.join(run(build, temp, mode, budget, depth).split())
                        with open(samples, 'a') as out:
                            out.write('%s | %s\n' % (key, said))
    cells = known(samples)
    print('| T | draft | %s |\n|---|---|%s' % (' | '.join('budget %d' % b for b in BUDGETS),
                                              '--:|' * len(BUDGETS)))
    for temp in TEMPS:
        for mode in DEPTHS:
            row = []
            for budget in BUDGETS:
                best = max(DEPTHS[mode][budget], key=lambda d: cells[key_of(temp, mode, budget, d)])
                row.append('%.2f (%d)' % (cells[key_of(temp, mode, budget, best)], best))
            print('| %s | %s | %s |' % (temp, NAMES[mode], ' | '.join(row)))


if __name__ == '__main__':
    main()
