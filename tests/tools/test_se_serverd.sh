#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-serverd at the command line: what it refuses, whom it serves, how it ends.
#
#   test_se_serverd.sh SE_SERVERD BY_HAND ROOT
set -u
export LC_ALL=C

program=$1
by_hand=$2
root=$3
draft=$root/models/tales-draft
here=$root/tests/tools
[ -d "$draft" ] || { echo "77: $draft is not there"; exit 77; }
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
unset SE_LOG NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID
page=se-serverd-test.$$

# await SECONDS COMMAND...: until the command succeeds
await() {
    left=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.05
    done
}

# has_lines N PATTERN FILE: so many lines at least
has_lines() { [ "$(grep -Ec -- "$2" "$3")" -ge "$1" ]; }

gone() { ! kill -0 "$1" 2>/dev/null; }

# start ARGUMENT...: a server in the background, $server, that listens; its lines in $work/log
start() {
    : >"$work/log"
    "$program" "$@" 2>"$work/log" </dev/null &
    server=$!
    checks=$((checks + 1))
    await 30 grep -q ': listening on ' "$work/log" || fault "$*: does not listen: $(cat "$work/log")"
    url=$(sed -n 's/.*: listening on //p' "$work/log")
}

# logs PATTERN: the server has said so, or says so soon
logs() {
    checks=$((checks + 1))
    await 20 grep -Eq -- "$1" "$work/log" || fault "no $1 in '$(cat "$work/log")'"
}

# ends CODE: the server ends, and leaves nothing behind
ends() {
    checks=$((checks + 1))
    await 30 gone "$server" || fault "does not end: $(cat "$work/log")"
    kill -KILL "$server" 2>/dev/null
    wait "$server"
    code=$?
    [ $code = "$1" ] || fault "ended with $code, not $1: $(cat "$work/log")"
    [ ! -e "/dev/shm/$page" ] || fault "a page of counters is left behind"
}

usage() {
    shows '^se-serverd [0-9]+\.[0-9]+\.[0-9]+$' --version
    shows '^Usage: se-serverd \[OPTION' --help
    told_by_manual "$root/docs/man/se-serverd.1" se-serverd
    refuses 2 '^se-serverd: which model\? Say --model DIR, or "model: DIR" in the configuration file$'
    refuses 2 'one word too many' "$draft"
    refuses 2 'no such option; .*--model' --modle "$draft"
    refuses 2 'policy.*busy.*pipeline.dynamic.static' -m "$draft" --policy busy
    refuses 2 'wait.*20 parsecs' -m "$draft" --wait '20 parsecs'
    refuses 2 'kv-mem.*much' -m "$draft" --kv-mem much
    refuses 2 'max-sessions.*0.* is out of range' -m "$draft" --max-sessions 0
    refuses 2 '^se-serverd: --max-nodes 128: a tree does not fit into steps of --max-rows 64$' \
        -m "$draft" --max-rows 64
    SE_CPU=nonsense refuses 2 'SE_CPU=nonsense' -m "$draft"
}

addresses() {
    refuses 2 "^se-serverd: --listen: 'localhost:7077' is no URL: SCHEME://ADDRESS, with one of .*tcp" \
        -m "$draft" --listen localhost:7077
    refuses 2 "^se-serverd: --listen: 'udp://127.0.0.1:7077': unknown scheme 'udp'; there is .*tcp" \
        -m "$draft" --listen udp://127.0.0.1:7077
    refuses 2 "^se-serverd: --listen: 'tcp://' has no address$" -m "$draft" --listen tcp://
    for url in tcp://127.0.0.1 tcp://127.0.0.1: tcp://:7077 tcp://127.0.0.1:65536 tcp://127.0.0.1:http; do
        refuses 2 "'$url' has no port: tcp://HOST:PORT, PORT from 0 to 65535$" -m "$draft" --listen $url
    done
    refuses 2 'nobody but this process can reach loop://x$' -m "$draft" --listen loop://x
    refuses 2 "'' is no URL" -m "$draft" --listen tcp://127.0.0.1:7077,
    for url in 'tcp://*:7077' tcp://0.0.0.0:7077 'tcp://[::]:7077' tcp://127.example.org:7077 \
        'tcp://[::ffff:10.0.0.1]:7077'; do
        run -m "$draft" --listen "tcp://127.0.0.1:7077,$url"
        checks=$((checks + 1))
        [ $code = 2 ] || fault "$url is not refused"
        grep -Fqx "se-serverd: --listen: other machines can reach $url, and anybody there may connect \
and read along: say who may with --keys FILE, or --insecure if that is all right" "$work/err" || fault "$url: $(cat "$work/err")"
        shows 'would listen on' -m "$draft" --listen "$url" --insecure --check
    done
    for url in tcp://localhost:0 'tcp://[::1]:0' 'tcp://[::ffff:127.0.0.1]:0' tcp://127.1.2.3:0 \
        ipc:///x shm:///x; do
        shows 'would listen on' -m "$draft" --listen "$url" --check
    done
}

