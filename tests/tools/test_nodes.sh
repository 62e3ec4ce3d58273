#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Programs whose model is on two machines, here two programs of one: the same ids as on one, what is
# refused, and that a machine that is lost ends all, for the next server to go on with the text.
#
#   test_nodes.sh SE_MODEL SE_RANK ROOT [SE_SERVERD SE_RUN]
set -u
export LC_ALL=C

program=$1
rank_program=$2
root=$3
serverd=${4-}
run=${5-}
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
target=$root/models/tales-target
url=ipc://$work/socket
tokens=100
meeting='--tp 2 --nodes 2 --meet 127.0.0.1:0 --threads 1 --backend cpu'
server=
rank=
edge=
# shellcheck disable=SC2154  # of the helpers
trap 'for one in $server $rank $edge; do kill -KILL "$one" 2>/dev/null; done; rm -rf "$work"' EXIT

# await COMMAND...: until it succeeds, for half a minute at most
await() {
    left=1500
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.02
    done
}

gone() { ! kill -0 "$1" 2>/dev/null || [ "$(cut -d ' ' -f 3 "/proc/$1/stat" 2>/dev/null)" = Z ]; }

# meets LOG: $place is where the program that writes LOG waits for the others
meets() {
    await grep -q ': waiting for machine 2 of 2 at ' "$1" || fault "no meeting: $(cat "$1")"
    place=$(sed -n 's/.*: waiting for machine 2 of 2 at //p' "$1" | head -n 1)
}

# joins PLACE: a second machine, $rank; its lines in $work/rank
joins() {
    : >"$work/rank"
    "$rank_program" --model "$target" --join "$1" --threads 1 --backend cpu 2>"$work/rank" </dev/null &
    rank=$!
}

# ends PROCESS CODE LOG PATTERN: it does so within seconds, with a line that matches
ends() {
    checks=$((checks + 1))
    await gone "$1" || fault "process $1 does not end: $(cat "$3")"
    kill -KILL "$1" 2>/dev/null
    wait "$1"
    code=$?
    [ $code = "$2" ] || fault "ended with $code, not $2: $(cat "$3")"
    grep -Eq -- "$4" "$3" || fault "no '$4' in '$(cat "$3")'"
}

