package main

import (
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const unlimited = "9223372036854771712\n" // as version 1 writes it
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no cgroups", nil, 0},
		{"version 2", map[string]string{
			"proc/self/cgroup": "0::/system.slice/siemrelay.service\n",
			"sys/fs/cgroup/system.slice/siemrelay.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":                   "max\n",
		}, 512 << 20},
		{"version 2, the slice has less", map[string]string{
			"proc/self/cgroup":                "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max":    "536870912\n",
			"sys/fs/cgroup/a/memory.max":      "268435456\n",
			"sys/fs/cgroup/memory/memory.max": "1\n",
		}, 256 << 20},
		{"version 2, no limit", map[string]string{
			"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, 0},
		{"version 2, in a container", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 << 20},
		{"version 1 beside an empty version 2", map[string]string{
			"proc/self/cgroup": "5:cpu:/x\n4:memory:/x\n0::/\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "134217728\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   unlimited,
			"sys/fs/cgroup/cpu/x/memory.limit_in_bytes":    "1\n",
		}, 128 << 20},
		{"version 1, in a container that does not see its path", map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/0123\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
		}, 128 << 20},
		{"a path with what can't be read", map[string]string{
			"proc/self/cgroup": "0::/../..\nnonsense\n", "sys/fs/cgroup/memory.max": "many\n",
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := memoryLimit(root); got != c.want {
				t.Errorf("limit %d, want %d", got, c.want)
			}
		})
	}
}
