#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# service.sh FOLDER -- the packages in it as a user of systemd meets them, from dpkg -i to dpkg -P.
# Runs inside tests/vm/vm.sh with SE_VM_INIT=systemd, and changes the machine that it runs on.
set -euo pipefail

packages=$(cd "$1" && pwd)
[ -d /run/vm ] && [ -d /run/systemd/system ] || {
    echo 'skipped: this runs inside tests/vm/vm.sh, with SE_VM_INIT=systemd'
    exit 77
}
export LC_ALL=C.UTF-8 SYSTEMD_PAGER='' SYSTEMD_COLORS=0 DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
# Emulated processors are slow at floating point: the small model, in 8 bits, is the target.
model=/usr/share/specedge/models/tales-draft
conf=/etc/specedge
tcp=tcp://127.0.0.1:7077
ipc=ipc:///run/specedge/server.ipc
prompt='Once upon a time there was a little girl who lived near the forest.'

rm -f /var/lib/man-db/auto-update # an index of all manual pages takes minutes here
rm -f /usr/sbin/policy-rc.d         # the host may be a container, where no service is to be started

failed=0
checks=0
# check NAME COMMAND...: tells how it went. A check ends with the first of its commands that fails.
check() {
    local name=$1 status=0 began=$SECONDS
    shift
    checks=$((checks + 1))
    set +e
    (
        set -eE
        trap 'echo "line $LINENO: $BASH_COMMAND"' ERR
        "$@"
    ) >"$work/said" 2>&1
    status=$?
    set -e
    if [ "$status" = 0 ]; then
        printf '  ok       %s: %d s%s\n' "$name" $((SECONDS - began)) "$(sed -n 's/^= /, /p' "$work/said" | tr -d '\n')"
    else
        failed=$((failed + 1))
        printf '  FAILED   %s\n' "$name"
        sed 's/^/      /' "$work/said"
        journalctl -b -o short-monotonic -n 25 --no-hostname _TRANSPORT=journal + _TRANSPORT=stdout \
            + _TRANSPORT=syslog | sed 's/^/      | /'
    fi
}

# await SECONDS COMMAND...: until it succeeds
await() {
    local until=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || { echo "not within time: $*"; return 1; }
        sleep 0.1
    done
}
shows() { systemctl show --value -p "$2" "$1"; }
is() { [ "$(shows "$1" "$2")" = "$3" ] || { echo "$1: $2 is $(shows "$1" "$2"), not $3"; return 1; }; }
status_has() { [[ $(shows "$1" StatusText) == *"$2"* ]]; }
# said PATTERN [OPTION...]: the journal of the server's unit has it
said() {
    local pattern=$1
    shift
    journalctl -b -u se-serverd.service -o cat "$@" | grep -Eq -- "$pattern"
}
run() { timeout 200 se-run "$@" -p "$prompt" --quiet </dev/null; }
# edge URL N FILE OPTION...: a text from the server, by an edge that drafts
edge() {
    local url=$1 n=$2 file=$3
    shift 3
    run --server "$url" --draft ngram --tokenizer "$model" --speculate on -n "$n" --give-up 180s "$@" >"$file"
}
wrote() { [ "$(wc -c <"$1")" -ge "$2" ]; }

# ---------------------------------------------------------------- the checks

installing() {
    dpkg --force-unsafe-io -i "$packages"/specedge_*.deb "$packages"/specedge-doc_*.deb
    dpkg -L specedge specedge-doc >"$work/files"
    getent passwd specedge
    is se-serverd UnitFileState disabled
    is se-serverd ActiveState inactive
    [ "$(stat -c %U:%G:%a /run/specedge)" = specedge:specedge:750 ]
    echo "= $(systemctl --version | head -n1)"
}

# It says what is missing, as an error, and is not started again and again.
without_a_model() {
    ! systemctl start se-serverd
    is se-serverd ExecMainStatus 2
    sleep 3
    is se-serverd NRestarts 0
    is se-serverd ActiveState failed
    said 'which model\? Say --model DIR' -p err
    systemctl reset-failed se-serverd
}

starting() {
    mkdir -p $conf/server.yaml.d
    printf '%s\n' "model: $model" "listen: \"$tcp,$ipc\"" 'weights: q8' 'max-rows: 16' 'max-nodes: 8' \
        'max-sessions: 8' >$conf/server.yaml.d/10-here.yaml
    systemctl start se-serverd
    [ "$(systemctl is-active se-serverd)" = active ]
    await 30 status_has se-serverd ' sessions, '
    [ "$(stat -c %U:%a /run/specedge/server.ipc)" = specedge:770 ]
    [ "$(stat -c %U:%a /dev/shm/se-serverd)" = specedge:640 ]
    [ "$(ps -o user= -p "$(shows se-serverd MainPID)")" = specedge ]
    echo "= status '$(shows se-serverd StatusText)'"
}

# What the target writes alone, in this process.
references() {
    local alone=(--local --model "$model" --target-weights q8)
    run "${alone[@]}" -n 32 >"$work/greedy"
    run "${alone[@]}" -n 32 --temp 0.8 --seed 5 >"$work/drawn"
    run "${alone[@]}" -n 160 --ignore-eos --temp 0.7 --seed 11 >"$work/long"
    wrote "$work/long" 200
}

