package main

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// memoryLimit returns how many bytes of memory the process's cgroup may take, the
// least of it and those around it; 0 where there is no limit. root is the root of
// the file system. It knows both versions of cgroups
// (https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/memory.html). In a
// container the path may be the host's, which the container does not see; its own
// limit is then at the top.
func memoryLimit(root fs.FS) int64 {
	list, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0 // no cgroups, no limit
	}
	least := int64(0)
	for line := range strings.Lines(string(list)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		var mount, file string
		switch {
		case part[0] == "0" && part[1] == "":
			mount, file = "sys/fs/cgroup", "memory.max"
		case part[1] == "memory":
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Clean("/" + part[2]); ; at = path.Dir(at) {
			if n := limitIn(root, path.Join(mount, at, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// limitIn reads one limit. Version 1 writes a number near the largest one where
// there is none, version 2 the word max.
func limitIn(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= 1<<60 {
		return 0
	}
	return n
}
