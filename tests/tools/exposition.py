# SPDX-License-Identifier: Apache-2.0
"""Prometheus's text format, read strictly: every line is as it must be, or ValueError says which is not."""
import re

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(r'(%s)(?:\{(%s(?:,%s)*)\})? (\d+(?:\.\d+)?)' % (NAME, LABEL, LABEL))
HELP = re.compile(r'# HELP (%s) (\S.*)' % NAME)
TYPE = re.compile(r'# TYPE (%s) (counter|gauge|histogram)' % NAME)
SUFFIXES = ('_bucket', '_sum', '_count')


class Family:
    """A metric with its samples: (name, labels as a dict, value)."""

    def __init__(self, name, text):
        self.name, self.help, self.kind, self.samples = name, text, None, []

    def owns(self, name):
        if self.kind == 'histogram':
            return name in [self.name + suffix for suffix in SUFFIXES]
        return name == self.name


def need(condition, line):
    if not condition:
        raise ValueError('not as it must be: %r' % line)


def without_bound(labels):
    return {name: value for name, value in labels.items() if name != 'le'}


def check_histograms(family):
    """One behind the other, as many as there are sets of other labels."""
    groups = []
    for name, labels, value in family.samples:
        if not groups or groups[-1][0] != without_bound(labels):
            groups.append((without_bound(labels), []))
        groups[-1][1].append((name, labels, value))
    need(all(a[0] != b[0] for i, a in enumerate(groups) for b in groups[:i]), family.name)
    for others, samples in groups:
        check_histogram(family, others, samples)


def check_histogram(family, others, samples):
    """Buckets rise in bound and never fall in count, the last is +Inf and the count."""
    buckets = [s for s in samples if s[0].endswith('_bucket')]
    bounds = [float(labels['le']) for _, labels, _ in buckets]
    counts = [value for _, _, value in buckets]
    tail = [(name[len(family.name):], labels) for name, labels, _ in samples[len(buckets):]]
    need(tail == [('_sum', others), ('_count', others)], family.name)
    need(len(bounds) > 1 and bounds == sorted(set(bounds)), family.name)
    need(bounds[-1] == float('inf') and counts == sorted(counts), family.name)
    total, count = (value for _, _, value in samples[-2:])
    need(counts[-1] == count, family.name)
    per_bucket = [b - a for a, b in zip([0] + counts, counts)]
    below = [0] + bounds[:-1]
    slack = 1e-9 * max(1, total)
    need(sum(n * low for n, low in zip(per_bucket, below)) <= total + slack, family.name)
    if per_bucket[-1] == 0:
        need(total <= sum(n * high for n, high in zip(per_bucket, bounds[:-1])) + slack, family.name)


def check(family):
    need(family.kind and family.samples, family.name)
    need((family.kind == 'counter') == family.name.endswith('_total'), family.name)
    if family.kind == 'histogram':
        check_histograms(family)
    else:
        keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in family.samples]
        need(len(set(keys)) == len(keys), family.name)


def read(text):
    """All families by name. Each is HELP, TYPE, samples, and stands once."""
    families, last = {}, None
    need(text.endswith('\n'), text[-80:])
    for line in text[:-1].split('\n'):
        if HELP.fullmatch(line):
            name, words = HELP.fullmatch(line).groups()
            need(name not in families and not (last and not last.samples), line)
            last = families[name] = Family(name, words)
        elif TYPE.fullmatch(line):
            name, kind = TYPE.fullmatch(line).groups()
            need(last and last.name == name and last.kind is None, line)
            last.kind = kind
        else:
            match = SAMPLE.fullmatch(line)
            need(match and last and last.kind and last.owns(match.group(1)), line)
            labels = dict(re.findall(LABEL, match.group(2) or ''))
            last.samples.append((match.group(1), labels, float(match.group(match.lastindex))))
    for family in families.values():
        check(family)
    return families


def try_the_reader():
    """It sees what is wrong."""
    head = '# HELP a_total x\n# TYPE a_total counter\n'
    hist = '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} %d\nh_bucket{le="+Inf"} 3\nh_sum %s\nh_count %d\n'
    keyed = '# HELP h x\n# TYPE h histogram\n' + ''.join(
        'h_bucket{k="%s",le="1"} 2\nh_bucket{k="%s",le="+Inf"} 3\nh_sum{k="%s"} 9\nh_count{k="%s"} 3\n' % (k, k, l, k)
        for k, l in ('aa', 'bb'))
    good = [keyed, head + 'a_total 3\n', head + 'a_total{x="y",z="\\n\\""} 3.5\n', hist % (2, '9', 3)]
    bad = [keyed.replace('sum{k="b"}', 'sum'), keyed.replace('"b"', '"a"'), '', head, 'a_total 3\n', head + 'a_total 3', head + 'a_total  3\n', head + 'a_total -3\n',
           head + 'b_total 3\n', head + 'a_total{x=y} 3\n', head + 'a_total{x="\n"} 3\n', head + 'a_total 1e3\n',
           head + 'a_total 3\n' + head + 'a_total 3\n', head + 'a_total 3\n\n', head + 'a_total 3\na_total 3\n',
           head.replace('_total', '') + 'a 3\n', hist % (4, '9', 3), hist % (2, '9', 2), hist % (2, '0.5', 3),
           hist % (3, '9', 3)]
    for text in good:
        read(text)
    for text in bad:
        try:
            read(text)
        except ValueError:
            continue
        raise SystemExit('the reader takes %r' % text)
