#!/bin/sh
# Builds siemrelay twice, in two folders and with two empty caches, and compares. It
# builds what is committed, with VERSION.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
commit=$(git -C "$top" rev-parse HEAD)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in first a/second/one; do
	mkdir -p "$scratch/$name"
	git -C "$top" archive "$commit" | tar -x -C "$scratch/$name"
	(cd "$scratch/$name" && GOFLAGS="${GOFLAGS:-} -buildvcs=false" GOCACHE="$scratch/$name.cache" deploy/build.sh "$scratch/$name.out")
done
first=$(sha256sum <"$scratch/first.out")
second=$(sha256sum <"$scratch/a/second/one.out")
if [ "$first" != "$second" ]; then
	echo "two builds of the same commit differ: $first and $second" >&2
	exit 1
fi
echo "two builds of $commit are the same: ${first%% *}"
