#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, twice over, and without a warning.

  test_headers.py ROOT COMPILER [ARGUMENT...]

Not the templates, headers whose opening comment says "Included once", nor those of another
processor than the compiler's. What is written against kernels/cuda/gpu.h is C++, with the words
of the emulator, where the compiler knows that language.
"""
import os
import re
import subprocess
import sys

TOPS = ['runtime', 'kernels', 'transport', 'sched', 'tools']
FLAGS = ['-std=c17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Wpedantic', '-Wundef', '-Wshadow',
         '-Wstrict-prototypes', '-Werror', '-fsyntax-only', '-x', 'c', '-']


# folder of an instruction set: the compiler's macro for that processor, and the flags
PROCESSORS = {
    'kernels/x86': ('__x86_64__', ['-mavx2', '-mfma', '-mf16c', '-mavx512f', '-mavx512bw',
                                   '-mavx512dq', '-mavx512vl', '-mavx512vnni', '-mavx512bf16']),
    'kernels/arm': ('__aarch64__', ['-march=armv8.2-a+dotprod+fp16']),
}


# The flags for C++ in place of those for C.
AS_CXX = {'-std=c17': '-std=c++17', '-Wstrict-prototypes': '-DSE_SIMT', 'c': 'c++'}
CXX = 'kernels/cuda/gpu.h'
OURS = re.compile(r'^#include "(kernels/cuda/[^"]+)"', re.M)


def is_cxx(root, path):
    """Whether the header is, or includes in whatever way, the one that is C++."""
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return path == CXX or any(is_cxx(root, other) for other in OURS.findall(file.read()))


def compiles(command, text, loud=False):
    run = subprocess.run(command, input=text.encode(), stderr=subprocess.PIPE, check=False)
    if run.returncode and loud:
        print(run.stderr.decode(errors='replace'), end='')
    return run.returncode == 0


def main():
    root, compiler = sys.argv[1], sys.argv[2:]
    command = compiler + ['-I', root] + FLAGS
    if (not compiles(command, 'extern int known;\n') or
            compiles(command, 'extern uint32_t unknown;\n')):
        sys.exit('the compiler cannot tell a good header from a bad one')
    as_cxx = [AS_CXX.get(word, word) for word in command]
    knows_cxx = compiles(as_cxx, 'extern bool known;\n')
    here = {folder: flags for folder, (macro, flags) in PROCESSORS.items()
            if compiles(command, '#ifndef %s\n#error\n#endif\nextern int known;\n' % macro)}
    bad, headers = 0, 0
    for top in TOPS:
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            place = os.path.relpath(folder, root)
            if place in PROCESSORS and place not in here:
                continue
            for name in sorted(n for n in names if n.endswith('.h')):
                path = os.path.join(place, name)
                with open(os.path.join(root, path), encoding='utf-8') as file:
                    inside = file.read()
                cxx = is_cxx(root, path)
                if 'Included once' in inside.split('*/')[1] or (cxx and not knows_cxx):
                    continue
                # The typedef is there so that the unit is never empty.
                text = '#include "%s"\n#include "%s"\ntypedef int se_alone;\n' % (path, path)
                headers += 1
                if not compiles((as_cxx if cxx else command) + here.get(place, []), text,
                                loud=True):
                    print('%s: does not compile alone' % path)
                    bad += 1
    print('%d headers, %d faults' % (headers, bad))
    return 1 if bad or headers == 0 else 0


sys.exit(main())
