#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-serverd --metrics: a server that an edge uses, and what it shows of that.
#
#   test_metrics.sh SE_SERVERD SE_RUN SE_KEY ROOT HTTP KEYS
#
# HTTP, KEYS: yes or no, whether they are built in
set -u
export LC_ALL=C

program=$1
se_run=$2
se_key=$3
root=$4
http=$5
keys=$6
draft=$root/models/tales-draft
here=$root/tests/tools
[ -d "$draft" ] || { echo "77: $draft is not there"; exit 77; }
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
unset SE_LOG NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID
page=se-serverd-metrics.$$

# await PATTERN: the server says so, within seconds
await() {
    checks=$((checks + 1))
    left=400
    until grep -Eq -- "$1" "$work/log"; do
        left=$((left - 1))
        [ $left -gt 0 ] || { fault "no $1 in '$(cat "$work/log")'"; return; }
        sleep 0.05
    done
}

# start ARGUMENT...: a server whose metrics are at $metrics; its lines in $work/log
start() {
    : >"$work/log"
    "$program" -m "$draft" --threads 1 --listen tcp://127.0.0.1:0 "$@" 2>"$work/log" </dev/null &
    server=$!
    await ': metrics on '
    metrics=$(sed -n 's/.*: metrics on //p' "$work/log")
}

# looks WHAT ARGUMENT...: of metrics.py
looks() {
    checks=$((checks + 1))
    python3 "$here/metrics.py" "$@" >"$work/out" 2>"$work/err" || fault "$1: $(tail -n 3 "$work/err")"
}

# stop: in good order, and nothing stays behind
stop() {
    checks=$((checks + 1))
    kill -TERM $server
    wait $server || fault "ended with $?: $(cat "$work/log")"
    [ ! -e "/dev/shm/$page" ] || fault 'a page of counters is left behind'
}

settings() {
    refuses 2 "^se-serverd: --metrics: 'nowhere' is no address: HOST:PORT" -m "$draft" --metrics nowhere
    refuses 2 "^se-serverd: --metrics: '::1:9464' is no address" -m "$draft" --metrics ::1:9464
    shows 'would listen on' -m "$draft" --metrics '' --check
    refuses 3 "cannot listen at 127.0.0.1:${metrics##*:}: Address already in use" -m "$draft" \
        --listen tcp://127.0.0.1:0 --stat '' --log-level error --metrics "127.0.0.1:${metrics##*:}"
}

# Where there are keys, one of them comes.
make_keys() {
    ours=''
    theirs=''
    [ "$keys" = yes ] || return
    server_key=$("$se_key" new "$work/server.key" --name server | cut -d ' ' -f 1)
    "$se_key" new "$work/alice.key" --name alice >"$work/keys" || fault 'no key'
    ours="--keys $work/keys --key $work/server.key"
    theirs="--server-key $server_key --key $work/alice.key"
}

serves() {
    make_keys
    # shellcheck disable=SC2086 # words
    start --metrics :0 --stat "$page" $ours
    case $metrics in http://127.0.0.1:*/metrics) ;; *) fault "metrics on '$metrics'" ;; esac
    metrics=${metrics%/metrics}
    await ': listening on '
    url=$(sed -n 's/.*: listening on \([^,]*\).*/\1/p' "$work/log")
    looks pages "$metrics"
    settings
    looks tokens "$metrics"
    [ "$(cat "$work/out")" = 0 ] || fault "$(cat "$work/out") tokens before anybody asked"
    for tokens in 20 40; do # the second half moves what the first has begun
        checks=$((checks + 1))
        # shellcheck disable=SC2086 # words
        "$se_run" --server "$url" $theirs -d "$draft" -p 'The fox' -n 20 --ignore-eos --quiet --speculate on \
            --depth fixed --max-beam-len 3 --max-budget 8 >"$work/text" 2>"$work/err" ||
            fault "an edge: $(cat "$work/err")"
        looks tokens "$metrics"
        [ "$(cat "$work/out")" -ge $tokens ] || fault "$(cat "$work/out") tokens, not $tokens"
    done
    looks hostile "$metrics"
    looks agree "$metrics" "$page"
    cp "$work/out" "$work/scrape"
    checks=$((checks + 1))
    [ "$keys" = no ] || grep -qx 'specedge_key_tokens_total{key="alice"} 4[0-9]' "$work/scrape" ||
        fault "tokens of alice: $(grep key_tokens "$work/scrape")"
    stop
}

# One that waits for another machine has not loaded its model yet.
starts() {
    start -m "$root/models/tales-target" --tp 2 --nodes 2 --meet 127.0.0.1:0 --metrics :0 --stat ''
    looks starting "${metrics%/metrics}"
    kill -TERM $server
    wait $server 2>/dev/null
}

# Ten seconds, in which nothing else happens.
stands_still() {
    looks stalls "$program" "$draft"
    cat "$work/out"
}

# What others make of it.
pictures() {
    checks=$((checks + 1))
    nokeys=''
    [ "$keys" = yes ] || nokeys=nokeys
    python3 "$here/dashboards.py" "$work/scrape" "$root" $nokeys || fault 'dashboard or alerts'
    if ! command -v promtool >/dev/null; then
        echo 'skipped: promtool is not there'
        return
    fi
    checks=$((checks + 2))
    promtool check metrics <"$work/scrape" >"$work/out" 2>&1 || fault "promtool: $(cat "$work/out")"
    promtool check rules "$root/conf/specedge-alerts.yaml" >"$work/out" 2>&1 ||
        fault "promtool: $(cat "$work/out")"
}

# Where other machines can reach it, that is told; IPv6 where there is some.
addresses() {
    start --metrics 0.0.0.0:0 --stat ''
    await 'warn: other machines can reach http://0.0.0.0:[0-9]+, and anybody'
    await ': listening on '
    looks tokens "http://127.0.0.1:$(echo "${metrics##*:}" | tr -d a-z/)"
    stop
    [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || return
    start --metrics '[::1]:0' --stat ''
    await ': metrics on http://\[::1\]:[0-9]+/metrics$'
    grep -q 'other machines' "$work/log" && fault "$(cat "$work/log")"
    await ': listening on '
    looks pages "${metrics%/metrics}"
    stop
}

if [ "$http" = no ]; then
    refuses 2 "^se-serverd: --metrics: ':0': this build has no libmicrohttpd, and shows no metrics\$" \
        -m "$draft" --metrics :0
else
    starts
    stands_still
    serves
    pictures
    addresses
fi
conclude
