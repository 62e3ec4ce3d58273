#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# screens.sh SE_TOP SE_SERVERD SE_RUN SE_BENCH ROOT [PAGE] -- se-top in terminals of tmux, at two sizes.
#
# With no session, one, two hundred under load, and a server that goes and comes back. What must be
# on each screen is asked for; PAGE gets the screens as they were.
set -euo pipefail

top=$(realpath "$1") serverd=$(realpath "$2") run=$(realpath "$3") bench=$(realpath "$4") root=$5
page=$(realpath "${6:-/dev/null}")
cd "$root" # folders are called as everywhere
command -v tmux >/dev/null || { echo '77: there is no tmux'; exit 77; }
export LC_ALL=C.UTF-8
work=$(mktemp -d)
name=se-top-screens.$$
url=ipc://$work/s
server=''
mux() { tmux -L "$name" -f /dev/null "$@"; }
clean() {
    mux kill-server 2>/dev/null || true
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
faults=0
fault() {
    faults=$((faults + 1))
    printf 'FAULT: %s\n' "$*"
}

# within WHAT COMMAND...: it succeeds within seconds
within() {
    local what=$1 left=300
    shift
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || { fault "$what"; return; }
        sleep 0.1
    done
}

start_server() {
    : >"$work/log"
    "$serverd" -m models/tales-draft --threads 1 --listen "$url" --stat "$name" --max-sessions 256 \
        2>"$work/log" &
    server=$!
    within 'the server does not listen' grep -q 'listening on' "$work/log"
}

# screen SIZE PATTERN TITLE: what se-top shows there, once the pattern is on it
screen() {
    local left=100
    until mux capture-pane -p -t "$1" >"$work/screen" && grep -Eq -- "$2" "$work/screen"; do
        left=$((left - 1))
        [ $left -gt 0 ] || { fault "$3, $1: no $2 in: $(cat "$work/screen")"; break; }
        sleep 0.2
    done
    { # empty lines are one
        printf '\n### %s, %s\n\n    ' "$3" "$1"
        printf '%s\n' "$(sed "s/ *$//; s,$work,/run/tales," "$work/screen" | cat -s)" | sed '2,$s/^\(.\)/    \1/'
    } >>"$page"
    [ "$(wc -L <"$work/screen")" -le "${1%x*}" ] || fault "$3: wider than $1"
}
both() {
    screen 80x24 "$1" "$2"
    screen 200x50 "$1" "$2"
}

cat >"$page" <<'END'
# Screens of se-top

As tmux shows them, taken by `tests/tools/screens.sh` with a server of the bundled draft model on one processor that others
use as well.
END
for size in 80x24 200x50; do
    mux new-session -d -s "$size" -x "${size%x*}" -y "${size#*x}" "exec '$top' --stat '$name' -d 0.5"
done
both 'waiting for a server named' 'No server yet'
start_server
both 'sessions 0' 'No session'
# One text behind the other: each is short.
touch "$work/more"
while [ -e "$work/more" ]; do
    "$run" --server "$url" -d models/tales-draft -p 'The fox' -n 480 --ignore-eos --speculate on \
        --depth fixed --quiet >/dev/null 2>&1 || break
done &
edge=$!
both '^ +[0-9]+ [0-9a-f]{8} +(idle|step|waits|prompt)' 'One session'
rm "$work/more"
wait $edge
"$bench" serve "$url" --from 200 --most 200 --warm-up 1s --seconds 8 --limit 10s --tokens 200 >/dev/null 2>&1 &
load=$!
both 'sessions 2?[12][0-9][0-9]' 'Two hundred sessions'
kill -INT $load 2>/dev/null || true
wait $load || true
kill -KILL "$server"
wait "$server" 2>/dev/null || true
both 'waiting for a server named' 'The server was killed'
start_server
both 'sessions 0' 'And is back'

# Another size while it runs, and the time that it takes.
mux resize-window -t 80x24 -x 120 -y 30
ends_at() { mux capture-pane -p -t 80x24 | sed -n "$1p" | grep -q 'q quit'; }
within 'not drawn anew at another size' ends_at 30
mux send-keys -t 80x24 q
mux send-keys -t 200x50 q
is_over() { ! mux has-session 2>/dev/null; }
within 'q does not leave' is_over
"$top" --stat "$name" -d 1 -b -n 5 >/dev/null & # 5 s at 1 Hz
looker=$!
sleep 4.5
ticks=$(awk '{ print $14 + $15 }' /proc/$looker/stat)
wait $looker
tick_ms=$((1000 / $(getconf CLK_TCK)))
said="At one look a second, as text: $ticks ticks of $tick_ms ms of a processor in 4.5 s."
echo "$said"
printf '\n%s\n' "$said" >>"$page"
[ $((ticks * tick_ms)) -le 45 ] || fault 'more than 1 % of a processor'
kill -TERM "$server"
wait "$server" || fault "the server ended with $?"
server=''
echo "$faults faults"
[ $faults = 0 ]
