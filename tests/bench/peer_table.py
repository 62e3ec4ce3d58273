#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what peer_llama.sh collected, as markdown.

    peer_table.py OUT_DIR

One line for each shape, precision, number of threads, context and number of rows: median and
range of all samples on both sides, and how many times faster we are (median by median). Of
llama.cpp's 16-bit formats the faster is the measure and the other is shown beside it. Then the
price of a 33-row tree in single rows.
"""
import glob
import json
import os
import re
import statistics
import sys

NAME = re.compile(r"^(.+)\.(\w+)\.c(\d+)\.t(\d+)\.(\w+)\.(\d+)\.json$")


def samples(folder):
    """(shape, weights, threads, context, rows, tree) -> {"ours" or a format: [ms]}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        m = NAME.match(os.path.basename(path))
        if not m:
            continue
        shape, weights, context, threads, side, _ = m.groups()
        with open(path, encoding="utf-8") as f:
            answer = json.load(f)
        for r in answer["results"]:
            key = (shape, weights, int(threads), int(context), r["rows"], bool(r.get("tree")))
            found.setdefault(key, {}).setdefault(side, []).extend(r["ms"])
    return found


def span(ms):
    return f"{statistics.median(ms):.1f} ({min(ms):.1f} - {max(ms):.1f})"


def speed_table(found):
    print("| shape | weights | threads | context | rows | ours, ms | llama.cpp, ms | ratio | n |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for key in sorted(found):
        sides = dict(found[key])
        ours = sides.pop("ours", None)
        if ours is None or not sides:
            continue
        by_speed = sorted(sides, key=lambda s: statistics.median(sides[s]))
        theirs = "; ".join(f"{s} {span(sides[s])}" for s in by_speed)
        ratios = " / ".join(
            f"{statistics.median(sides[s]) / statistics.median(ours):.2f}" for s in by_speed)
        shape, weights, threads, context, rows, tree = key
        rows = f"{rows} tree" if tree else rows
        counts = " / ".join(str(len(s)) for s in [ours] + [sides[s] for s in by_speed])
        print(f"| {shape} | {weights} | {threads} | {context} | {rows} | {span(ours)} | {theirs} "
              f"| {ratios} | {counts} |")


def tree_table(found):
    print("\n| shape | weights | threads | context | side | 33 rows over 1 row |")
    print("|---|---|--:|--:|---|--:|")
    for key in sorted(found):
        one = found.get(key[:4] + (1, False))
        if key[4] != 33 or not one:
            continue
        kind = "tree" if key[5] else "chain"
        for side in sorted(found[key]):
            if side in one:
                ratio = statistics.median(found[key][side]) / statistics.median(one[side])
                print(f"| {key[0]} | {key[1]} | {key[2]} | {key[3]} | {side} "
                      f"| {ratio:.2f} ({kind}) |")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = samples(sys.argv[1])
    if not found:
        sys.exit(f"{sys.argv[1]}: no results")
    speed_table(found)
    tree_table(found)


main()