# What is wrong with a file is said with its line; a file is checked as a whole.
configuration() {
    runs_well --print-conf
    cmp -s "$work/out" "$root/conf/server.yaml" ||
        fault "conf/server.yaml is not what --print-conf prints: $(diff "$work/out" "$root/conf/server.yaml")"
    sed 's/^#\([a-z-]*:.*\)/\1/' "$work/out" >"$work/all.yaml" # every key, at its default
    shows 'would listen on tcp://127.0.0.1:7077$' -c "$work/all.yaml" -m "$draft" --check
    printf 'model: %s\nmax-sessions: 3\n' "$draft" >"$work/good.yaml"
    shows "^$draft: LlamaForCausalLM of .*would listen on tcp://127.0.0.1:7077\$" \
        -c "$work/good.yaml" --check
    shows 'would listen on ipc:///y$' -c "$work/good.yaml" --check --listen ipc:///y
    mkdir "$work/good.yaml.d"
    echo 'listen: ipc:///z' >"$work/good.yaml.d/10-here.yaml"
    shows 'would listen on ipc:///z$' -c "$work/good.yaml" --check
    rm -r "$work/good.yaml.d"

    refuses 2 '/nowhere.yaml: ' -c "$work/nowhere.yaml"
    printf 'model: %s\nmax-sessions: many\n' "$draft" >"$work/bad.yaml"
    refuses 2 '/bad.yaml:2: max-sessions: .many. is not a whole number' -c "$work/bad.yaml"
    printf 'model: %s\n\nmax-session: 3\n' "$draft" >"$work/bad.yaml"
    refuses 2 '/bad.yaml:3: .*max-session.*max-sessions' -c "$work/bad.yaml"
    printf 'model: %s\ncheck: true\n' "$draft" >"$work/bad.yaml"
    refuses 2 '/bad.yaml:2: .*check' -c "$work/bad.yaml"
    printf 'model: "%s\n' "$draft" >"$work/bad.yaml"
    refuses 2 '/bad.yaml:[0-9]*: ' -c "$work/bad.yaml"

    # A file of the published project, with a model of ours.
    sed "s,target_model: .*,target_model: $draft,; s/max_len: .*/max_len: 512/" \
        "$here/published.yaml" >"$work/published.yaml"
    run -c "$work/published.yaml" --check
    checks=$((checks + 1))
    [ $code = 0 ] || fault "published.yaml: $code, $(cat "$work/err")"
    grep -q 'would listen on' "$work/out" || fault "published.yaml: $(cat "$work/out")"
    grep -Eq 'published.yaml:[0-9]+: server.num_clients: .*max-sessions' "$work/err" ||
        fault "published.yaml: $(cat "$work/err")"
}

models() {
    refuses 4 "$work/nowhere/config.json" -m "$work/nowhere"
    refuses 4 "$work/nowhere/config.json" -m "$work/nowhere" --check
    refuses 4 'beyond the context' -m "$draft" --context 513
    refuses 4 'beyond the context' -m "$draft" --context 513 --check
    refuses 4 'too few: .* are the least' -m "$draft" --kv-mem 1K
    mkdir "$work/half"
    cp "$draft/config.json" "$draft/model.safetensors" "$work/half"
    refuses 4 'half/tokenizer.json' -m "$work/half" --check
    cp "$draft/tokenizer.json" "$work/half"
    head -c 100000 "$draft/model.safetensors" >"$work/half/model.safetensors"
    refuses 4 'half/model.safetensors' -m "$work/half" --check
    refuses 4 'half/model.safetensors' -m "$work/half"
}

