#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install_once.sh FOLDER FILE...: those that are not there yet.
set -eu
folder=${DESTDIR:-}$1
shift
mkdir -p "$folder"
for file; do
    if [ -e "$folder/${file##*/}" ]; then
        echo "$folder/${file##*/} stays as it is"
    else
        install -m 644 "$file" "$folder/"
    fi
done
