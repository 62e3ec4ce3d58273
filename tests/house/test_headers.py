#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, twice over, and without a warning.

  test_headers.py ROOT COMPILER [ARGUMENT...]
"""
import os
import subprocess
import sys

TOPS = ['runtime', 'kernels', 'transport', 'sched', 'tools']
FLAGS = ['-std=c17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Wpedantic', '-Wundef', '-Wshadow',
         '-Wstrict-prototypes', '-Werror', '-fsyntax-only', '-x', 'c', '-']


def compiles(command, text):
    run = subprocess.run(command, input=text.encode(), stderr=subprocess.PIPE, check=False)
    if run.returncode:
        sys.stdout.write(run.stderr.decode(errors='replace'))
    return run.returncode == 0


def main():
    root, compiler = sys.argv[1], sys.argv[2:]
    command = compiler + ['-I', root] + FLAGS
    print('a header that needs another one first must be refused:')
    if not compiles(command, 'extern int known;\n') or compiles(command, 'extern uint32_t unknown;\n'):
        sys.exit('the compiler cannot tell a good header from a bad one')
    bad, headers = 0, 0
    for top in TOPS:
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(n for n in names if n.endswith('.h')):
                path = os.path.relpath(os.path.join(folder, name), root)
                # The typedef is there so that the unit is never empty.
                text = '#include "%s"\n#include "%s"\ntypedef int se_alone;\n' % (path, path)
                headers += 1
                if not compiles(command, text):
                    print('%s: does not compile alone' % path)
                    bad += 1
    print('%d headers, %d faults' % (headers, bad))
    return 1 if bad or headers == 0 else 0


sys.exit(main())
