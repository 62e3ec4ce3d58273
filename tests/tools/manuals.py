#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What --help, manual pages, configuration files, documents and code say is the same.

  manuals.py ROOT PROGRAM...      PROGRAM: one that was built; all there are
"""
import os
import re
import subprocess
import sys

ALWAYS = {('', 'help'), ('', 'version'), ('h', 'help'), ('V', 'version')}
ELSEWHERE = {'systemd.service', 'systemctl', 'journalctl', 'promtool', 'ssh', 'sshd'} # pages of others
HIDDEN = {'check-draft'} # se-run's, for tests: in no --help
faults = []
checks = 0


def fault(text, *values):
    faults.append(text % values)


def count():
    global checks
    checks += 1


def output_of(*command):
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if run.returncode:
        sys.exit('%s: exit code %d: %s' % (' '.join(command), run.returncode, run.stderr))
    return run.stdout


class Option:
    def __init__(self, short, name, argument, default, text):
        self.short, self.name, self.argument = short, name, argument
        self.default, self.text = default, text


OPTION = re.compile(r'^  (?:-(.), |    )--([a-z0-9-]+)(?: ([^ ].*?))?(?:  \((.*)\))?$')


def options_of_help(text):
    """Options by name. A line of explanation begins further right."""
    found, last = {}, None
    for line in text.splitlines():
        match = OPTION.match(line)
        if match:
            short, name, argument, notes = match.groups()
            default = re.match(r'default ([^;]*)', notes or '')
            if name in found:
                fault('--help has --%s twice', name)
            last = Option(short or '', name, argument or '', default.group(1) if default else '', '')
            found[name] = last
        elif last and line.startswith('        '):
            last.text += ' ' + line.strip()
        else:
            last = None
    return found


def verbs_of_help(text):
    part = re.search(r'^Verbs:\n((?:  .*\n)+)', text, re.M)
    return [line.split()[0] for line in part.group(1).splitlines()] if part else []


def read_program(path):
    """Of each verb ('' if there are none): its options."""
    top = output_of(path, '--help')
    verbs = verbs_of_help(top)
    if not verbs:
        return {'': options_of_help(top)}
    return {verb: options_of_help(output_of(path, verb, '--help')) for verb in verbs}


def plain(line):
    """A line of mdoc as a reader sees it, roughly."""
    line = re.sub(r'^\.(?:It |)', '', line)
    line = re.sub(r'\b(?:Fl|Ar|Cm|Pa|Dq|Xr|Nm|Ev|Op|Ns|Ql|Em|Li|Va|Dl|Sx) ', '', line)
    return line.replace('\\&', '').replace('\\(en', '-')


def items_of_manual(path):
    """What each '.It Fl' tells: its subsection, the options in it, and its paragraph. Items without
    words of their own share those of the next one that has some."""
    items, current, section = [], None, ''
    with open(path, encoding='utf-8') as file:
        for line in file.read().splitlines():
            if line.startswith(('.Sh ', '.Ss ')):
                section, current = line.split()[1] if line.startswith('.Ss') else '', None
            elif line.startswith('.It'):
                current = [section, names_of_item(line), plain(line)] if line.startswith('.It Fl') else None
                if current:
                    items.append(current)
            elif line.startswith('.El'):
                current = None
            elif current:
                current[2] += '\n' + plain(line)
    for item, following in zip(reversed(items[:-1]), reversed(items)):
        if '\n' not in item[2] and item[0] == following[0]:
            item[2] += following[2]
    return items


def names_of_item(line):
    """'.It Fl t , -threads Ar n' and '.It Fl -a Ar n , Fl -b': pairs of short and long names."""
    names, short = [], ''
    for flag, other in re.findall(r'\bFl (\S+)|, (-\S+)', line):
        word = flag or other
        if word.startswith('-'):
            names.append((short, word[1:]))
            short = ''
        elif len(word) == 1:
            short = word
    return names


def is_told_elsewhere(root, program, verb):
    """'...: the verb "bench" of se-model(1), where its options stand'."""
    with open('%s/docs/man/%s.1' % (root, program), encoding='utf-8') as file:
        part = re.search(r'^\.Ss %s\b.*?(?=^\.S[sh])' % verb, file.read(), re.M | re.S)
    return part and 'where its options stand' in part.group(0)


def check_manual(root, program, verbs):
    path = os.path.join(root, 'docs/man', program + '.1')
    if not os.path.exists(path):
        fault('%s has no manual page %s', program, path)
        return
    items = items_of_manual(path)
    for verb, options in verbs.items():
        if verb and is_told_elsewhere(root, program, verb):
            continue
        mine = [item for item in items if not verb or item[0] == verb or item[0] not in verbs]
        known = {(o.short, o.name) for o in options.values()}
        told = {pair for _, names, _ in mine for pair in names}
        for short, name in sorted(known - told - ALWAYS):
            fault('%s %s: --%s%s is in --help and not in the manual page', program, verb, name,
                  short and ' (-%s)' % short)
        own = {pair for section, names, _ in mine for pair in names if section == verb or not verb}
        for short, name in sorted(own - known - ALWAYS):
            fault('%s %s: --%s%s is in the manual page and not in --help', program, verb, name,
                  short and ' (-%s)' % short)
        for o in options.values():
            check_default(program, verb, o, [t for _, names, t in mine if (o.short, o.name) in names])
        count()


def check_default(program, verb, option, texts):
    """A default that is worth a word is told, and is the one of the program."""
    count()
    if option.default in ('', '0', '1', 'auto', 'stored') or len(option.default) > 40 or not texts:
        return
    words = {option.default, re.sub(r'(\d)([a-z]+)$', r'\1 \2', option.default)}
    if not any(re.search(r'(^|[^\w.])%s($|[^\w])' % re.escape(w), t) for w in words for t in texts):
        fault('%s %s: the manual page does not tell the default of --%s, %s', program, verb, option.name,
              option.default)


def check_references(root):
    pages = {name.rsplit('.', 1)[0]: name.rsplit('.', 1)[1] for name in os.listdir(root + '/docs/man')}
    for name, section in pages.items():
        with open('%s/docs/man/%s.%s' % (root, name, section), encoding='utf-8') as file:
            text = file.read()
        if '.Dt %s %s' % (name.upper(), section) not in text or '.Nm %s' % name not in text:
            fault('docs/man/%s.%s calls itself something else', name, section)
        for other, number in re.findall(r'^\.Xr (\S+) (\d)', text, re.M):
            if other not in ELSEWHERE and pages.get(other) != number:
                fault('docs/man/%s.%s refers to %s(%s), which there is not', name, section, other, number)
            count()


def check_exit_codes(root, program):
    with open('%s/tools/%s.c' % (root, program), encoding='utf-8') as file:
        table = re.search(r'se_program_end ends\[\] = \{(.*?)\};', file.read(), re.S)
    codes = re.findall(r'\{ *\w+, (\d+) *\}', table.group(1)) if table else []
    with open('%s/docs/man/%s.1' % (root, program), encoding='utf-8') as file:
        told = re.search(r'^\.Sh EXIT STATUS\n(.*?)^\.Sh', file.read(), re.M | re.S)
    if not told:
        fault('%s: its manual page has no EXIT STATUS', program)
        return
    for code in codes:
        if not re.search(r'(^|\D)%s(\D|$)' % code, told.group(1), re.M):
            fault('%s: its manual page does not tell exit code %s', program, code)
        count()


def check_configuration(root, path, name):
    with open('%s/conf/%s.yaml' % (root, name), encoding='utf-8') as file:
        if file.read() != output_of(path, '--print-conf'):
            fault('conf/%s.yaml is not what %s --print-conf prints', name, os.path.basename(path))
    count()


def check_documents(root, programs):
    """Whatever is told to a program in a document, it understands."""
    documents = [root + '/README.md', root + '/NEWS.md']
    for folder, _, names in os.walk(root + '/docs'):
        documents += [os.path.join(folder, n) for n in names if n.endswith('.md')]
    for path in documents:
        with open(path, encoding='utf-8') as file:
            text = file.read().replace('\\\n', ' ')
        spans = re.findall(r'`([^`\n]+)`', text) + [line for block in re.findall(r'```.*?\n(.*?)```', text, re.S)
                                                  for line in block.splitlines()]
        for span in spans:
            for command in re.split(r'[|;&]', span):
                check_command(os.path.relpath(path, root), command, programs)


def check_command(where, command, programs):
    words = command.split()
    names = [i for i, word in enumerate(words) if os.path.basename(word) in programs]
    if not names or set(words[:names[0]]) & {'systemctl', 'journalctl', 'man'}: # about it, not to it
        return
    program = os.path.basename(words[names[0]])
    verbs = programs[program]
    rest = words[names[0] + 1:]
    chosen = [verbs[w] for w in rest[:1] if w in verbs] or list(verbs.values())
    known = {name for options in chosen for name in options} | {'help', 'version'}
    for word in rest:
        if word.startswith('#'):
            break
        match = re.match(r'--([a-z][a-z0-9-]*)', word)
        if match:
            count()
            if match.group(1) not in known | HIDDEN:
                fault('%s: %s knows no --%s: %s', where, program, match.group(1), command.strip())


def check_metrics(root):
    with open(root + '/tools/metric.c', encoding='utf-8') as file:
        names = set(re.findall(r'[{,]\s+"([a-z_]+)"', file.read()))
    if len(names) < 30:
        sys.exit('the table of metrics is not found')
    with open(root + '/docs/operating.md', encoding='utf-8') as file:
        told = set(re.findall(r'\bspecedge_([a-z_]+[a-z])\b', file.read()))
    for name in sorted(told):
        base = re.sub(r'_(bucket|sum|count)$', '', name)
        if base not in names | {'build_info', 'ready'} and name not in names:
            fault('docs/operating.md tells of specedge_%s, which there is not', name)
        count()


def try_the_checks():
    help_text = 'Options:\n  -c, --config FILE\n        words\n      --wait TIME  (default 20ms; 0 to 1m)\n        more\n'
    options = options_of_help(help_text)
    assert [(o.short, o.name, o.default) for o in options.values()] == [('c', 'config', ''), ('', 'wait', '20ms')]
    assert names_of_item('.It Fl t , -threads Ar n') == [('t', 'threads')]
    assert names_of_item('.It Fl -a Ar n , Fl -b Cm x | y') == [('', 'a'), ('', 'b')]
    assert names_of_item('.It Fl -nodes Ar m , Fl -meet Ar host : Ns Ar port') == [('', 'nodes'), ('', 'meet')]
    check_command('here', 'se-x --config a --nonsense', {'se-x': {'': options}})
    assert len(faults) == 1
    faults.clear()


def main():
    root, paths = sys.argv[1], sys.argv[2:]
    try_the_checks()
    programs = {os.path.basename(path): read_program(path) for path in paths}
    for program, verbs in programs.items():
        check_manual(root, program, verbs)
        check_exit_codes(root, program)
    for path in paths:
        for name in {'se-serverd': ['server'], 'se-run': ['edge']}.get(os.path.basename(path), []):
            check_configuration(root, path, name)
    check_references(root)
    check_documents(root, programs)
    check_metrics(root)
    print('\n'.join('FAULT: ' + f for f in faults))
    print('%d checks, %d faults' % (checks, len(faults)))
    return 1 if faults or checks < 100 else 0


sys.exit(main())
