#!/bin/sh
# Checks deploy/siemrelay.service with systemd-analyze (of Debian's package systemd): it
# is well formed, and its exposure is no more than 1.5 of 10. BINARY stands for the
# installed one.
set -eu
cd "$(dirname "$0")"
binary=$(readlink -f "${1:?usage: deploy/unit.sh BINARY}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed "s#/usr/local/bin/siemrelay#$binary#" siemrelay.service >"$scratch/siemrelay.service"
systemd-analyze verify "$scratch/siemrelay.service"
systemd-analyze security --offline=true --threshold=15 "$scratch/siemrelay.service" | tail -1
