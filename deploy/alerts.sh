#!/bin/sh
# Checks deploy/alerts.yml and runs its tests with promtool: the one of the PATH, else
# the one of Debian's package prometheus, which is unpacked and not installed.
set -eu
cd "$(dirname "$0")"
promtool=$(command -v promtool || true)
if [ -z "$promtool" ]; then
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	echo "promtool is not in PATH: unpacking Debian's" >&2
	(cd "$scratch" && apt-get download -q prometheus >&2 && dpkg -x prometheus_*.deb .)
	promtool=$scratch/usr/bin/promtool
fi
"$promtool" check rules alerts.yml
"$promtool" test rules alerts_test.yml
