#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence; a header says its own path, and guards itself by it.

  test_files.py ROOT

A template, a header whose opening comment says "Included once", has no guard.
"""
import os
import re
import sys

TOPS = ['runtime', 'kernels', 'transport', 'sched', 'tools', 'tests']
LICENCE = 'SPDX-License-Identifier: Apache-2.0'
SCRIPT = re.compile(r'\.(py|sh)$')


def guard_of(path):
    return 'SE_' + re.sub(r'[^A-Za-z0-9]', '_', path).upper()


def faults_of(path, text):
    """What is wrong with one file, as lines."""
    lines = text.split('\n')
    found = []
    if re.search(r'\.([ch]|cc|cu)$', path):
        if lines[0] != '/* %s */' % LICENCE:
            found.append('%s:1: is not /* %s */' % (path, LICENCE))
        if path.endswith('.h'):
            if not (len(lines) > 1 and lines[1].startswith('/* %s - ' % path)):
                found.append('%s:2: does not open with "/* %s - what it is"' % (path, path))
            guard = guard_of(path)
            template = 'Included once' in text.split('*/')[1]
            if not template and not re.search(r'^#ifndef %s\n#define %s$' % (guard, guard), text,
                                              re.M):
                found.append('%s: has no guard %s' % (path, guard))
        for number, line in enumerate(lines, 1):
            if '\t' in line or line != line.rstrip():
                found.append('%s:%d: a tab, or blanks at the end' % (path, number))
    elif SCRIPT.search(path) or lines[0].startswith('#!'):
        if not any(LICENCE in line for line in lines[:2]):
            found.append('%s: its first two lines do not say %s' % (path, LICENCE))
    else:
        return [] # data
    if text and not text.endswith('\n'):
        found.append('%s: the last line does not end' % path)
    return found


def try_the_checker():
    spdx = '/* %s */\n' % LICENCE
    head = spdx + ('/* kernels/x.h - x. */\n'
                   '#ifndef SE_KERNELS_X_H\n#define SE_KERNELS_X_H\n#endif\n')
    good = [
        ('kernels/x.c', spdx),
        ('kernels/x.h', head),
        ('kernels/cuda/x.cu', spdx),
        ('tools/dev', '#!/bin/sh\n# %s\n' % LICENCE),
        ('tests/golden/x.json', '{}'),
    ]
    bad = [
        ('kernels/x.c', 'int x;\n'),
        ('kernels/x.c', '\n' + spdx),
        ('kernels/cuda/x.cu', 'int x;\n'),
        ('tests/simt/x.cc', spdx + '\tint x;\n'),
        ('kernels/x.c', spdx + '\tint x;\n'),
        ('kernels/x.c', spdx + 'int x; \n'),
        ('kernels/x.c', spdx + 'int x;'),
        ('kernels/y.h', head),
        ('kernels/x.h', head.replace('X_H', 'Y_H')),
        ('kernels/x.h', spdx),
        ('tests/x.sh', '#!/bin/sh\n'),
        ('tools/dev', '#!/bin/sh\n'),
    ]
    for path, text in good:
        if faults_of(path, text):
            sys.exit('the checker refuses %s: %s' % (path, faults_of(path, text)))
    for path, text in bad:
        if not faults_of(path, text):
            sys.exit('the checker does not see the fault in %s: %r' % (path, text))


def main():
    root = sys.argv[1]
    try_the_checker()
    found, files = [], 0
    for top in TOPS:
        for folder, folders, names in sorted(os.walk(os.path.join(root, top))):
            folders[:] = [f for f in folders if f not in ('corpus', '__pycache__')]
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                try:
                    with open(os.path.join(root, path), encoding='utf-8') as file:
                        text = file.read()
                except UnicodeDecodeError:
                    continue # data
                found += faults_of(path, text)
                files += 1
    print('\n'.join(found + ['%d files, %d faults' % (files, len(found))]))
    return 1 if found or files == 0 else 0


sys.exit(main())
