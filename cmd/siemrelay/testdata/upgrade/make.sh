#!/bin/sh
# Makes a spool as a version of siemrelay leaves it, for TestUpgrade:
#
#   make.sh COMMIT OUT
#
# builds COMMIT and lets it accept eight webhooks. The output "done" has had all of
# them, the output "behind" only the first four; two bodies were rejected. OUT gets the spool's folder and
# "accepted", the ids that were answered, in order. The spool was stopped with SIGTERM.
set -eu
commit=${1:?usage: make.sh COMMIT OUT} out=${2:?usage: make.sh COMMIT OUT}
top=$(git rev-parse --show-toplevel)
scratch=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid"; rm -rf "$scratch"' EXIT
mkdir "$scratch/source"
git -C "$top" archive "$commit" | tar -x -C "$scratch/source"
(cd "$scratch/source" && CGO_ENABLED=0 go build -trimpath -o "$scratch/siemrelay" ./cmd/siemrelay)

cd "$scratch"
cat >siemrelay.yaml <<'END'
receiver:
  listen: 127.0.0.1:18480
  insecure_http: true
  basic_auth: [{username: defense, password: not-a-secret}]
spool: {dir: spool, max_size: 16MiB, min_free: 1MiB}
admin: {listen: 127.0.0.1:18481}
log: {format: json}
outputs:
  - {name: done, type: file, format: ecs, file: {path: done/events.ndjson}}
  - {name: behind, type: file, format: ecs, file: {path: behind/events.ndjson}}
END

run() { # FIRST LAST
	./siemrelay serve -c siemrelay.yaml 2>>log &
	pid=$!
	until curl -sf http://127.0.0.1:18481/-/ready >/dev/null; do sleep 0.1; done
	for n in $(seq "$1" "$2"); do
		curl -sf -w "\n" -u defense:not-a-secret -d "{\"record_type\":\"Threat\",\"id\":\"T-$n\",\"title\":\"Event $n\",\"risk\":\"high\",\"trigger_action\":\"create\"}" \
			http://127.0.0.1:18480/webhooks/defense | sed 's/.*"id":"\([^"]*\)".*/\1/' >>accepted
	done
	curl -s -u defense:not-a-secret -d "no JSON" http://127.0.0.1:18480/webhooks/defense >/dev/null
	until test "$(cat done/events.ndjson 2>/dev/null | wc -l)" = "$2"; do sleep 0.1; done
	$3
	kill "$pid"
	wait "$pid"
	pid=
}
both() { until test "$(cat behind/events.ndjson 2>/dev/null | wc -l)" = 4; do sleep 0.1; done; }
run 1 4 both
rm -r behind && touch behind # in the way of the folder
run 5 8 true
mkdir -p "$OLDPWD/$out"
rm -rf "$OLDPWD/$out/spool"
cp -r spool accepted "$OLDPWD/$out"
rm -f "$OLDPWD/$out/spool/spool.lock"
git -C "$top" log -1 --format="%h %s" "$commit"