# Four ids of a tale: what the server answers is what the model says by itself.
serves() {
    printf 'model: %s\nlisten: tcp://127.0.0.1:0,tcp://127.0.0.1:0\nstat: %s\nthreads: 1\n' \
        "$draft" "$page" >"$work/server.yaml"
    printf 'step-log: %s/steps\nmax-sessions: 5\n' "$work" >>"$work/server.yaml"
    start -c "$work/server.yaml"
    url=${url%,*}
    logs "model $draft: LlamaForCausalLM, weights .*, cpu .*, 1 threads$"
    logs 'keys and values: [0-9]+ pages, .*texts of up to 512 tokens$'
    logs 'up to 5 sessions, trees of 128 nodes, steps of 256 rows$'
    logs 'ms of a step by rows: 1: [0-9.]+, 4: [0-9.]+, 16: [0-9.]+, 64: [0-9.]+, 256: [0-9.]+$'
    logs "to use it: se-run --server $url --draft DIR\$"
    [ -e "/dev/shm/$page" ] || fault 'no page of counters'
    checks=$((checks + 2))
    "$by_hand" "$url" "$draft" 16 2043 17 256 3 >"$work/one" 2>"$work/err" ||
        fault "an edge: $(cat "$work/err")"
    "$by_hand" "$url" "$draft" 16 2043 17 256 3 >"$work/two" 2>"$work/err" ||
        fault "a second edge: $(cat "$work/err")"
    cmp -s "$work/one" "$work/two" || fault 'two edges get two texts'

    # The address and the page are taken, the page by a process that lives.
    refuses 3 "'$url'.*[Aa]ddress already in use" -m "$draft" --listen "$url" --stat '' --log-level error
    refuses 1 "/dev/shm/$page: in use" -m "$draft" --listen tcp://127.0.0.1:0 --stat "$page" \
        --log-level error
    refuses 3 'nowhere' -m "$draft" --listen "ipc://$work/nowhere/socket" --stat '' --log-level error
    refuses 1 'nowhere/steps: ' -m "$draft" --listen tcp://127.0.0.1:0 --stat '' --log-level error \
        --step-log "$work/nowhere/steps"

    kill -TERM $server
    logs 'Terminated: finishes what is under way'
    logs 'left after [0-9]+ s: 2 sessions, 32 rounds, 32 tokens$'
    ends 0
    checks=$((checks + 1))
    python3 - "$work/steps" <<'PY' || fault 'the log of steps'
import json, sys
steps = [json.loads(line) for line in open(sys.argv[1])]
assert [s["number"] for s in steps] == list(range(1, len(steps) + 1)), steps
assert sum(s["accepted"] for s in steps) == sum(s["rounds"] for s in steps) == 32, steps
assert sum(s["prefill_rows"] for s in steps) == 6, steps
for s in steps:
    assert sorted(s) == sorted(["number", "begun_ns", "step_ns", "idle_ns", "rounds", "max_batch", "fill", "prefills", "rows",
        "prefill_rows", "accepted", "left", "at_work", "queue_ns", "queue_max_ns", "pages_free"]), s
    assert s["fill"] == round(s["rounds"] / s["max_batch"], 3), s
    assert s["step_ns"] > 0 and s["rows"] > 0, s
PY
}

