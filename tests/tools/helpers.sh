# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What tests of a command line share, to be sourced with $program set to the program under test.
# Makes $work, a folder for this run alone, and counts in $checks and $faults.

: "${program:?which program?}"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

checks=0
faults=0
fault() {
    faults=$((faults + 1))
    printf 'FAULT: %s\n' "$*"
}

# run ARGUMENT...: leaves $code, $work/out and $work/err
run() {
    "$program" "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
}

# runs_well ARGUMENT...: exit code 0 and nothing on stderr
runs_well() {
    run "$@"
    checks=$((checks + 1))
    [ "$code" = 0 ] || fault "$*: exit code $code: $(cat "$work/err")"
    [ ! -s "$work/err" ] || fault "$*: stderr: $(cat "$work/err")"
}

# gives TEXT ARGUMENT...: runs well, with exactly this output
gives() {
    wanted=$1
    shift
    runs_well "$@"
    [ "$(cat "$work/out")" = "$wanted" ] || fault "$*: gave '$(cat "$work/out")', not '$wanted'"
}

# shows PATTERN ARGUMENT...: runs well, with an output that matches
shows() {
    wanted=$1
    shift
    runs_well "$@"
    grep -Eq -- "$wanted" "$work/out" || fault "$*: no $wanted in '$(head -c 2000 "$work/out")'"
}

# breaks_off CODE PATTERN ARGUMENT...: one line on stderr that matches, whatever was written
breaks_off() {
    wanted_code=$1
    wanted=$2
    shift 2
    run "$@"
    checks=$((checks + 1))
    [ "$code" = "$wanted_code" ] || fault "$*: exit code $code, not $wanted_code"
    [ "$(wc -l <"$work/err")" = 1 ] || fault "$*: stderr is not one line: $(cat "$work/err")"
    grep -q "^$(basename "$program"): " "$work/err" || fault "$*: stderr: $(cat "$work/err")"
    grep -Eq -- "$wanted" "$work/err" || fault "$*: no $wanted in '$(cat "$work/err")'"
}

# refuses CODE PATTERN ARGUMENT...: the same, and nothing was written
refuses() {
    breaks_off "$@"
    shift 2
    [ ! -s "$work/out" ] || fault "$*: stdout: $(head -c 2000 "$work/out")"
}

# told_by_manual PAGE WHAT: the manual page knows every option of the --help in $work/out
told_by_manual() {
    for option in $(sed -n 's/^  \(-., \|    \)--\([a-z-]*\).*/\2/p' "$work/out"); do
        grep -Eq -- "Fl .*-$option( |\$)" "$1" || fault "$2 --$option is not in the manual page"
    done
}

# The checks themselves: each must see what is wrong.
try_the_checks() {
    quiet_faults=$faults
    gives 'nonsense' --version >/dev/null
    shows 'nonsense' --version >/dev/null
    refuses 2 'nonsense' --no-such-option >/dev/null
    refuses 1 'no-such-option' --no-such-option >/dev/null
    : >"$work/manual"
    echo '      --version' >"$work/out"
    told_by_manual "$work/manual" it >/dev/null
    [ $((faults - quiet_faults)) = 5 ] || { echo 'the checks of this test see nothing'; exit 1; }
    faults=$quiet_faults
}

# The last line of a test.
conclude() {
    echo "$checks checks, $faults faults"
    [ "$faults" = 0 ]
}
