#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# --trace of se-serverd and se-run, and the timelines that se-trace makes of it.
#
#   test_trace.sh SE_TRACE SE_SERVERD SE_RUN ROOT
set -u
export LC_ALL=C

program=$1
serverd=$2
se_run=$3
root=$4
draft=$root/models/tales-draft
[ -d "$draft" ] || { echo '77: models/tales-draft is not there'; exit 77; }
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
unset SE_LOG SE_FAULTS
checker=$root/tests/tools/trace.py
text='Once upon a time there was'

usage() {
    shows '^se-trace [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows '^Usage: se-trace FILE\.\.\. \[OPTION' --help
    told_by_manual "$root/docs/man/se-trace.1" se-trace
    refuses 2 'FILE\.\.\. is missing'
    refuses 1 "^se-trace: $work/none: No such file" "$work/none"
    : >"$work/empty"
    refuses 1 "^se-trace: $work/empty:1: no trace: its first line is not" "$work/empty"
    refuses 1 'trace.py:1: no trace: ' "$checker"
    printf '{"trace":2}\n' >"$work/later"
    refuses 1 'later:1: a trace of another version than 1: ' "$work/later"
}

# start FILE: a server that traces into it, $door its door
start() {
    door=shm://$work/door
    : >"$work/log"
    "$serverd" -m "$draft" --threads 1 --listen "$door" --stat '' --trace "$1" 2>"$work/log" \
        </dev/null &
    server=$!
    until grep -q 'listening on' "$work/log"; do
        kill -0 $server || { fault "$(cat "$work/log")"; return 1; }
        sleep 0.02
    done
}

# edge NAME OPTION...: writes with it into $work/NAME
edge() {
    name=$1
    shift
    "$se_run" --server "$door" --draft "$draft" --threads 1 -p "$text" --ignore-eos -q "$@" \
        >"$work/$name" 2>"$work/$name.err" </dev/null || fault "$name: $(cat "$work/$name.err")"
}

# slow NAME: one that drafts more than it would by itself, so that two meet
slow() {
    edge "$1" -n 300 --speculate on --depth fixed --max-beam-len 4 --trace "$work/$1.trace"
}

two_users() {
    for try in 1 2 3 4 5; do
        slow one & a=$!
        slow two & b=$!
        wait $a $b
        run -o "$work/line.json" "$work/server.trace" "$work/one.trace" "$work/two.trace"
        python3 "$checker" overlap "$work/line.json" && return
    done
    fault "nobody drafted while somebody else was verified, in $try tries"
}

# What the server has traced while it runs is there to be used within a second.
flushed() {
    rounds=$(cat "$work/one.trace" "$work/two.trace" | grep -c '"e":"round"')
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        seen=$(grep -c '"e":"round"' "$work/server.trace")
        [ "$seen" -ge "$rounds" ] && break
        sleep 0.05
    done
    checks=$((checks + 1))
    [ "$seen" -ge "$rounds" ] || fault "of $rounds rounds $seen are told within a second"
}

# checked USERS FILE...: a timeline of them, without a word, and right
checked() {
    users=$1
    shift
    runs_well -o "$work/line.json" "$@"
    python3 "$checker" check "$work/line.json" "$users" || fault "a timeline of $*"
}

timeline() {
    start "$work/server.trace" || return
    two_users
    flushed
    kill -KILL $server # nothing more is written
    wait $server 2>/dev/null
    # Sessions of earlier tries have no edge's trace any more: without their rounds, for the checker.
    ours=$(cat "$work/one.trace" "$work/two.trace" | sed -n 's/.*"s":"\([0-9a-f]*\)".*/\1/p' | sort -u)
    grep -v '"e":"round"' "$work/server.trace" >"$work/ours.trace"
    grep -F "$ours" "$work/server.trace" >>"$work/ours.trace"
    checked 2 "$work/ours.trace" "$work/one.trace" "$work/two.trace"
    python3 "$checker" near "$work/line.json" "$work/one.trace" "$work/two.trace" 0 ||
        fault 'two edges on one machine, and two clocks'
    shows "^se-run [0-9]+/[0-9a-f]{16} \(.*\) +[0-9]+ +300 +[0-9.]+ .* [0-9]+ %.* ms \+- [0-9.]+$" \
        --summary "$work/ours.trace" "$work/one.trace" "$work/two.trace"
    runs_well "$work/ours.trace" "$work/one.trace" "$work/two.trace"
    cmp -s "$work/out" "$work/line.json" || fault 'standard output has another timeline'
}

# An edge whose clock is an hour ahead and too fast: the same timeline, but for what nobody can know.
shifted() {
    python3 "$checker" shift "$work/two.trace" 3600000000000 40e-6 >"$work/ahead.trace"
    checked 2 "$work/ours.trace" "$work/one.trace" "$work/ahead.trace"
    python3 "$checker" near "$work/line.json" "$work/one.trace" "$work/ahead.trace" 3600000000000 ||
        fault 'an hour'
}

# What is missing is told, and the rest is drawn.
incomplete() {
    head -c -20 "$work/ours.trace" >"$work/cut.trace"
    run -o "$work/line.json" "$work/cut.trace" "$work/one.trace" "$work/two.trace"
    checks=$((checks + 2))
    [ "$code" = 0 ] || fault "a trace that is cut: $(cat "$work/err")"
    grep -q 'cut.trace: its last line is not whole; it goes up to there$' "$work/err" ||
        fault "$(cat "$work/err")"
    sed '3s/"begun"/"began"/' "$work/one.trace" >"$work/broken.trace"
    refuses 1 'broken.trace:3: .*begun' "$work/broken.trace"
    sed '3s/^.//' "$work/one.trace" >"$work/broken.trace"
    refuses 1 'broken.trace:3: no JSON: ' "$work/broken.trace"
    run "$work/one.trace"
    grep -q 'one.trace: no trace of a server has its rounds; .* time of day$' "$work/err" ||
        fault "$(cat "$work/err")"
    head -1 "$work/one.trace" >"$work/head.trace"
    refuses 1 "there is no round in $work/head.trace" "$work/head.trace"
}

# Nobody reads the pipe that the server traces into; it serves, and leaves, all the same. 400 pushed
# rounds are more than a pipe holds.
nobody_reads() {
    mkfifo "$work/pipe"
    exec 3<>"$work/pipe"
    start "$work/pipe" || return
    edge pushed --speculate off -n 400
    kill -TERM $server
    checks=$((checks + 2))
    wait $server || fault "$(cat "$work/log")"
    exec 3<&-
    grep -Eq "pipe: [0-9]+ lines are missing: " "$work/log" || fault "$(cat "$work/log")"
}

# With and without a trace, in one process or two: the same text, to the byte.
same_text() {
    checks=$((checks + 3))
    for trace in '' "$work/local.trace"; do
        "$se_run" --local --model "$draft" --draft "$draft" --threads 1 --target-threads 1 -p "$text" \
            -n 300 --ignore-eos -q --speculate on --trace "$trace" >"$work/local" 2>"$work/err" \
            </dev/null || fault "--local: $(cat "$work/err")"
        cmp -s "$work/local" "$work/one" || fault "another text, traced: '$trace'"
    done
    cmp -s "$work/two" "$work/one" || fault 'two users, two texts'
    checked 1 "$work/local.trace.server" "$work/local.trace"
    grep -q '"e":"end","events":[1-9][0-9]*,"dropped":0' "$work/local.trace" || fault 'no end'
}

try_the_checks
usage
timeline
shifted
incomplete
nobody_reads
same_text
conclude
