#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-bench at the command line: what it prints, how it ends, what it says when it cannot.
#
#   test_se_bench.sh SE_BENCH ROOT
set -u
export LC_ALL=C

program=$1
root=$2
corpus=$root/tests/transport/corpus/fuzz_wire
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"

usage() {
    shows '^se-bench [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows '^  wire ' --help
    shows '^Usage: se-bench wire ' wire --help
    told_by_manual "$root/docs/man/se-bench.1" wire
    refuses 2 'which verb.*wire'
    refuses 2 'no verb "wires".*wire' wires
    refuses 2 'no option "--json" before the verb' --json
    refuses 2 'one word too many' wire 32
    refuses 2 'no such option; did you mean --nodes' wire --node 32
    refuses 2 'nodes.*out of range' wire --nodes 1024
    refuses 2 'vocab.*out of range' wire --vocab 0
    refuses 2 'repeat.*out of range' wire --repeat 0
    refuses 2 'value is missing' wire --dump
    if [ -w /dev/full ]; then
        "$program" wire --repeat 1 >/dev/full 2>"$work/err" && fault 'a full disk is no error'
        grep -q 'standard output' "$work/err" || fault "full disk: $(cat "$work/err")"
    fi
}

# What the format promises: 32 drafted nodes at the vocabulary of Qwen3 in 128 bytes, the answer
# in 40. How long it takes is told, not judged.
sizes() {
    shows 'VERIFY 117 bytes, RESULT 40 bytes' wire --repeat 10
    cat >"$work/check.py" <<'PY'
import json, sys
b = json.load(sys.stdin)
assert b["nodes"] == int(sys.argv[1]) and b["samples"] == 20, b
assert b["verify_bytes"] == int(sys.argv[2]) and b["result_bytes"] == 40, b
for path in "verify_encode", "verify_decode", "result_encode", "result_decode", "arrange":
    t = b[path]
    assert 0 < t["p50"] <= t["p99"] <= t["p999"] <= t["max"], b
assert b["encode_ns"] == b["verify_encode"]["p50"], b
assert b["decode_ns"] == b["verify_decode"]["p50"], b
PY
    for size in '0 151936 37' '1 2 36' '32 151936 117' '32 128256 113' '32 2048 88' \
        '64 151936 197' '1023 151936 2594'; do
        # shellcheck disable=SC2086  # three words
        set -- $size
        run wire --nodes "$1" --vocab "$2" --repeat 20 --json
        checks=$((checks + 1))
        python3 "$work/check.py" "$1" "$3" <"$work/out" || fault "wire $size: $(cat "$work/out")"
    done
}

frames() {
    for type in hello welcome prefill verify result cancel bye ping stats error resume; do
        name=$(printf '%s' "$type" | tr '[:lower:]' '[:upper:]')
        shows "^$name, [0-9]+ bytes, version 1, session [0-9a-f]{16}\$" wire --dump "$corpus/$type"
        mv "$work/out" "$work/raw"
        # The same in hexadecimal, on the command line and in a file.
        hex=$(od -An -v -tx1 "$corpus/$type")
        shows "^$name" wire --dump "$hex"
        cmp -s "$work/raw" "$work/out" || fault "$type: hexadecimal and file differ"
        echo "$hex" >"$work/hex"
        shows "^$name" wire --dump "$work/hex"
        cmp -s "$work/raw" "$work/out" || fault "$type: file of hexadecimal and file differ"
    done
    shows '^  text +ids are missing$' wire --dump "$corpus/error"
    shows '^  5 +2  65536$' wire --dump "$corpus/verify"
    shows '^  ids +151643 17 151935 0 1 65536$' wire --dump "$corpus/prefill"
    shows '^  temp +0.75$' wire --dump "$corpus/hello"
    refuses 1 'cut short' wire --dump "$corpus/short"
    refuses 1 'VERIFY: bits that are no tree' wire --dump "$corpus/shape"
    refuses 1 'cut short' wire --dump 5345
    refuses 1 'not a frame of this protocol' wire --dump 00000000000000000000000000000000
    refuses 1 'neither a frame in hexadecimal nor a file' wire --dump "$work/none"
    head -c 100000 /dev/zero >"$work/large"
    refuses 1 'more than any frame' wire --dump "$work/large"
}

try_the_checks
usage
sizes
frames
conclude
