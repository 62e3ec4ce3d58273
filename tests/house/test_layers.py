#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No room includes from a room above it, or beside it, unless the table says so.

  test_layers.py ROOT

A file reaches another by its path from the root ("runtime/base/err.h") and in no other way.
A library from outside is included by the rooms that the second table names, so that a
dependency cannot spread unnoticed. First the checker is tried on includes known to be bad.
"""
import fnmatch
import os
import re
import sys

# room: rooms whose headers it may include beside its own. docs/architecture.md explains it.
ROOMS = {
    'runtime/base': [],
    'kernels': ['runtime/base'],
    'kernels/cuda': ['runtime/base', 'kernels', 'tests/simt'], # the emulator, where it is no GPU's
    'runtime/text': ['runtime/base'],
    'runtime/tree': ['runtime/base'],
    'runtime/model': ['runtime/base', 'runtime/tree', 'kernels', 'kernels/cuda'],
    'tests/simt': [],
    'transport': ['runtime/base', 'runtime/tree'],
    'sched': ['runtime/base', 'kernels', 'runtime/text', 'runtime/tree', 'runtime/model',
              'transport'],
    'tools': ['runtime/base', 'kernels', 'runtime/text', 'runtime/tree', 'runtime/model',
              'transport', 'sched'],
}

# header from outside, or a pattern of such: rooms that may include it
OUTSIDE = {
    'ck_*.h': ['sched'],
    'cuda*.h': ['kernels/cuda'],
    'curses.h': ['tools'],
    'histedit.h': ['tools'],
    'infiniband/*.h': ['transport'],
    'jansson.h': ['runtime/text', 'runtime/model', 'tools'],
    'microhttpd.h': ['tools'],
    'pcre2.h': ['runtime/text'],
    'rdma/*.h': ['transport'],
    'utf8proc.h': ['runtime/text'],
    'yaml.h': ['runtime/base'],
    'zmq.h': ['transport'],
}
# These folders hold rooms and nothing else.
TOPS = ['runtime', 'kernels', 'transport', 'sched', 'tools']
SOURCE = re.compile(r'\.(c|h|cu|S)$')
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    """The room that a path from the root lies in, or None."""
    inside = [room for room in ROOMS if path.startswith(room + '/')]
    return max(inside, key=len) if inside else None


def is_stranger(name, room):
    """Whether the header is an outside library's that the room has no business with."""
    return any(fnmatch.fnmatch(name, pattern) and room not in rooms
               for pattern, rooms in OUTSIDE.items())


def faults_of(path, text, exists):
    """What is wrong with the includes of one file, as lines."""
    room = room_of(path)
    if room is None:
        return ['%s: lies in no room of the table' % path]
    found = []
    for match in INCLUDE.finditer(text):
        where = '%s:%d: ' % (path, text.count('\n', 0, match.start(1)) + 1)
        name = match.group(2)
        if match.group(1) == '<':
            if is_stranger(name, room):
                found.append(where + '<%s> is not for %s' % (name, room))
            elif room_of(name):
                found.append(where + 'our own header <%s> wants quotes' % name)
        elif not exists(name):
            found.append(where + '"%s" is no path from the root' % name)
        elif room_of(name) != room and room_of(name) not in ROOMS[room]:
            found.append(where + '%s includes "%s"' % (room, name))
    return found


def try_the_checker():
    """Every kind of fault is seen, and what is right is left alone."""
    good = [
        ('kernels/norm.c', '#include "runtime/base/err.h"\n#include <math.h>\n'),
        ('kernels/x86/norm_avx2.c', '#include "kernels/norm.h"\n'),
        ('kernels/cuda/gpu.h', '#include "tests/simt/simt.h"\n#include <cuda_fp16.h>\n'),
        ('runtime/model/config.c', '#include <jansson.h>\n#include "kernels/norm.h"\n'),
        ('tools/se-model.c', '#include "runtime/text/chat.h"\n'),
        ('sched/ring.c', '#include <ck_ring.h>\n#include "transport/bell.h"\n'),
    ]
    bad = [
        ('runtime/base/err.c', '#include "kernels/norm.h"\n'),
        ('kernels/norm.c', 'int x;\n  #  include "runtime/model/step.h"\n'),
        ('runtime/text/chat.c', '#include "runtime/tree/tree.h"\n'),
        ('runtime/tree/grow.c', '#include "runtime/model/step.h"\n'),
        ('transport/wire.c', '#include "runtime/model/step.h"\n'),
        ('runtime/model/step.c', '#include "transport/wire.h"\n'),
        ('runtime/model/step.c', '#include "step.h"\n'),
        ('runtime/model/step.c', '#include "../tree/tree.h"\n'),
        ('runtime/model/step.c', '#include <kernels/norm.h>\n'),
        ('runtime/base/conf.c', '#include <jansson.h>\n'),
        ('transport/loop.c', '#include <ck_ring.h>\n'),
        ('tools/se-model.c', '#include <yaml.h>\n'),
        ('sched/slot.c', '#include "tools/options.h"\n'),
        ('kernels/norm.c', '#include "tests/golden.h"\n'),
        ('kernels/norm.c', '#include "tests/simt/simt.h"\n'),
        ('kernels/norm.c', '#include "kernels/cuda/gpu.h"\n'),
        ('runtime/model/step.c', '#include <cuda_runtime.h>\n'),
        ('sched/server/server.c', '#include <microhttpd.h>\n'),
        ('runtime/new/thing.c', ''),
    ]

    def exists(name):
        return '/' in name and '..' not in name

    for path, text in good:
        if faults_of(path, text, exists):
            sys.exit('the checker refuses %s: %s' % (path, faults_of(path, text, exists)))
    for path, text in bad:
        if not faults_of(path, text, exists):
            sys.exit('the checker does not see the fault in %s: %r' % (path, text))


def main():
    root = sys.argv[1]
    try_the_checker()
    found, files = [], 0
    for top in TOPS:
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(filter(SOURCE.search, names)):
                path = os.path.relpath(os.path.join(folder, name), root)
                with open(os.path.join(root, path), encoding='utf-8') as file:
                    text = file.read()
                found += faults_of(path, text,
                                   lambda name: os.path.isfile(os.path.join(root, name)))
                files += 1
    print('\n'.join(found + ['%d files, %d faults' % (files, len(found))]))
    return 1 if found or files == 0 else 0


sys.exit(main())
