#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tools/dev on machines made up for the purpose: bare, without apt, with nothing missing.
#
#   test_dev.sh ROOT
set -euo pipefail

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
mkdir -p "$room/a tree/tools" "$room/bin" "$room/elsewhere"
cp "$1/tools/dev" "$room/a tree/tools/dev"
dev="$room/a tree/tools/dev"

fail() {
    printf 'failed: %s\n' "$1"
    [ $# -lt 2 ] || sed 's/^/    /' "$2"
    exit 1
}

# run STATUS NAME ARGUMENT...: tools/dev on the made-up machine, from another folder.
run() {
    local wanted=$1 name=$2 status=0
    shift 2
    (cd "$room/elsewhere" && TMPDIR="$room/elsewhere" PATH="$room/bin" "$room/bin/bash" "$dev" "$@") \
        >"$room/out" 2>&1 </dev/null || status=$?
    [ "$status" -eq "$wanted" ] || fail "$name: exit status $status, not $wanted" "$room/out"
    [ -z "$(ls -A "$room/elsewhere")" ] || fail "$name: left something behind"
}
said() { grep -q -- "$1" "$room/out" || fail "not said: $1" "$room/out"; }

for tool in awk basename bash cat cut dirname env grep mktemp rm sed sh tail tr; do
    ln -s "$(command -v "$tool")" "$room/bin/$tool"
done
# stub NAME LINE...: a program of the made-up machine
stub() {
    local name=$1
    shift
    printf '%s\n' '#!/bin/sh' "$@" >"$room/bin/$name"
    chmod +x "$room/bin/$name"
}
stub id 'echo 0'
stub nproc 'echo 1'

run 0 'help' help
for command in setup build demo test bench lint sanitize fuzz gpu-check deb vm-test; do said "^  $command"; done
run 2 'an unknown command' frobnicate
said usage
run 77 'gpu-check' gpu-check
said skipped
run 77 'vm-test' vm-test
said skipped
run 77 'deb' deb
said skipped
run 1 'setup of something unknown' setup everything
said everything

run 1 'no apt' setup
said 'no apt'
said 'PCRE2'
said 'meson, 1.0 or newer'

# An apt that knows nothing until its lists are fetched, and then installs what it is told.
stub apt-cache "[ -e '$room/lists' ] && echo 'Candidate: 1.0'" 'exit 0'
stub apt-get "echo \"\$*\" >>'$room/calls'" \
    "case \" \$* \" in" \
    "*' update '*) touch '$room/lists' ;;" \
    "*' install '*)" \
    "    [ -e '$room/lists' ] || exit 100" \
    "    for p in gcc g++ meson ninja pkg-config tmux; do printf '#!/bin/sh\n' >'$room/bin/'\$p; chmod +x '$room/bin/'\$p; done ;;" \
    'esac'
ln -s "$(command -v touch)" "$(command -v chmod)" "$room/bin/"
run 0 'a bare machine' setup
said 'installing gcc libc6-dev meson ninja-build pkg-config'
said 'is there'
[ "$(grep -c update "$room/calls")" -eq 1 ] || fail 'the lists were not fetched once' "$room/calls"
grep -q -- '^-y .* install .* libcmocka-dev$' "$room/calls" || fail 'what was asked of apt' "$room/calls"

rm "$room/calls"
run 0 'nothing is missing' setup
[ ! -e "$room/calls" ] || fail 'apt was called for nothing' "$room/calls"

rm "$room/bin/ninja"
stub apt-get 'echo "E: no such package" >&2' 'exit 100'
run 1 'apt fails' setup
said 'E: no such package'
said 'could not install ninja-build'

stub id 'echo 1000'
run 1 'no root, no sudo' setup
said 'sudo'
echo 'tools/dev behaves on every made-up machine'
