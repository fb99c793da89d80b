#!/bin/sh
# Runs siemrelay as the container of the Dockerfile does, without a container engine:
#
#   run.sh BINARY DATA CONFIG CGROUP COMMAND…
#
# A root of its own that is read-only but for DATA at /var/lib/siemrelay, without /tmp,
# shell or library; user 65532 without capabilities or new privileges. CONFIG is a
# folder that is there under its own path, read-only. CGROUP is the folder of a memory
# cgroup that it enters, or "". It needs root; the process keeps its id.
set -eu
binary=$1 data=$2 config=$3 cgroup=$4
shift 4
export binary data config cgroup
exec unshare --mount --propagation private sh -eu -c '
	root=$(mktemp -d)
	mount -t tmpfs -o size=128m root "$root"
	cp "$binary" "$root/siemrelay"
	mkdir -p "$root/proc" "$root/sys/fs/cgroup" "$root/var/lib/siemrelay" "$root$config"
	mount --bind "$data" "$root/var/lib/siemrelay"
	mount --bind "$config" "$root$config"
	mount -o remount,bind,ro "$root$config"
	mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
	mount -t proc proc "$root/proc"
	mount -o remount,ro "$root"
	test -z "$cgroup" || echo $$ >"$cgroup/cgroup.procs" # now, for the copy counts where it was made
	exec setpriv --no-new-privs unshare --root="$root" --wd=/ --setgid=65532 --setuid=65532 /siemrelay "$@"
' sh "$@"
