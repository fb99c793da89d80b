package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// imageUser is the user of the Dockerfile.
const imageUser = 65532

// container is a relay that runs as in the image of the Dockerfile, see
// testdata/container/run.sh.
type container struct {
	*endtoend.Rig
	t      *testing.T
	data   string // on the volume
	cgroup string
}

func newContainer(t *testing.T, limit int) *container {
	t.Helper()
	if os.Geteuid() != 0 {
		endtoend.Skip(t, errors.New("it needs root for a root file system of its own"))
	}
	c := &container{t: t, data: t.TempDir(), cgroup: memoryCgroup(t, limit)}
	c.Rig = endtoend.NewRig(t, endtoend.Setup{
		Binary: image(t), Serve: filepath.Join(t.TempDir(), "serve"), SpoolDir: "/var/lib/siemrelay/spool",
		Outputs: []endtoend.Output{{Format: "ecs", Path: "/var/lib/siemrelay/out/events.ndjson"}},
	})
	script := "#!/bin/sh\nexec " + strings.Join(c.command(`"$@"`), " ") + "\n"
	if err := os.WriteFile(c.Serve, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{c.data, c.Dir} {
		if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, imageUser, imageUser))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "root", c.data).CombinedOutput(); err != nil {
		endtoend.Skip(t, fmt.Errorf("mount in a namespace of its own: %w: %s", err, out))
	}
	return c
}

// image is what the Dockerfile puts into the image: built by the same script.
func image(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "siemrelay")
	cmd := exec.Command("deploy/build.sh", out)
	cmd.Dir = "../.."
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build for the image: %v\n%s", err, text)
	}
	return out
}

// command is what runs siemrelay in the container.
func (c *container) command(args ...string) []string {
	script, err := filepath.Abs("testdata/container/run.sh")
	if err != nil {
		c.t.Fatal(err)
	}
	return append([]string{script, c.Binary, c.data, c.Dir, "'" + c.cgroup + "'"}, args...)
}

// inside runs a command beside the relay, as a container engine does for HEALTHCHECK.
func (c *container) inside(args ...string) (string, error) {
	out, err := exec.Command(c.Serve, append(args, "-c", c.Config)...).CombinedOutput()
	return string(out), err
}

// memoryCgroup makes a cgroup with a limit of memory, in bytes; version 1 or 2.
func memoryCgroup(t *testing.T, limit int) string {
	t.Helper()
	parent, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if _, err := os.Stat(parent); err != nil {
		parent, file = "/sys/fs/cgroup", "memory.max"
	}
	dir, err := os.MkdirTemp(parent, "siemrelay-test-")
	if err != nil {
		endtoend.Skip(t, fmt.Errorf("make a memory cgroup: %w", err))
	}
	if err := os.Chmod(dir, 0o755); err != nil { // as an engine makes it
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) }) // empty when its processes are gone
	if err := os.WriteFile(filepath.Join(dir, file), fmt.Append(nil, limit), 0o600); err != nil {
		endtoend.Skip(t, fmt.Errorf("limit a memory cgroup: %w", err))
	}
	return dir
}

// TestContainer: everything works on a read-only root with one volume, without a
// folder for temporary files, as a user who may do nothing; and the memory limit is
// found and kept under load.
func TestContainer(t *testing.T) {
	const limit = 96 << 20
	c := newContainer(t, limit)
	p := c.Start()
	client := c.Client()
	body := strings.Repeat("x", 100_000)
	for n := range 1000 { // more than the limit
		mustPost(t, client, fmt.Sprint(n, body))
	}
	if a, err := client.Post([]byte("no JSON")); err != nil || a.Status != 400 {
		t.Errorf("a body that is not JSON: %+v, %v", a, err)
	}
	c.AwaitDrained()
	_, text := c.Admin("/metrics")
	if want := "go_gc_gomemlimit_bytes " + strconv.FormatFloat(limit/10*9, 'g', -1, 64); !strings.Contains(text, want) {
		t.Errorf("no %s in the metrics: the limit of the cgroup is not known", want)
	}
	if out, err := c.inside("health"); err != nil {
		t.Errorf("health: %v %s", err, out)
	}
	if out, err := c.inside("status"); err != nil || !strings.Contains(out, "rejected      1 body") || !strings.Contains(out, "1000       1000") {
		t.Errorf("status: %v\n%s", err, out)
	}
	c.Stop(p)
	if out, err := c.inside("status"); err != nil || !strings.Contains(out, "siemrelay is not running") {
		t.Errorf("status of the stopped one: %v\n%s", err, out)
	}
	p = c.Start()
	mustPost(t, c.Client(), "after a restart")
	c.AwaitDrained()
	c.Stop(p)
	events, err := os.ReadFile(filepath.Join(c.data, "out", "events.ndjson"))
	if n := strings.Count(string(events), "\n"); err != nil || n != 1001 {
		t.Errorf("%d events on the volume, %v", n, err)
	}
}
