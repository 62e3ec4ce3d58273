#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dashboard and alerts ask for what /metrics shows and for nothing else, and alerts are explained.

  dashboards.py SCRAPE ROOT [nokeys]    SCRAPE: what /metrics has shown; nokeys: by a build without them
"""
import json
import re
import sys

import exposition

WORDS = {'by', 'without', 'on', 'ignoring', 'and', 'or', 'unless', 'bool', 'offset'}
PROMETHEUS = {'up'} # its own
NO_KEYS = sys.argv[3:] == ['nokeys']


def names_of(expression):
    """The metrics of an expression of PromQL: what is neither label, duration, function nor word."""
    rest = re.sub(r'"[^"]*"', '', expression)
    rest = re.sub(r'\{[^}]*\}|\[[^\]]*\]', '', rest)
    rest = re.sub(r'\b(by|without|on|ignoring) *\([^)]*\)', '', rest)
    found = re.findall(r'(?<![\w.$])([a-zA-Z_:][\w:]*)\b(?! *\()', rest)
    return {name for name in found if name not in WORDS}


def try_the_search():
    asked = 'histogram_quantile(0.9, sum by (instance, le) (rate(a_bucket{job=~"b|c"}[5m]))) / d_total > 0.5 and up'
    if names_of(asked) != {'a_bucket', 'd_total', 'up'}:
        sys.exit('the search finds %s' % names_of(asked))


def shown(path):
    with open(path, encoding='utf-8') as file:
        families = exposition.read(file.read())
    return {name for family in families.values() for name, _, _ in family.samples}


def check_names(what, expression, known):
    names = names_of(expression)
    strange = {name for name in names - known - PROMETHEUS if not (NO_KEYS and '_key_' in name)}
    if strange or not names:
        sys.exit('%s: %s shows no %s' % (what, expression, ', '.join(sorted(strange)) or 'metric'))


def dashboard(root, known):
    with open(root + '/conf/grafana-specedge.json', encoding='utf-8') as file:
        board = json.load(file)
    panels = board['panels']
    assert len({p['id'] for p in panels}) == len({p['title'] for p in panels}) == len(panels) > 9
    for panel in panels:
        assert panel['targets'] and len({t['refId'] for t in panel['targets']}) == len(panel['targets'])
        for target in panel['targets']:
            check_names(panel['title'], target['expr'], known)
    for variable in board['templating']['list']:
        match = re.fullmatch(r'label_values\((\w+), \w+\)', variable['query'])
        assert not match or match.group(1) in known, variable
    return len(panels)


def alerts(root, known):
    """The file is read by its indentation: one key a line."""
    with open(root + '/conf/specedge-alerts.yaml', encoding='utf-8') as file:
        rules = file.read().split('      - alert: ')[1:]
    with open(root + '/docs/operating.md', encoding='utf-8') as file:
        explained = file.read()
    for rule in rules:
        name, rest = rule.split('\n', 1)
        check_names(name, re.search(r'^        expr: (.+)$', rest, re.M).group(1), known)
        for wanted in [r'^        for: \d+[smh]$', r'^          severity: (warning|critical)$',
                       r'^          summary: "[^"]+"$', r'^          description: "[^"]+"$']:
            assert len(re.findall(wanted, rest, re.M)) == 1, (name, wanted)
        assert len(re.findall(r'^### %s\n\n\S' % name, explained, re.M)) == 1, name + ' is not explained'
    assert set(re.findall(r'^### (SpecEdge\w+)$', explained, re.M)) == {r.split('\n')[0] for r in rules}
    return len(rules)


def main():
    try_the_search()
    known = shown(sys.argv[1])
    print('%d panels, %d alerts' % (dashboard(sys.argv[2], known), alerts(sys.argv[2], known)))


main()