# A socket file and a page are gone whatever ended it; two servers find pages of their own.
endings() {
    start -m "$draft" --listen "ipc://$work/socket,shm://$work/door" --stat "$page"
    for each in "ipc://$work/socket" "shm://$work/door"; do
        [ -S "${each#*://}" ] || fault "no socket for $each"
        "$by_hand" "$each" "$draft" 4 2043 17 >"$work/one" 2>"$work/err" ||
            fault "$each: $(cat "$work/err")"
    done
    kill -INT $server
    logs 'Interrupt: finishes'
    ends 0
    for each in socket door; do
        [ ! -e "$work/$each" ] || fault "the socket '$each' is left behind"
    done

    start -m "$draft" --listen tcp://127.0.0.1:0
    one=$server
    one_page=$(sed -n 's,.*counters in ,,p' "$work/log")
    start -m "$draft" --listen tcp://127.0.0.1:0
    two_page=$(sed -n 's,.*counters in ,,p' "$work/log")
    checks=$((checks + 1))
    [ "$two_page" = "/dev/shm/se-serverd.$server" ] || fault "the second page is '$two_page'"
    for each in "$one_page" "$two_page"; do
        [ -e "$each" ] || fault "$each is not there"
    done
    kill -TERM $server $one
    ends 0
    server=$one
    ends 0
    [ ! -e "$two_page" ] || fault "$two_page is left behind"

    # For who listens everywhere, this machine has a name.
    start -m "$draft" --listen 'tcp://*:0' --insecure --stat "$page"
    logs "to use it: se-run --server tcp://$(uname -n):[0-9]+ --draft DIR\$"
    kill -TERM $server
    ends 0

    # At once, after a second signal.
    start -m "$draft" --listen tcp://127.0.0.1:0 --stat "$page" --idle spin
    kill -TERM $server
    kill -TERM $server
    ends 0
}

# What can change changes, what cannot is named, and a bad file changes nothing.
reloads() {
    printf 'model: %s\nlisten: tcp://127.0.0.1:0\nstat: %s\n' "$draft" "$page" >"$work/live.yaml"
    start -c "$work/live.yaml" --park 90s
    kill -HUP $server
    logs "$work/live.yaml: read again\$"
    grep -q 'cannot change' "$work/log" && fault "nothing has changed: $(cat "$work/log")"

    printf 'threads: 1\nmax-rows: 300\npolicy: dynamic\nlog-level: debug\n' >>"$work/live.yaml"
    kill -HUP $server
    logs 'warn: threads, max-rows: cannot change while it runs; the next start will see it$'
    checks=$((checks + 1))
    await 20 has_lines 2 'read again' "$work/log" || fault "$(cat "$work/log")"

    echo 'max-batch: none' >>"$work/live.yaml"
    kill -HUP $server
    logs "error: $work/live.yaml:8: max-batch: .none. .*; nothing has changed of the settings\$"
    printf 'listen: tcp://127.0.0.1:0\n' >"$work/live.yaml"
    kill -HUP $server
    logs 'error: which model\?.*; nothing has changed of the settings$'
    checks=$((checks + 1))
    "$by_hand" "$url" "$draft" 4 2043 17 >"$work/one" 2>"$work/err" ||
        fault "behind all that: $(cat "$work/err")"
    kill -TERM $server
    ends 0

    start -m "$draft" --listen tcp://127.0.0.1:0 --stat "$page"
    kill -HUP $server
    logs 'there is neither a configuration file nor a list of keys to read again$'
    kill -TERM $server
    ends 0
}

# manager ADDRESS: listens there, writes to $work/told; ends with unmanage
manage() {
    mkfifo "$work/manager"
    : >"$work/ready"
    : >"$work/told"
    python3 "$here/notify_listener.py" "$1" "$work/told" <"$work/manager" >"$work/ready" &
    manager=$!
    exec 9>"$work/manager"
    await 20 grep -q ready "$work/ready" || fault "the listener of $1"
}
unmanage() {
    exec 9>&-
    wait $manager
    rm "$work/manager"
}
told() {
    checks=$((checks + 1))
    await 20 grep -Eq -- "$1" "$work/told" || fault "the manager was not told $1: $(cat "$work/told")"
}

