#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Gather public-domain tales into one clean plain-text corpus.

  1_corpus.py --mirror DIR --sources sources.tsv --out DIR

DIR/<owner>+<name>/repo (or repo/.git) are bare git snapshots of the repositories in sources.tsv.
Writes OUT/train.txt and OUT/valid.txt (one paragraph a line, one blank line between documents; a
document is a chapter or a tale), OUT/prompts.jsonl (40 openings from the held-out text) and
OUT/SOURCES.md.
"""
import argparse, hashlib, html, json, os, random, re, subprocess

SKIP = re.compile(r'^\W*(contents|preface|introduction|notes?( and references)?|oyez.*|footnotes?|'
                  r'appendix|index|glossary|dedication|list of illustrations|illustrations|bibliograph.*|'
                  r'to my readers|(the )?author.s note|to the reader|foreword|transcriber.*|by the same author|'
                  r'table of pronunciation|pronunciation)\W*$', re.I)
ASCII = {'\u2018': "'", '\u2019': "'", '\u201a': "'", '\u201b': "'", '\u201c': '"', '\u201d': '"',
         '\u201e': '"', '\u2013': '-', '\u2012': '-', '\u2011': '-', '\u2014': '--', '\u2015': '--',
         '\u2e3a': '----', '\u2026': '...', '\u00a0': ' ', '\u2060': '', '\u200a': '', '\u2009': ' ',
         '\u200b': '', '\ufeff': '', '\u00ad': '', '\u00e6': 'ae', '\u00c6': 'AE', '\u0153': 'oe',
         '\u0152': 'OE', '\u00a3': 'L', '\u00e9': 'e', '\u00e8': 'e', '\u00ea': 'e', '\u00e0': 'a',
         '\u00e2': 'a', '\u00e4': 'a', '\u00e5': 'a', '\u00e7': 'c', '\u00ef': 'i', '\u00ee': 'i',
         '\u00f4': 'o', '\u00f6': 'o', '\u00f8': 'o', '\u00fb': 'u', '\u00fc': 'u', '\u00eb': 'e',
         '\u00f1': 'n', '\u00ed': 'i', '\u00f3': 'o', '\u00e1': 'a', '\u00fa': 'u', '\u00d6': 'O',
         '\u00c5': 'A', '\u00c4': 'A', '\u00c9': 'E', '\u00dc': 'U'}


def tidy(s):
    s = ''.join(ASCII.get(c, c) for c in s)
    s = re.sub(r'\[\d+\]|\{\d+\}|\[[A-Za-z]\]|\(\d+\)', '', s)           # footnote marks
    s = re.sub(r'\[(Illustration|Footnote|Transcriber|Sidenote|Note)[^\]]*\]', '', s, flags=re.I)
    s = s.replace('_', '').replace('=', '').replace('*', '')
    s = s.replace('``', '"').replace("''", '"').replace('`', "'")
    s = re.sub(r' ?-{2,} ?', lambda m: '--', s)
    return re.sub(r'\s+', ' ', s).strip()


NOTES = re.compile(r'^(Sources?|Parallels?|Remarks?|Notes?|Variants?)\.--|E-?TEXT|PROJECT GUTENBERG|LIMITED WARRANTY|'
                   r'^The Brothers Grimm, Jacob')
KEEP = r"(?!(?:tis|twas|twere|twill|twould|em|bout|cause|til|un|ud)\b)"


def uniform(doc):
    """House style for one document: no drop-cap capitals, and dialogue in double quotes."""
    doc = [re.sub(r"^([\"']?)([A-Z][A-Z' ,]*[A-Z])(?= [a-z]|, [a-z])",
                  lambda m: m[1] + (m[2].capitalize() if m[2].split()[0] != 'I' else m[2]), p) for p in doc]
    text = '\n'.join(doc)
    if len(re.findall(r"[,.!?]'(?=\s|$)", text)) > text.count('"'):
        doc = [re.sub(r"([,.!?;:-])'(?=\s|$|-)", r'\1"',
                      re.sub(r"(^|[\s(-])'(?=" + KEEP + "[A-Za-z])", r'\1"', p.replace('"', "'"))) for p in doc]
    return doc


def show(git, path):
    return subprocess.run(['git', '--git-dir', git, 'show', 'HEAD:' + path], check=True,
                          stdout=subprocess.PIPE).stdout


def from_se(git):
    """Standard Ebooks: every <p> of the chapters in spine order; one document per file."""
    opf = show(git, 'src/epub/content.opf').decode()
    for name in re.findall(r'<itemref idref="([^"]+)"', opf):
        if re.match(r'(titlepage|imprint|dedication|preface|introduction|foreword|halftitle|epigraph|endnotes|'
                    r'colophon|uncopyright|loi|glossary|afterword|authors?-note)', name):
            continue
        x = show(git, 'src/epub/text/' + name).decode()
        x = re.sub(r'(?s)<(header|hgroup|blockquote|figure|table|h\d)\b.*?</\1>', '', x)
        x = re.sub(r'<a [^>]*noteref[^>]*>.*?</a>', '', x)
        x = re.sub(r'<br\s*/>', ' ', x)
        yield [html.unescape(re.sub(r'<[^>]+>', '', p)) for p in re.findall(r'(?s)<p\b[^>]*>(.*?)</p>', x)]


def from_pg(git, path):
    """Project Gutenberg text: cut header, footer, headings and front matter; unwrap paragraphs."""
    raw = show(git, path)
    try:
        t = raw.decode('utf-8')
    except UnicodeDecodeError:
        t = raw.decode('latin-1')
    t = t.replace('\r\n', '\n').replace('\r', '\n')
    m = re.search(r'\*\*\* ?START OF.*?\*\*\*', t, re.S)
    t = t[m.end():] if m else t
    m = re.search(r'\*\*\* ?END OF|End of (the |this )?Project Gutenberg', t)
    t = t[:m.start()] if m else t
    doc, skipping = [], True                       # skip front matter until the first real heading
    for block in re.split(r'\n[ \t]*\n', t):
        lines = [l for l in block.split('\n') if l.strip()]
        if not lines:
            continue
        one = ' '.join(l.strip() for l in lines)
        letters = re.sub(r'[^A-Za-z]', '', one)
        heading = len(one) < 90 and len(lines) <= 3 and letters and (
            letters.isupper() or re.match(r'(chapter|part|book|story) [ivxlc\d]+\b', one, re.I)
            or (len(lines) == 1 and not re.search(r'[.!?,;:"\u201d\u2019\')-]$', one)))
        if heading:
            if doc:
                yield doc
            doc, skipping = [], bool(SKIP.match(one))
            continue
        short = sum(len(l.strip()) for l in lines) / len(lines)
        if len(lines) >= 2 and (short < 46 or all(l.startswith('  ') for l in lines)):
            continue                               # verse, tables of contents, captions
        if re.search(r'Gutenberg|Produced by|E-?text|Transcri|Illustrat|ISBN|http|www\.|\bBy \w+ \w+$|'
                     r'Proofread|[Cc]opyright|\bed\.|\bpp?\. \d|\bvol\.|\bSource\b', one):
            continue
        if not skipping:
            doc.append(re.sub(r'\s+', ' ', one))
    if doc:
        yield doc


def main():
    a = argparse.ArgumentParser()
    a.add_argument('--mirror', required=True)
    a.add_argument('--sources', required=True)
    a.add_argument('--out', required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    seen, docs, rows = set(), [], []
    for line in open(a.sources):
        if line.startswith('#'):
            continue
        kind, repo, path, author, title = line.rstrip('\n').split('\t')
        git = os.path.join(a.mirror, repo.replace('/', '+'), 'repo')
        if os.path.isdir(git + '/.git'):
            git += '/.git'
        n = 0
        for doc in (from_se(git) if kind == 'se' else from_pg(git, path)):
            keep = []
            for p in uniform(list(map(tidy, doc))):
                if NOTES.search(p) or len(p) < 2 or not re.search(r'[a-z]', p) or any(ord(c) > 126 for c in p):
                    continue
                h = hashlib.md5(re.sub(r'\W', '', p.lower()).encode()).digest()
                if len(p) > 80 and h in seen:      # the same tale in another book
                    continue
                seen.add(h)
                keep.append(p)
            size = sum(len(p) + 1 for p in keep)
            if size >= 400 and not any(NOTES.search(tidy(p)) for p in doc):
                docs.append(keep)
                n += size
        rows.append((kind, repo, path, author, title, n))
        print('%8d  %s' % (n, title))
    rng = random.Random(1)
    order = list(range(len(docs)))
    rng.shuffle(order)
    total = sum(r[-1] for r in rows)
    valid, size = set(), 0
    for i in order:                                # hold out ~1% in whole documents of middling size
        s = sum(map(len, docs[i]))
        if size < 0.011 * total and 2000 < s < 30000:
            valid.add(i)
            size += s
    with open(a.out + '/train.txt', 'w') as tr, open(a.out + '/valid.txt', 'w') as va:
        for i, d in enumerate(docs):
            (va if i in valid else tr).write('\n'.join(d) + '\n\n')
    prompts = []
    for i in sorted(valid):                        # openings: document starts, then inner paragraphs
        for k in [0] + rng.sample(range(len(docs[i])), min(6, len(docs[i]))):
            s = re.split(r'(?<=[.!?])\s+(?=[A-Z])', docs[i][k])
            p = s[0] if len(s[0]) >= 60 or len(s) < 2 else s[0] + ' ' + s[1]
            if 60 <= len(p) <= 260 and p[-1] in '.!?' and p[0].isupper() and '"' not in p:
                prompts.append((k != 0, p))
    rng.shuffle(prompts)
    prompts = [p for _, p in sorted(prompts, key=lambda x: x[0])]
    prompts = list(dict.fromkeys(prompts))[:40]
    with open(a.out + '/prompts.jsonl', 'w') as f:
        for i, p in enumerate(prompts):
            f.write(json.dumps({'id': i, 'prompt': p}) + '\n')
    with open(a.out + '/SOURCES.md', 'w') as f:
        f.write('# Sources of the training text\n\nAll texts are in the public domain: every author and every '
                'named translator or editor died before 1948 (year of death in brackets), and every book was '
                'published before 1927 (years from general knowledge, not looked up one by one; a few '
                'translators and helpers are unnamed). Kind `pg`: Project Gutenberg text as kept by GITenberg, with header, '
                'footer, licence text, headings, contents, prefaces, notes and verse removed, so that no '
                'Project Gutenberg matter or mark remains. Kind `se`: Standard Ebooks, whose own '
                'contributions are dedicated to the public domain (CC0 1.0). Bytes are those kept after '
                'cleaning and de-duplication.\n\n| title | author | kind | repository (GitHub) | file | bytes kept |\n'
                '| --- | --- | --- | --- | --- | ---: |\n')
        for kind, repo, path, author, title, n in rows:
            f.write('| %s | %s | %s | %s | %s | %d |\n' % (title, author, kind, repo, path, n))
        f.write('\nTotal: %d bytes in %d documents; held out: %d documents, %d bytes.\n'
                % (total, len(docs), len(valid), size))
    print('total', total, 'documents', len(docs), 'valid', len(valid), size, 'prompts', len(prompts))


main()
