#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A rank of a server is killed while it answers: the server says so and ends, and who asked goes on
# with the next one, to the same text.
#
#   test_gone.sh SE_MODEL SE_SERVERD SE_RUN ROOT
set -u
export LC_ALL=C

program=$1
serverd=$2
run=$3
root=$4
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
target=$root/models/tales-target
url=ipc://$work/socket
tokens=100
server=
# shellcheck disable=SC2154  # of the helpers
trap '[ -z "$server" ] || kill -KILL "$server" 2>/dev/null; rm -rf "$work"' EXIT

# await COMMAND...: until it succeeds, for a minute at most
await() {
    left=3000
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.02
    done
}

serve() {
    "$serverd" --model "$target" --tp 2 --threads 1 --backend cpu --listen "$url" --stat '' 2>"$work/log" \
        </dev/null &
    server=$!
    await grep -q 'listening on' "$work/log" || fault "no server: $(cat "$work/log")"
}

has_some() { [ "$(wc -c <"$work/text")" -gt 40 ]; }

runs_well generate "$target" --tp 2 --threads 1 --backend cpu -p 'Once upon a time' -n $tokens \
    --ignore-eos
wanted=$(cat "$work/out")
serve
SE_FAULTS=seed=1,late=1,delay=5ms..8ms "$run" --server "$url" --draft ngram --tokenizer "$target" -p 'Once upon a time' -n $tokens \
    --ignore-eos --quiet >"$work/text" 2>"$work/err" </dev/null &
edge=$!
await has_some || fault "nothing was written: $(cat "$work/err")"
for pid in /proc/[0-9]*; do
    # The fourth word of a process's state is its parent; ranks are the server's only children.
    read -r _ _ _ parent _ 2>/dev/null <"$pid/stat" || continue
    [ "$parent" = "$server" ] && kill -KILL "${pid#/proc/}"
done
wait "$server"
code=$?
checks=$((checks + 1))
[ $code = 1 ] || fault "the server left with $code"
grep -q 'nothing computes any more: .*rank 1' "$work/log" || fault "the server said: $(cat "$work/log")"
serve
wait "$edge" || fault "se-run: $(cat "$work/err")"
checks=$((checks + 1))
[ "$(cat "$work/text")" = "$wanted" ] || fault "se-run wrote '$(cat "$work/text")', not '$wanted'"
kill -TERM "$server"
wait "$server" || fault "the second server left with $?: $(cat "$work/log")"
server=

printf '%d checks, %d faults\n' "$checks" "$faults"
[ "$faults" = 0 ]
