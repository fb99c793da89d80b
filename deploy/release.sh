#!/bin/sh
# Makes the files of a release of what is committed: deploy/release.sh VERSION OUT.
# Nothing of the machine goes into them, so that anybody who runs it again on the same
# commit, with the same version of Go, gets the same bytes. docs/release.md has the rest.
set -eu
version=${1:?usage: deploy/release.sh VERSION OUT} out=${2:?usage: deploy/release.sh VERSION OUT}
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)
test -z "$(ls -A "$out")" || { echo "$out is not empty" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
git -C "$top" archive HEAD | tar -x -C "$scratch"
cd "$scratch"
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
for arch in amd64 arm64; do
	VERSION=$version GOOS=linux GOARCH=$arch deploy/build.sh "$out/siemrelay-$version-linux-$arch"
done
go run ./deploy/bill sbom "$version" >"$out/siemrelay-$version.cdx.json"
cp deploy/licences.txt "$out/licences.txt"
cp deploy/siemrelay.service deploy/alerts.yml deploy/grafana-dashboard.json "$out"
cd "$out"
sha256sum -- * >"$scratch/SHA256SUMS"
mv "$scratch/SHA256SUMS" .
cat SHA256SUMS
