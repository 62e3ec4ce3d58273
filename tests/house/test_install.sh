#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# "meson install" into a folder: what lies there, whether it works, and what systemd says to the units.
#
#   test_install.sh BUILD_FOLDER ROOT PREFIX SYSCONFDIR BINDIR DATADIR UNITDIR|''
set -euo pipefail

build=$1 root=$2 prefix=$3 conf=$3/$4/specedge bin=$3/$5 data=$3/$6 units=$7
case $4 in /*) conf=$4/specedge ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DESTDIR=$work/there
fail() {
    printf 'failed: %s\n' "$*"
    exit 1
}
lies() {
    local path
    for path; do [ -e "$DESTDIR$path" ] || fail "$path is not installed"; done
}
install_it() { meson install -C "$build" --no-rebuild >"$work/log" 2>&1 || fail "$(tail -n 5 "$work/log")"; }

install_it
programs=(se-bench se-model se-rank se-run se-serverd se-top)
lies "${programs[@]/#/$bin/}" "${programs[@]/#/$data/bash-completion/completions/}"
[ "$(find "$DESTDIR$data/man/man1" -name '*.1*' | wc -l)" -ge "${#programs[@]}" ] || fail 'manual pages'
lies "$conf"/{server,edge}.yaml "$data"/doc/specedge/{operating.md,LICENSE,conf/server.yaml}
stray=$(find "$DESTDIR" -type f ! -path "$DESTDIR$prefix/*" ! -path "$DESTDIR$conf/*" \
    ! -path "$DESTDIR$units/*")
[ -z "$stray" ] || fail "outside of $prefix: $stray"

# What somebody has written is still there when the next version comes.
echo "model: $root/models/tales-draft" >"$DESTDIR$conf/server.yaml"
install_it
"$DESTDIR$bin/se-serverd" --config "$DESTDIR$conf/server.yaml" --check | grep -q 'would listen on' ||
    fail 'the installed server does not take its configuration'
"$DESTDIR$bin/se-run" --version | grep -q '^se-run ' || fail 'se-run does not start'

if [ -n "$units" ]; then
    lies "$units"/{se-serverd.service,se-serverd@.service,se-run@.service,se-run@.socket} \
        "$prefix"/lib/{sysusers,tmpfiles}.d/specedge.conf
    ! grep -rE '@[a-z]+@' "$DESTDIR$units" || fail 'a word was not replaced'
    if ! command -v systemd-analyze >/dev/null; then
        echo 'units are not looked at: there is no systemd-analyze'
        exit 0
    fi
    # It wants programs that are there: those that were just installed.
    mkdir "$work/units"
    for unit in "$DESTDIR$units"/se-*; do
        sed "s,^ExecStart=,&$DESTDIR,; /^Documentation=/d" "$unit" >"$work/units/${unit##*/}"
    done
    cp "$work/units/se-serverd@.service" "$work/units/se-serverd@b.service"
    cp "$work/units/se-run@.service" "$work/units/se-run@b.service"
    cp "$work/units/se-run@.socket" "$work/units/se-run@b.socket"
    (cd "$work/units" && systemd-analyze verify --recursive-errors=no ./*.service) >"$work/log" 2>&1 ||
        fail "systemd-analyze verify: $(cat "$work/log")"
    [ ! -s "$work/log" ] || fail "systemd-analyze verify: $(cat "$work/log")"
    exposed=$(systemd-analyze security --offline=yes "$work/units/se-serverd.service" 2>"$work/log" |
        sed -n 's/.*exposure level.*: \([0-9.]*\) .*/\1/p') || true
    [ -n "$exposed" ] || { echo 'this systemd-analyze does not judge files'; exit 0; }
    awk -v level="$exposed" 'BEGIN { exit level > 2.0 }' || fail "exposed by $exposed, more than 2.0"
    echo "exposure $exposed"
fi
echo 'installed as it should be'
