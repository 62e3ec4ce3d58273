#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Keys from end to end: who may come, who may not and is told so, limits, and a list that changes.
#
#   test_keys.sh SE_SERVERD SE_RUN SE_KEY SE_TOP ROOT URL...      URL: to listen on, each in its turn
set -u
export LC_ALL=C

program=$1
se_run=$2
se_key=$3
se_top=$4
root=$5
shift 5
draft=$root/models/tales-draft
[ -d "$draft" ] || { echo "77: $draft is not there"; exit 77; }
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
unset SE_LOG NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID RUNTIME_DIRECTORY
long='--ignore-eos -n 400 -p The'

# A server that is left running would outlive a test that fails.
server=''
clean() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null
    rm -rf "$work"
}
trap clean EXIT

# await FILE PATTERN: it is written there within seconds
await() {
    checks=$((checks + 1))
    left=300
    until grep -Eq -- "$2" "$1"; do
        left=$((left - 1))
        [ $left -gt 0 ] || { fault "no $2 in '$(cat "$1")'"; return 1; }
        sleep 0.05
    done
}

# key NAME [WORDS]: makes one; its line of a list
key() {
    "$se_key" new "$work/$1.key" --name "$1" >"$work/$1.pub" || fault "no key $1"
    echo "$(cat "$work/$1.pub") ${2:-}"
}

# start URL
start() {
    : >"$work/log"
    "$program" -m "$draft" --threads 1 --listen "$1" --keys "$work/keys" --key "$work/server.key" \
        --stat '' --admin "ipc://$work/admin" 2>"$work/log" </dev/null &
    server=$!
    await "$work/log" ': listening on .*, for [0-9]+ keys$' || return 1
    url=$(sed -n 's/.*: listening on \(.*\), for .*/\1/p' "$work/log")
}

stop() {
    checks=$((checks + 1))
    kill -TERM $server
    wait $server || fault "the server ended with $?: $(cat "$work/log")"
    server=''
}

# reload: the list is in force when this comes back
reload() {
    before=$(grep -c ': read again, ' "$work/log")
    kill -HUP $server
    left=100
    until [ "$(grep -c ': read again, ' "$work/log")" -gt "$before" ]; do
        left=$((left - 1))
        [ $left -gt 0 ] || { fault "not read again: $(cat "$work/log")"; return; }
        sleep 0.05
    done
}

# asks NAME ARGUMENT...: $code, $work/text, $work/said
asks() {
    who=$1
    shift
    "$se_run" --server "$url" --server-key "$public" --key "$work/$who.key" -d "$draft" --quiet \
        --give-up 2s "$@" >"$work/text" 2>"$work/said" </dev/null
    code=$?
}

# gets_text NAME ARGUMENT...: the text is what nobody's help would have made of it
gets_text() {
    checks=$((checks + 1))
    asks "$@" -p 'The fox' -n 30 --ignore-eos
    [ $code = 0 ] || fault "$1: exit code $code: $(cat "$work/said")"
    cmp -s "$work/text" "$work/alone" || fault "$1: another text"
}

# gets_nothing NAME PATTERN ARGUMENT...
gets_nothing() {
    checks=$((checks + 1))
    who=$1
    wanted=$2
    shift 2
    asks "$who" "$@" -p 'The fox' -n 30
    [ $code = "${refusal:-4}" ] || fault "$who: exit code $code: $(cat "$work/said")"
    [ ! -s "$work/text" ] || fault "$who: got a text"
    grep -Eq -- "$wanted" "$work/said" || fault "$who: no $wanted in '$(cat "$work/said")'"
}