service() {
    printf 'model: %s\nlisten: tcp://127.0.0.1:0\nstat: %s\n' "$draft" "$page" >"$work/live.yaml"
    for address in "$work/notify" "@se-serverd-test.$$"; do
        manage "$address"
        export NOTIFY_SOCKET="$address" WATCHDOG_USEC=200000
        start -c "$work/live.yaml"
        unset NOTIFY_SOCKET WATCHDOG_USEC
        told "^STATUS=loading $draft\$"
        told '^READY=1$'
        told "^STATUS=listening on $url\$"
        told '^WATCHDOG=1$'
        kill -HUP $server
        told '^RELOADING=1$'
        told '^MONOTONIC_USEC=[0-9]+$'
        checks=$((checks + 1))
        await 20 has_lines 2 '^READY=1$' "$work/told" || fault "$(cat "$work/told")"
        await 20 has_lines 5 '^WATCHDOG=1$' "$work/told" || fault 'an idle server gives no signs of life'
        [ "$address" = "$work/notify" ] && told '^STATUS=0 sessions, 0 at work, 0.0 tokens/s$'
        kill -TERM $server
        told '^STOPPING=1$'
        ends 0
        unmanage
    done

    # A watchdog that means another process is not fed; an address that is none is no reason to fail.
    manage "$work/notify2"
    export NOTIFY_SOCKET="$work/notify2" WATCHDOG_USEC=200000 WATCHDOG_PID=1
    start -c "$work/live.yaml"
    unset NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID
    told '^READY=1$'
    kill -TERM $server
    told '^STOPPING=1$'
    ends 0
    grep -q WATCHDOG "$work/told" && fault 'it feeds the watchdog of another process'
    unmanage
    export NOTIFY_SOCKET=nonsense
    start -c "$work/live.yaml"
    unset NOTIFY_SOCKET
    logs 'warn: NOTIFY_SOCKET=nonsense is no address'
    kill -TERM $server
    ends 0
}

# rank_of PROCESS: what it has started
rank_of() { grep -ls "^PPid:[[:blank:]]*$1\$" /proc/[0-9]*/status | cut -d / -f 3; }

# Processes that share the model: who is served, and that they end however the server does.
ranks() {
    target=$root/models/tales-target
    printf 'model: %s\nlisten: tcp://127.0.0.1:0\nstat: ""\nthreads: 1\ntp: 2\n' "$target" >"$work/tp.yaml"
    refuses 4 '3 ranks cannot share 4 key-value heads; this model can be split among 1, 2, 4$' \
        -c "$work/tp.yaml" --tp 3 --check
    start -c "$work/tp.yaml"
    logs 'cpu .*, 2 ranks, 2 threads$'
    rank=$(rank_of $server)
    checks=$((checks + 2))
    "$by_hand" "$url" "$target" 16 2043 17 256 3 >"$work/one" 2>"$work/err" ||
        fault "an edge: $(cat "$work/err")"
    "$by_hand" "$url" "$target" 16 2043 17 256 3 >"$work/two" 2>"$work/err" ||
        fault "a second edge: $(cat "$work/err")"
    cmp -s "$work/one" "$work/two" || fault 'two edges get two texts'
    kill -TERM "$rank" # as a service manager does to all: the server's affair alone
    kill -INT "$rank"
    checks=$((checks + 1))
    "$by_hand" "$url" "$target" 16 2043 17 256 3 >"$work/two" 2>"$work/err" ||
        fault "a third edge: $(cat "$work/err")"
    kill -TERM $server
    ends 0
    checks=$((checks + 1))
    gone "$rank" || fault "rank $rank stays behind"

    # A rank that is gone: the server says so and ends, for another to go on (test_gone.sh).
    start -c "$work/tp.yaml"
    kill -KILL "$(rank_of $server)"
    checks=$((checks + 1))
    timeout 5 "$by_hand" "$url" "$target" 16 2043 17 256 3 >"$work/two" 2>"$work/err" &&
        fault 'an edge gets a text from a server that has lost a rank'
    ends 1
    grep -q 'nothing computes any more: .*was ended by signal 9' "$work/log" || fault "$(cat "$work/log")"

    # A server that is gone: nobody is there who could tell its ranks.
    start -c "$work/tp.yaml"
    rank=$(rank_of $server)
    kill -KILL $server
    ends 137
    checks=$((checks + 1))
    await 10 gone "$rank" || [ "$(cut -d ' ' -f 3 "/proc/$rank/stat")" = Z ] || fault "rank $rank stays behind"
}

try_the_checks
usage
addresses
configuration
models
serves
endings
reloads
service
ranks
conclude
