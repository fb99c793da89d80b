package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// control is a control group of a controller, of version 1 or 2, that the test made.
type control struct {
	t   *testing.T
	dir string
	v2  bool
}

// newControl makes one, which is removed when the test ends.
func newControl(t *testing.T, controller string) *control {
	t.Helper()
	needs(t)
	c := &control{t: t, dir: filepath.Join("/sys/fs/cgroup", controller)}
	if _, err := os.Stat(filepath.Join(c.dir, "cgroup.procs")); err != nil {
		c.dir, c.v2 = "/sys/fs/cgroup", true
		_ = os.WriteFile(filepath.Join(c.dir, "cgroup.subtree_control"), []byte("+"+controller), 0) // what is missing shows below
	}
	c.dir = filepath.Join(c.dir, fmt.Sprintf("siemrelay-faults-%d", os.Getpid()))
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		endtoend.Skip(t, fmt.Errorf("make a control group: %w", err))
	}
	t.Cleanup(func() {
		deadline := time.Now().Add(endtoend.Patience) // its processes end with the rig, which was made later
		for err := os.Remove(c.dir); err != nil; err = os.Remove(c.dir) {
			if time.Now().After(deadline) {
				t.Errorf("remove the control group: %v", err)
				return
			}
			time.Sleep(10 * time.Millisecond) // a poll
		}
	})
	return c
}

// set writes a setting: the name and the text for each version.
func (c *control) set(v1, text1, v2, text2 string) {
	c.t.Helper()
	name, text := v1, text1
	if c.v2 {
		name, text = v2, text2
	}
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0); err != nil {
		endtoend.Skip(c.t, fmt.Errorf("limit a control group: %w", err))
	}
}

// inside is a command that runs the relay in the group, after a line of shell.
func (c *control) inside(line string) (command string) {
	c.t.Helper()
	return wrapped(c.t, "sh", "-c", fmt.Sprintf(`echo $$ >%s/cgroup.procs; %s; exec "$@"`, c.dir, line), "sh")
}

// TestOutOfMemory (F5): the system kills the relay because the processes of its group
// have no memory left, in the midst of its work. The next start goes on.
func TestOutOfMemory(t *testing.T) {
	group := newControl(t, "memory")
	const limit = "134217728"
	group.set("memory.limit_in_bytes", limit, "memory.max", limit)
	w := newWorld(t, endtoend.Setup{
		// Of two that need memory the kernel takes the one with the higher mark.
		Serve: group.inside("echo 1000 >/proc/self/oom_score_adj"), MaxSize: "8MiB", Retention: "0", Outputs: twoFiles(),
	}, endtoend.LoadOptions{Connections: 6, Records: 3, BodySize: 4000})
	rounds := 3 * *thorough
	for range rounds {
		w.start()
		w.accepts(200)
		// tail keeps what has no end of a line.
		hog := exec.Command("sh", "-c", fmt.Sprintf(`echo $$ >%s/cgroup.procs; echo -999 >/proc/self/oom_score_adj; head -c 256m /dev/zero | tail`, group.dir))
		hog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		w.must(hog.Start())
		w.Eventually("it is killed", w.process.Exited)
		if code, err := w.process.AwaitExit(); err != nil || code != -1 {
			t.Errorf("exit code %d, %v, log:\n%s", code, err, w.process.Log())
		}
		_ = syscall.Kill(-hog.Process.Pid, syscall.SIGKILL) // the group that was made for it
		_ = hog.Wait()                                      // it was killed
		w.ended()
	}
	w.start()
	w.accepts(200)
	t.Logf("%d times killed for want of memory", rounds)
	w.finish()
}

// TestLittleMemory (F5): with 64 MiB for all that it does it goes on working, also with
// large bodies.
func TestLittleMemory(t *testing.T) {
	group := newControl(t, "memory")
	const limit = "67108864"
	group.set("memory.limit_in_bytes", limit, "memory.max", limit)
	w := newWorld(t, endtoend.Setup{Serve: group.inside(":"), MaxSize: "64MiB", Retention: "0", Outputs: twoFiles()},
		endtoend.LoadOptions{Connections: 8, Records: 2, BodySize: 200_000})
	w.start()
	w.accepts(500)
	w.alive()
	w.finish()
}

// TestLittleProcessorTime (F52): with a tenth of a processor everything takes longer,
// and nothing else: no webhook is refused, and no output gives up.
func TestLittleProcessorTime(t *testing.T) {
	group := newControl(t, "cpu")
	group.set("cpu.cfs_quota_us", "10000", "cpu.max", "10000 100000") // of 100,000 that are there by default
	w := newWorld(t, endtoend.Setup{Serve: group.inside(":"), Outputs: twoFiles()},
		endtoend.LoadOptions{Connections: 4, Records: 5, BodySize: 1000})
	began := time.Now()
	w.start()
	w.audit.SetAdmin("") // it would take most of the time; finish looks at the ledger
	w.accepts(300)
	took := time.Since(began)
	if n := w.load.Refused(); n > 0 {
		t.Errorf("%d webhooks were refused", n)
	}
	w.load.Stop()
	w.audit.SetAdmin(w.Serving().Admin)
	for _, d := range w.finish() {
		if d.Err != nil {
			t.Errorf("webhook %d of record %s got no answer: %v", d.Number, d.Record, d.Err)
		}
	}
	if strings.Contains(w.Log(), "held up") {
		t.Errorf("an output was held up:\n%s", w.Log())
	}
	stat, err := os.ReadFile(filepath.Join(group.dir, "cpu.stat"))
	w.must(err)
	t.Logf("300 webhooks took %v; cpu.stat: %s", took.Round(time.Millisecond), strings.ReplaceAll(string(stat), "\n", ", "))
	if strings.Contains(string(stat), "nr_throttled 0\n") {
		t.Error("it was never held back: nothing was tested")
	}
}