options() {
    refuses 1 '^se-model: --nodes 2: where do the machines meet\? Say --meet HOST:PORT' \
        generate "$target" -p x -n 1 --tp 2 --nodes 2
    refuses 1 '^se-model: --meet 127.0.0.1:0: there is nobody to meet; say --nodes M' \
        generate "$target" -p x -n 1 --tp 2 --meet 127.0.0.1:0
    refuses 1 '^se-model: --nodes 3: --tp 4 cannot be divided .*; say --tp 6, or another multiple of 3$' \
        generate "$target" -p x -n 1 --tp 4 --nodes 3 --meet 127.0.0.1:0
    refuses 1 "^se-model: --meet: '::1:7' is no address: HOST:PORT, with an IPv6 address in brackets" \
        generate "$target" -p x -n 1 --tp 2 --nodes 2 --meet ::1:7
    refuses 1 '^se-model: --tp 6: .*: 6 ranks cannot share 4 key-value heads; .* among 1, 2, 4$' \
        generate "$target" -p x -n 1 --tp 6 --nodes 2 --meet 127.0.0.1:0
    refuses 1 '^se-model: --nodes 2 --meet 192.0.2.1:0: cannot listen at 192.0.2.1:0: ' \
        generate "$target" -p x -n 1 --tp 2 --nodes 2 --meet 192.0.2.1:0
    program=$rank_program
    shows '^se-rank [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows '^Usage: se-rank \[OPTION' --help
    told_by_manual "$root/docs/man/se-rank.1" se-rank
    refuses 2 '^se-rank: which model\? Say --model DIR' --join localhost:7
    refuses 2 '^se-rank: whom to join\? Say --join HOST:PORT' -m "$target"
    refuses 2 "^se-rank: --join: 'localhost' is no address" -m "$target" -j localhost
    refuses 2 "^se-rank: backend: 'cuda:0,0' names device 0 twice" -m "$target" -j localhost:7 --backend cuda:0,0
    refuses 1 'config.json' -m "$work/nothing" -j localhost:7
    if [ -n "$serverd" ]; then
        program=$serverd
        refuses 2 '^se-serverd: --nodes 2: where do the machines meet\?' -m "$target" --tp 2 --nodes 2
        refuses 2 '^se-serverd: --nodes 2: --tp 1 cannot be divided .*; say --tp 2,' -m "$target" --nodes 2
        program=$run
        refuses 2 '^se-run: --meet x:1: there is nobody to meet' --local -m "$target" -p x --meet x:1
    fi
    program=$1
}

# The golden ids.
writes_the_same() {
    cat >"$work/read.py" <<'END'
import json, sys
golden = json.load(open(sys.argv[1]))['prompts'][0]
print(' '.join(map(str, golden['ids'])))
print(' '.join(map(str, golden['target']['greedy'])))
END
    python3 "$work/read.py" "$root/models/golden.json" >"$work/golden" || fault 'no golden ids'
    ids=$(sed -n 1p "$work/golden")
    : >"$work/log"
    # shellcheck disable=SC2086  # options
    "$program" generate "$target" --ids "$ids" -n 64 --ids-out --ignore-eos -w f32 $meeting \
        >"$work/text" 2>"$work/log" </dev/null &
    server=$!
    meets "$work/log"
    joins "localhost:${place##*:}"
    ends $server 0 "$work/log" 'machine 2 of 2, .*, has come, for ranks 1 to 1$'
    ends $rank 0 "$work/rank" '^se-rank: told to leave by rank 0 at '
    grep -q 'ranks 1 to 1 of 2, weights f32$' "$work/rank" || fault "$(cat "$work/rank")"
    [ "$(cat "$work/text")" = "$(sed -n 2p "$work/golden")" ] ||
        fault "not the golden ids: '$(cat "$work/text")'"
}

# Ends while nobody is there: of who waits for a meeting, and of who waits at one.
interrupted() {
    joins "$place" # where nobody listens any more
    await grep -q 'nobody answers at .*; waiting for it$' "$work/rank" || fault "$(cat "$work/rank")"
    kill -INT $rank 2>/dev/null
    kill -TERM $rank
    ends $rank 143 "$work/rank" 'waiting for it'
    : >"$work/log"
    # shellcheck disable=SC2086  # options
    "$program" generate "$target" -p x $meeting 2>"$work/log" >/dev/null </dev/null &
    server=$!
    meets "$work/log"
    kill -TERM $server
    ends $server 143 "$work/log" 'waiting for machine 2'
    : >"$work/log"
    : >"$work/rank"
    "$rank_program" --model "$root/models/tales-draft" --join "$place" 2>"$work/rank" </dev/null &
    rank=$!
    # shellcheck disable=SC2086  # options
    "$program" perplexity "$target" "$root/README.md" ${meeting%--meet*} --meet "$place" --threads 1 \
        2>"$work/log" >/dev/null </dev/null &
    server=$!
    ends $rank 1 "$work/rank" '^se-rank: .*: refused: the model there is of another shape'
    kill -TERM $server
    ends $server 130 "$work/log" 'was refused: the model there is of another shape'

    # While it computes: all end, and rank 0 is told why.
    : >"$work/log"
    # shellcheck disable=SC2086  # options
    "$program" generate "$target" -p x -n 450 --ignore-eos $meeting 2>"$work/log" >/dev/null </dev/null &
    server=$!
    meets "$work/log"
    joins "$place"
    await grep -q '^se-rank: ready$' "$work/rank" || fault "no ready rank: $(cat "$work/rank")"
    kill -INT $rank 2>/dev/null
    kill -TERM $rank
    ends $rank 130 "$work/rank" 'ready'
    ends $server 1 "$work/log" 'rank 1 of 2 at 127\.0\.0\.1:.* gave up: it was interrupted$'
}

serve() {
    : >"$work/log"
    # shellcheck disable=SC2086  # options
    "$serverd" --model "$target" $meeting --listen "$url" --stat '' --max-rows 32 --max-nodes 16 \
        2>"$work/log" </dev/null &
    server=$!
    meets "$work/log"
    joins "$place"
    await grep -q 'listening on' "$work/log" || fault "no server: $(cat "$work/log")"
}

has_some() { [ "$(wc -c <"$work/text")" -gt 40 ]; }

# A machine is lost while the server answers, and then a server: the edge goes on with the next.
lost() {
    runs_well generate "$target" --tp 2 --threads 1 --backend cpu -p 'Once upon a time' -n $tokens \
        --ignore-eos
    wanted=$(cat "$work/out")
    serve
    SE_FAULTS=seed=1,late=1,delay=5ms..8ms "$run" --server "$url" --draft ngram --tokenizer "$target" \
        -p 'Once upon a time' -n $tokens --ignore-eos --quiet >"$work/text" 2>"$work/err" </dev/null &
    edge=$!
    grep -q 'cpu .*, 2 ranks on 2 machines, 1 threads$' "$work/log" || fault "$(cat "$work/log")"
    await has_some || fault "nothing was written: $(cat "$work/err")"
    kill -KILL $rank
    ends $server 1 "$work/log" 'nothing computes any more: .*rank 1 of 2 at 127\.0\.0\.1:.* has gone'
    wait $rank
    serve
    wait $edge || fault "se-run: $(cat "$work/err")"
    edge=
    checks=$((checks + 1))
    [ "$(cat "$work/text")" = "$wanted" ] || fault "se-run wrote '$(cat "$work/text")', not '$wanted'"
    kill -KILL $server
    wait $server
    ends $rank 1 "$work/rank" '^se-rank: rank 0 of 2 at 127\.0\.0\.1:.* has gone'
}

options "$1"
writes_the_same
interrupted
[ -z "$serverd" ] || lost
server=
rank=
conclude