# counted NAME LEAST: by the admin endpoint
counted() {
    checks=$((checks + 1))
    n=$("$se_top" --server "ipc://$work/admin" --json --once -d 0.05 |
        sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p")
    [ "${n:-0}" -ge "$2" ] || fault "$1: ${n:-none} counted, not $2"
}

# sessions NAME: how many it has
sessions() {
    "$se_top" --server "ipc://$work/admin" --json --once -d 0.05 | grep -o "\"key\":\"$1\"" | grep -c .
}

# await_sessions NAME N: so many, within seconds
await_sessions() {
    checks=$((checks + 1))
    left=100
    until [ "$(sessions "$1")" = "$2" ]; do
        left=$((left - 1))
        [ $left -gt 0 ] || { fault "$1 has $(sessions "$1") sessions, not $2"; return; }
        sleep 0.05
    done
}

settings() {
    refuses 2 '^se-serverd: --keys .*: and the server.s own key' -m "$draft" --keys "$work/keys"
    refuses 2 '^se-serverd: --key .*: and who may come' -m "$draft" --key "$work/server.key"
    refuses 5 "$work/none: No such file" -m "$draft" --keys "$work/none" --key "$work/server.key" --check
    refuses 5 "$work/none: No such file" -m "$draft" --keys "$work/keys" --key "$work/none"
    echo 'nonsense alice' >"$work/bad"
    refuses 5 "$work/bad:1: " -m "$draft" --keys "$work/bad" --key "$work/server.key" --check
    chmod 644 "$work/server.key"
    refuses 5 "$work/server.key: .*(others|0600)" -m "$draft" --keys "$work/keys" --key "$work/server.key" --check
    chmod 600 "$work/server.key"
    shows 'would listen on tcp://\*:7077' -m "$draft" --keys "$work/keys" --key "$work/server.key" \
        --listen 'tcp://*:7077' --check
    refuses 2 '^se-serverd: --admin: other machines can reach tcp://0.0.0.0:1' -m "$draft" --admin tcp://0.0.0.0:1
    cp "$work/keys" "$work/open"
    chmod 666 "$work/open"
    refuses 5 "$work/open: anybody may write it" -m "$draft" --keys "$work/open" --key "$work/server.key" --check
    refuses 2 '^se-serverd: --admin: .shm:///x.: one URL, ipc:///PATH or tcp://HOST:PORT$' -m "$draft" --admin shm:///x
    program=$se_run
    refuses 2 '^se-run: --key .*: and the server' --server tcp://h:1 -d "$draft" -p x --key "$work/alice.key"
    refuses 2 '^se-run: --server-key: and the own' --server tcp://h:1 -d "$draft" -p x --server-key "$public"
    refuses 2 '^se-run: --server-key .*abc' --server tcp://h:1 -d "$draft" -p x --server-key abc --key x
    refuses 2 '^se-run: --local asks for no key' --local --model "$draft" -p x --server-key "$public" --key x
    program=$se_serverd
}

# Who may not come, on this kind of link; meanwhile somebody else's text goes on.
strangers() {
    # shellcheck disable=SC2086 # words
    "$se_run" --server "$url" --server-key "$public" --key "$work/alice.key" -d "$draft" $long \
        --quiet >"$work/text.long" 2>&1 &
    good=$!
    gets_text alice
    gets_nothing mallory 'list of keys|not in'
    gets_nothing bob 'revoked|list of keys'
    checks=$((checks + 1))
    "$se_run" --server "$url" -d "$draft" -p x -n 4 --give-up 2s >"$work/text" 2>"$work/said" &&
        fault 'somebody without a key was served'
    [ -s "$work/text" ] && fault 'somebody without a key got a text'
    grep -q 'let.* in only who has a key' "$work/said" || fault "without a key: $(cat "$work/said")"
    checks=$((checks + 1))
    other=$(cut -d ' ' -f 1 "$work/mallory.pub")
    "$se_run" --server "$url" --server-key "$other" --key "$work/alice.key" -d "$draft" -p x -n 4 \
        --give-up 2s >"$work/text" 2>"$work/said" && fault 'another server passed for the right one'
    checks=$((checks + 1))
    wait $good || fault 'the text of somebody else was disturbed'
    counted keys_unknown 1
    counted keys_revoked 1
    await "$work/log" 'warn: turned away: key .*: not in the list'
    await "$work/log" 'warn: turned away: key .* \(bob\): revoked'
}

# One session, ten tokens a second.
limits() {
    checks=$((checks + 2))
    began=$(date +%s%N)
    asks carol -p 'The fox' -n 30 --ignore-eos --speculate off
    took=$((($(date +%s%N) - began) / 1000000))
    { [ $code = 0 ] && cmp -s "$work/text" "$work/alone"; } || fault "carol: $code, $(cat "$work/said")"
    [ $took -ge 1500 ] || fault "carol had 30 tokens within $took ms"
    counted throttled 1
    # shellcheck disable=SC2086 # words
    "$se_run" --server "$url" --server-key "$public" --key "$work/carol.key" -d "$draft" $long \
        >/dev/null 2>&1 &
    first=$!
    await_sessions carol 1
    refusal=5
    gets_nothing carol 'key carol has its 1 session already' --on-busy fail
    refusal=''
    counted keys_full 1
    kill -INT $first
    wait $first 2>/dev/null
}

# Fewer sessions than are open: one of them loses its place, and gets it back when there is one.
fewer() {
    sed -i 's/ carol .*/ carol sessions=2 tokens-per-second=300/' "$work/keys" # slow enough to be seen
    reload
    for i in 1 2; do
        "$se_run" --server "$url" --server-key "$public" --key "$work/carol.key" -d "$draft" --quiet \
            --ignore-eos -n 400 -p 'The' >"$work/carol.$i" 2>"$work/said.$i" &
        eval "carol$i=\$!"
    done
    await_sessions carol 2
    sed -i 's/ carol sessions=2/ carol sessions=1/' "$work/keys"
    reload
    checks=$((checks + 2))
    n=$(sessions carol)
    [ "$n" -le 1 ] || fault "$n sessions of carol's"
    # shellcheck disable=SC2154 # set by eval
    { wait "$carol1" && wait "$carol2" && cmp -s "$work/carol.1" "$work/carol.2"; } ||
        fault "carol's texts: $(cat "$work/said.1" "$work/said.2")"
}

# A list that changes while it runs: one who is not in it any more is told so in the middle of a
# text; one who is new gets in; a list that makes no sense changes nothing.
changes() {
    : >"$work/dave.text"
    "$se_run" --server "$url" --server-key "$public" --key "$work/dave.key" -d "$draft" --ignore-eos \
        -n 100000 -p 'The' >"$work/dave.text" 2>"$work/dave.said" </dev/null &
    dave=$!
    await "$work/dave.text" .
    sed -i "s/ dave .*/ dave revoked/" "$work/keys"
    cat "$work/mallory.pub" >>"$work/keys"
    reload
    checks=$((checks + 2))
    wait $dave && fault 'dave was served to the end'
    grep -q 'revoked' "$work/dave.said" || fault "dave was told '$(cat "$work/dave.said")'"
    gets_text mallory
    gets_text alice
    cp "$work/keys" "$work/good"
    echo 'nonsense' >>"$work/keys"
    kill -HUP $server
    await "$work/log" "error: $work/keys:[0-9]+: .*; nothing has changed of the keys"
    gets_text alice
    mv "$work/good" "$work/keys"
}

# The admin endpoint over tcp is for admins.
admins() {
    checks=$((checks + 2))
    kill -TERM $server
    wait $server
    : >"$work/log"
    "$program" -m "$draft" --threads 1 --listen "ipc://$work/s" --keys "$work/keys" \
        --key "$work/server.key" --stat '' --admin tcp://127.0.0.1:0 2>"$work/log" </dev/null &
    server=$!
    await "$work/log" 'se-top --server tcp://127' || return
    admin=$(sed -n 's/.*se-top --server \([^ ]*\) looks.*/\1/p' "$work/log")
    await "$work/log" ': listening on'
    "$se_top" --server "$admin" --server-key "$public" --key "$work/alice.key" --json --once -d 0.05 \
        >"$work/out" 2>"$work/err" || fault "an admin sees nothing: $(cat "$work/err")"
    "$se_top" --server "$admin" --server-key "$public" --key "$work/mallory.key" --json --once -d 0.05 \
        >"$work/out" 2>"$work/err" && fault 'somebody who is no admin looks in'
    grep -Eq 'may not do this|list of keys' "$work/err" || fault "told: $(cat "$work/err")"
    # One who looks in and is an admin no more sees nothing more.
    checks=$((checks + 1))
    "$se_top" --server "$admin" --server-key "$public" --key "$work/alice.key" --json -n 12 -d 0.1 \
        >"$work/out" 2>"$work/err" &
    looker=$!
    await "$work/out" '"here":true'
    sed -i 's/ alice admin/ alice/' "$work/keys"
    reload
    wait $looker
    tail -n 1 "$work/out" | grep -q '"here":false' || fault 'who was an admin still looks in'
}

se_serverd=$program
public=$(key server | cut -d ' ' -f 1)
for who in 'alice admin' 'bob revoked' 'carol sessions=1 tokens-per-second=10' 'dave sessions=9 tokens-per-second=100'; do
    # shellcheck disable=SC2086 # a name and the rest
    key ${who%% *} "${who#* }"
done >"$work/keys"
key mallory >/dev/null
cp "$work/keys" "$work/keys.first"
"$se_run" --local --model "$draft" -p 'The fox' -n 30 --ignore-eos --quiet >"$work/alone" 2>&1
settings
for where; do
    case $where in *:///) where=$where${work#/}/link ;; esac
    cp "$work/keys.first" "$work/keys"
    start "$where" || break
    strangers
    if [ "$where" = "$1" ]; then
        limits
        fewer
    fi
    changes
    [ -n "$server" ] && [ "$where" = "$1" ] && case $1 in tcp*) admins ;; esac
    stop
done
conclude
