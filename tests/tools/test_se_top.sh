#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-top at the command line: what it refuses, what it tells of a server as text and as JSON; then
# at a terminal.
#
#   test_se_top.sh SE_TOP SE_SERVERD SE_RUN ROOT SCREEN      SCREEN: yes where ncurses is built in
set -u
export LC_ALL=C

program=$1
serverd=$2
se_run=$3
root=$4
screen=$5
[ -d "$root/models/tales-draft" ] || { echo '77: models/tales-draft is not there'; exit 77; }
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
unset SE_LOG NO_COLOR
page=se-top-test.$$
manual=$root/docs/man/se-top.1

usage() {
    shows '^se-top [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows '^Usage: se-top \[OPTION' --help
    told_by_manual "$manual" se-top
    refuses 2 'one word too many' here
    refuses 2 'delay.*0.* is out of range' -d 0
    refuses 2 "^se-top: --sort: 'speed' is no column; there are session, edge, .*, temp$" --sort speed
    refuses 2 '^se-top: --stat: a page has a name' --stat ''
    refuses 2 '^se-top: standard output is no terminal: say -b for text, or --json$' --stat "$page"
    breaks_off 1 "^se-top: there is no server named $page\$" --stat "$page" -b --once -d 0.05
    grep -qx "waiting for a server named $page" "$work/out" || fault "$(cat "$work/out")"
}

# The table of columns and the manual page have the same names in the same order.
columns() {
    checks=$((checks + 1))
    run --sort nonsense
    table=$(sed -n 's/.*there are //p' "$work/err" | tr -d ',')
    told=$(sed -n '/^.Ss Columns/,/^.Sh/s/^.It Cm \([a-z]*\)$/\1/p' "$manual" | tr '\n' ' ')
    [ "$table" = "${told% }" ] || fault "columns: '$table', in the manual page: '$told'"
}

# A session that goes on until its edge is told to leave.
beside_a_session() {
    : >"$work/log"
    "$serverd" -m "$root/models/tales-draft" --threads 1 --listen "shm://$work/door" --stat "$page" \
        2>"$work/log" </dev/null &
    server=$!
    until grep -q 'listening on' "$work/log"; do
        kill -0 $server || { fault "$(cat "$work/log")"; return; }
        sleep 0.02
    done
    shows "^$page\$" --list
    "$se_run" --server "shm://$work/door" --draft "$root/models/tales-draft" --speculate on --threads 1 \
        --depth fixed -p 'Once' -n 480 --ignore-eos --temp 0.7 >"$work/said" 2>&1 </dev/null &
    edge=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do # the second round has a way there
        runs_well --stat "$page" --json --once -d 0.05
        grep -q '"rate":[1-9].*"trip":[0-9]' "$work/out" && break
    done
    python3 - "$work/out" <<'PY' || fault "$(cat "$work/out")"
import json, sys
seen = json.load(open(sys.argv[1]))
assert seen['here'] and seen['max_rows'] == 256 and seen['model'].endswith('tales-draft'), seen
assert seen['counters']['sessions'] == 1 and len(seen['sessions']) == 1, seen
assert seen['steps_per_s'] > 0 and seen['tokens_per_s'] > 0 and 0 < seen['busy'] <= 1.5, seen
one = seen['sessions'][0]
assert one['session'] == 1 and one['draft'] == 'tales-draft' and abs(one['temp'] - 0.7) < 1e-6, one
assert one['state'] in ('idle', 'waits', 'step') and one['rounds'] > 0 and one['pages'] > 0, one
assert one['tokens'] >= one['rounds'] and one['tree'] > 1 and 0 <= one['accept'] <= 1, one
assert one['trip'] > 0 and one['think'] > 0, one
assert one['rate'] > 0 and one['verify'] >= 1 and one['step'] > 0 and one['text'] > 0, one
PY
    kill $edge 2>/dev/null
    wait $edge
    runs_well --stat "$page" -b -n 2 -d 0.05 --sort wait
    checks=$((checks + 1))
    [ "$(grep -c '^session edge' "$work/out")" = 2 ] || fault "not two looks: $(cat "$work/out")"
    grep -q ' $' "$work/out" && fault 'blanks at the end of a line'
    kill -TERM $server
    wait $server
    [ -e "/dev/shm/$page.sessions" ] && fault 'a page of sessions is left behind'
}

at_a_terminal() {
    [ "$screen" = yes ] || { echo 'no ncurses: the screen is not tried'; return; }
    mkdir "$work/top"
    checks=$((checks + 1))
    python3 "$root/tests/tools/top.py" "$program" "$serverd" "$root" "$work/top" "$page" 2>"$work/err" ||
        fault "at a terminal: $(cat "$work/err")"
}

try_the_checks
usage
columns
beside_a_session
at_a_terminal
rm -f "/dev/shm/$page" "/dev/shm/$page.sessions"
conclude
