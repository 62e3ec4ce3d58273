#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# se-key at the command line: keys are made, shown and listed, and what is wrong is said.
#
#   test_se_key.sh SE_KEY ROOT yes|no (whether the build has keys)
set -u
export LC_ALL=C

program=$1
root=$2
keys=$3
# shellcheck source=tests/tools/helpers.sh
. "$root/tests/tools/helpers.sh"
try_the_checks

shows '^se-key [0-9]+\.[0-9]+\.[0-9]+$' --version
shows 'check' --help
for verb in new show check; do
    shows "^Usage: se-key $verb " $verb --help
    told_by_manual "$root/docs/man/se-key.1" $verb
    refuses 2 'is missing' $verb
done
refuses 2 'which verb'
refuses 2 "name 'a/b'" new "$work/a" --name a/b
refuses 2 'a name has 1 to 31' new "$work/a" --name 01234567890123456789012345678901

if [ "$keys" = no ]; then
    refuses 1 'this build has no keys \(libsodium\)' new "$work/a"
    refuses 1 'this build has no keys \(libsodium\)' show "$work/a"
    printf '%s a\n' 4Q7rNdqOZ05vs6CJLr8Oan5tGotEDfldit0B5fGvLgr >"$work/list"
    refuses 1 'this build has no keys \(libsodium\)' check "$work/list"
    [ ! -e "$work/a" ] || fault 'a key without libsodium'
    conclude
    exit
fi

umask 000
shows '^[A-Za-z0-9_-]{43} ann@home$' new "$work/a" --name ann@home
line=$(cat "$work/out")
[ "$(stat -c %a "$work/a")" = 600 ] || fault "mode $(stat -c %a "$work/a")"
gives "$line" show "$work/a"
gives "${line% *} bob" show "$work/a" --name bob
refuses 1 "$work/a is there already" new "$work/a"
gives "$line" show "$work/a"
shows '^[A-Za-z0-9_-]{43} [A-Za-z0-9._@-]+$' new "$work/b"
second=$(cat "$work/out")
gives "$second" show "$work/b"
[ "${second% *}" != "${line% *}" ] || fault 'the same key twice'
refuses 1 "$work/none/x: No such file" new "$work/none/x"

chmod 644 "$work/b"
refuses 1 "$work/b: others than its owner.*chmod 600" show "$work/b"
printf 'secret\n' >"$work/c"
chmod 600 "$work/c"
refuses 1 "$work/c:1: " show "$work/c"

umask 022 # of the list
{
    printf '# who may come\r\n\r\n%s sessions=3 tokens-per-second=40 # since May\r\n' "$line"
    printf '%s other revoked admin\n' "${second% *}"
} >"$work/list"
shows '^name +key +sessions +tokens-per-second +flags$' check "$work/list"
shows "^ann@home +${line% *} +3 +40 +-\$" check "$work/list"
shows "^other +${second% *} +- +- +admin revoked\$" check "$work/list"
echo "${line% *} again" >>"$work/list"
refuses 1 "$work/list:5: the key of line 3 again" check "$work/list"
refuses 1 "$work/gone: No such file" check "$work/gone"
: >"$work/empty"
shows '^name' check "$work/empty"
chmod o+w "$work/empty"
refuses 1 "$work/empty: anybody may write it" check "$work/empty"
conclude
