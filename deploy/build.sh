#!/bin/sh
# Builds a static binary: deploy/build.sh OUT. The Dockerfile's build stage and
# "make build" both run this. VERSION names the version.
set -eu
out=${1:?usage: deploy/build.sh OUT}
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION:-0.0.0-dev}" -o "$out" ./cmd/siemrelay