texts() {
    local url
    for url in "$tcp" "$ipc"; do
        edge "$url" 32 "$work/text"
        cmp "$work/text" "$work/greedy"
        edge "$url" 32 "$work/text" --temp 0.8 --seed 5
        cmp "$work/text" "$work/drawn"
    done
}

# in_the_middle COMMAND...: of an answer; its text is whole all the same, by another process.
in_the_middle() {
    local edge before restarts
    before=$(shows se-serverd MainPID)
    restarts=$(shows se-serverd NRestarts)
    : >"$work/text"
    edge "$ipc" 160 "$work/text" --ignore-eos --temp 0.7 --seed 11 &
    edge=$!
    await 60 wrote "$work/text" 40
    "$@" "$before"
    ! cmp -s "$work/text" "$work/long" || { echo 'the answer was whole before'; return 1; }
    wait "$edge"
    cmp "$work/text" "$work/long"
    await 30 is se-serverd ActiveState active
    is se-serverd NRestarts $((restarts + 1))
    [ "$(shows se-serverd MainPID)" != "$before" ]
}
killed() { in_the_middle kill -9; }
hung() {
    in_the_middle kill -STOP
    journalctl -b -u se-serverd.service | grep 'Watchdog timeout'
}

reloading() {
    local before
    before=$(shows se-serverd MainPID)
    printf '%s\n' 'log-level: debug' 'park: 5s' >$conf/server.yaml.d/20-live.yaml
    systemctl reload se-serverd
    await 20 said 'server.yaml: read again'
    echo 'park: long' >$conf/server.yaml.d/20-live.yaml
    systemctl reload se-serverd
    await 20 said '20-live.yaml:1: park: .*nothing has changed' -p err
    rm $conf/server.yaml.d/20-live.yaml
    is se-serverd MainPID "$before"
    edge "$tcp" 32 "$work/text"
    cmp "$work/text" "$work/greedy"
}

exposed() {
    local level
    systemd-analyze security se-serverd.service >"$work/exposure"
    level=$(sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p' "$work/exposure")
    awk -v level="$level" 'BEGIN { exit !(level != "" && level <= 2.0) }'
    echo "= $level"
}

fields() {
    journalctl -b -u se-serverd.service -o json >"$work/entries"
    python3 - "$work/entries" <<'PY'
import json, sys
entries = [json.loads(line) for line in open(sys.argv[1])]
ours = [e for e in entries if e.get('SYSLOG_IDENTIFIER') == 'se-serverd' and e['_TRANSPORT'] == 'journal']
listening = [e for e in ours if e['MESSAGE'].startswith('listening on ')]
assert listening, entries
for e in listening:
    assert e['PRIORITY'] == '6' and e['_UID'] != '0' and e['_SYSTEMD_UNIT'] == 'se-serverd.service', e
    assert e['CODE_FILE'].startswith('tools/') and int(e['CODE_LINE']) > 0 and e['CODE_FUNC'], e
wrong = [e for e in ours if 'nothing has changed' in e['MESSAGE']]
assert wrong and wrong[0]['PRIORITY'] == '3' and ' < ' in wrong[0]['SPECEDGE_TRAIL'], wrong
print('= %d entries, trail %s' % (len(ours), wrong[0]['SPECEDGE_TRAIL']))
PY
}

instance() {
    printf '%s\n' "model: $model" 'listen: ipc:///run/specedge/second.ipc' 'weights: q8' 'max-rows: 16' \
        'max-nodes: 8' 'max-sessions: 8' >$conf/second.yaml
    systemctl start se-serverd@second
    se-top --list | grep -x se-serverd
    se-top --list | grep -x se-serverd-second
    edge ipc:///run/specedge/second.ipc 32 "$work/text"
    cmp "$work/text" "$work/greedy"
    is se-serverd ActiveState active
}

# An edge that stays: two turns, a line in and an object out each, by one process.
edge_service() {
    local before
    printf '%s\n' "server: $ipc" "draft: $model" 'tokens: 8' >$conf/talk.yaml
    systemctl start se-run@talk.socket
    [ "$(stat -c %U:%G:%a /run/specedge/talk.in)" = specedge:specedge:660 ]
    echo 'There was once a fox.' >/run/specedge/talk.in
    await 60 test -s /var/lib/specedge/talk.jsonl
    before=$(shows se-run@talk MainPID)
    echo 'And then?' >/run/specedge/talk.in
    await 60 eval '[ "$(wc -l </var/lib/specedge/talk.jsonl)" = 2 ]'
    is se-run@talk MainPID "$before"
    is se-run@talk ActiveState active
    python3 -c 'import json, sys; assert all(json.loads(l)["tokens"] == 8 for l in open(sys.argv[1]))' \
        /var/lib/specedge/talk.jsonl
    [ "$(stat -c %G:%a /var/lib/specedge/talk.jsonl)" = specedge:660 ]
}

# The example for RDMA, in a machine that has it.
rdma() {
    mkdir -p /etc/systemd/system/se-serverd@second.service.d
    cp /usr/share/doc/specedge/conf/se-serverd.service.d/rdma.conf /etc/systemd/system/se-serverd@second.service.d/
    systemctl daemon-reload
    sed -i 's,^listen:.*,listen: "rdma://10.77.0.2:7078?ack_timeout=14"\ninsecure: true,' $conf/second.yaml
    systemctl restart se-serverd@second
    edge 'rdma://10.77.0.2:7078?ack_timeout=14' 32 "$work/text"
    cmp "$work/text" "$work/greedy"
}

# Who may come, from a list that is read again. For programs that have keys.
keys() {
    local server first second there
    command -v se-key >/dev/null || { echo '= not there yet: se-key'; return 0; }
    server=$(se-key new $conf/server.key --name server)
    first=$(se-key new "$work/first.key" --name first)
    second=$(se-key new "$work/second.key" --name second)
    systemd-tmpfiles --create specedge.conf # the key becomes the server's own
    printf '%s\n' "$first" >$conf/keys
    printf '%s\n' "keys: $conf/keys" "key: $conf/server.key" >$conf/server.yaml.d/30-keys.yaml
    systemctl restart se-serverd
    there=(--server-key "${server%% *}")
    edge "$tcp" 32 "$work/text" --key "$work/first.key" "${there[@]}"
    cmp "$work/text" "$work/greedy"
    ! edge "$tcp" 32 "$work/text" --key "$work/second.key" "${there[@]}" --give-up 5s
    printf '%s\n' "$second" >>$conf/keys
    systemctl reload se-serverd
    edge "$tcp" 32 "$work/text" --key "$work/second.key" "${there[@]}" --give-up 60s
    cmp "$work/text" "$work/greedy"
    rm $conf/server.yaml.d/30-keys.yaml
    systemctl restart se-serverd
}

# The next version: what runs is started anew, by its settings.
upgrading() {
    local first second
    echo '# a line of somebody who knows the machine' >>$conf/server.yaml
    cp $conf/server.yaml "$work/kept.yaml"
    dpkg-deb -R "$packages"/specedge_*.deb "$work/next"
    sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
    dpkg-deb -Zgzip -z1 -b "$work/next" "$work/next.deb"
    first=$(shows se-serverd MainPID)
    second=$(shows se-serverd@second MainPID)
    dpkg --force-unsafe-io -i "$work/next.deb"
    cmp $conf/server.yaml "$work/kept.yaml"
    await 60 is se-serverd ActiveState active
    await 60 is se-serverd@second ActiveState active
    [ "$(shows se-serverd MainPID)" != "$first" ]
    [ "$(shows se-serverd@second MainPID)" != "$second" ]
    is se-run@talk ActiveState active
    edge "$tcp" 32 "$work/text"
    cmp "$work/text" "$work/greedy"
    echo "= $(dpkg-query -W -f '${Version}' specedge)"
}

# left_over PATTERN: what is still there of the packages, or has their name, but for what matches.
left_over() {
    local path
    {
        while read -r path; do
            case $path in
            *specedge*) [ ! -e "$path" ] || echo "$path" ;;
            *) [ ! -e "$path" ] || [ -d "$path" ] || echo "$path" ;; # folders are others' too
            esac
        done <"$work/files"
        find /etc /run /var/lib /dev/shm \( -name '*specedge*' -o -name 'se-serverd*' -o -name 'se-run*' \) \
            ! -path '/run/vm/*' ! -path '/var/lib/dpkg/*' ! -path '/run/systemd/units/*'
    } | grep -Ev "$1" >"$work/left" || true
    cat "$work/left"
    [ ! -s "$work/left" ]
}

removing() {
    dpkg -r specedge specedge-doc
    is se-serverd ActiveState inactive
    is se-serverd@second ActiveState inactive
    is se-run@talk ActiveState inactive
    ! pgrep -u specedge
    [ "$(dpkg-query -W -f '${db:Status-Status}' specedge)" = config-files ]
    left_over '^/(etc|run|var/lib)/specedge|^/etc/systemd/|^/var/lib/systemd/'
    [ -e $conf/second.yaml ]
    [ -e $conf/server.yaml ]
}

# The drop-in is its writer's, and the user stays: see postrm.
purging() {
    dpkg -P specedge
    left_over '^/etc/systemd/system/se-serverd@second.service.d'
    getent passwd specedge
}

check 'dpkg -i' installing
check 'without a model' without_a_model
check 'start' starting
check 'what the target writes alone' references
check 'texts over tcp and ipc' texts
check 'kill -9 in the middle' killed
check 'hung, and seen by the watchdog' hung
check 'reload' reloading
check 'exposure' exposed
check 'fields in the journal' fields
check 'a second instance' instance
check 'an edge that stays' edge_service
check 'rdma, by the example' rdma
check 'keys' keys
check 'upgrade' upgrading
check 'remove' removing
check 'purge' purging
rm -rf "$work"
printf '%d checks, %d failed\n' "$checks" "$failed"
[ "$failed" = 0 ]
