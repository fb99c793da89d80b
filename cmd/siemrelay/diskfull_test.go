package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// large makes a disk of some MiB full soon.
var large = endtoend.LoadOptions{Connections: 6, Records: 2, BodySize: 20_000}

// awaitFull waits until the relay refuses every webhook, and checks what it says
// of itself then.
func (r *run) awaitFull(p *endtoend.Process) {
	r.t.Helper()
	accepted, refused := -1, 0
	r.Eventually("every webhook is refused", func() bool {
		if now := r.load.Accepted(); now != accepted {
			accepted, refused = now, r.load.Refused()
		}
		return r.load.Refused() > refused+50
	})
	r.awaitReady(http.StatusServiceUnavailable)
	if status, text := r.Admin("/-/healthy"); status != http.StatusOK {
		r.t.Errorf("health of a full spool: %d %s: a restart would not help", status, text)
	}
	if p.Exited() {
		r.t.Fatalf("the process ended, log:\n%s", p.Log())
	}
}

func (r *run) awaitReady(want int) {
	r.t.Helper()
	r.Eventually("readiness changes", func() bool {
		status, _ := r.Admin("/-/ready")
		return status == want
	})
}

// awaitRecovery waits until webhooks are accepted again.
func (r *run) awaitRecovery() {
	r.t.Helper()
	before := r.load.Accepted()
	r.Eventually("webhooks are accepted again", func() bool { return r.load.Accepted() > before+50 })
	r.awaitReady(http.StatusOK)
}

// again kills the process on the full disk and starts it there.
func (r *run) again(p *endtoend.Process) *endtoend.Process {
	r.t.Helper()
	kill(r.t, p)
	r.ended()
	return r.start()
}

// TestSpoolFull: max_size is reached because an output can't be written to. The
// path of that output is mended under the running relay.
func TestSpoolFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(dir, []byte("in the way of a folder\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startRun(t, endtoend.Setup{
		Binary: binary, MaxSize: "4MiB",
		Outputs: []endtoend.Output{{Format: "ecs", Path: filepath.Join(dir, "events.ndjson")}, {Format: "cef"}},
	}, large)
	p := r.start()
	r.awaitFull(p)
	r.awaitPending("cef", "0") // the other output does not wait for it
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	r.awaitRecovery()
	r.finish(p)
}

func (r *run) awaitPending(output, want string) {
	r.t.Helper()
	r.Eventually("output "+output+" has "+want+" events before it", func() bool { return r.Pending()[output] == want })
}

// TestDiskFull: the spool's disk is full because the disk of an output is. The
// process is killed and started on the full disks, then that of the output gets
// room.
func TestDiskFull(t *testing.T) {
	disk, other := endtoend.NewTmpfs(t, 16), endtoend.NewTmpfs(t, 1)
	r := startRun(t, endtoend.Setup{
		Binary: binary, SpoolDir: filepath.Join(disk.Dir, "spool"),
		Outputs: []endtoend.Output{{Format: "ecs", Path: filepath.Join(other.Dir, "events.ndjson"), MaxEvents: 100}, {Format: "cef", MaxEvents: 1000}},
	}, large)
	p := r.start()
	r.awaitFull(p)
	r.awaitPending("cef", "0") // the other output does not wait for it
	for range share(2) {
		p = r.again(p)
		r.awaitFull(p)
	}
	other.Resize(256)
	r.awaitRecovery()
	r.finish(p)
}

// TestDiskFullOfOutput: spool and output fill one disk. It is made larger under
// the running relay, after a kill in between.
func TestDiskFullOfOutput(t *testing.T) {
	disk := endtoend.NewTmpfs(t, 16)
	r := startRun(t, endtoend.Setup{
		Binary: binary, SpoolDir: filepath.Join(disk.Dir, "spool"),
		Outputs: []endtoend.Output{{Format: "ecs", Path: filepath.Join(disk.Dir, "events.ndjson"), MaxEvents: 100}},
	}, large)
	p := r.start()
	r.awaitFull(p)
	for range share(2) {
		p = r.again(p)
		r.awaitFull(p)
	}
	disk.Resize(32)
	r.awaitRecovery()
	r.awaitFull(p)
	disk.Resize(512)
	r.awaitRecovery()
	r.finish(p)
}

// TestKilledOnDiskThatFills: kill -9 at moments when the disk has just become
// full, or is about to.
func TestKilledOnDiskThatFills(t *testing.T) {
	random := moments(t)
	disk, other := endtoend.NewTmpfs(t, 16), endtoend.NewTmpfs(t, 1)
	r := startRun(t, endtoend.Setup{
		Binary: binary, SpoolDir: filepath.Join(disk.Dir, "spool"),
		Outputs: []endtoend.Output{{Format: "ecs", Path: filepath.Join(other.Dir, "events.ndjson"), MaxEvents: 20}},
	}, endtoend.LoadOptions{Connections: 6, Records: 2, BodySize: 4000})
	for range share(5) {
		p := r.start()
		time.Sleep(within(random, 300*time.Millisecond)) // the random moment
		kill(t, p)
		r.ended()
	}
	p := r.start()
	r.awaitFull(p)
	other.Resize(256)
	r.awaitRecovery()
	r.finish(p)
}

// TestDiskHangs: a disk that does not answer costs 503 soon enough for the sender
// to come again, and nothing else; when it goes on, so does the relay.
func TestDiskHangs(t *testing.T) {
	disk := endtoend.NewDisk(t, 256)
	r := startRun(t, endtoend.Setup{
		Binary: binary, SpoolDir: filepath.Join(disk.Dir, "spool"), Outputs: []endtoend.Output{{Format: "ecs"}},
	}, endtoend.LoadOptions{Connections: 8, Records: 2})
	p := r.start()
	r.Eventually("a webhook is accepted", func() bool { return r.load.Accepted() > 0 })
	goOn := disk.Hang()
	refused := r.load.Refused()
	r.Eventually("webhooks are refused", func() bool { return r.load.Refused() >= refused+8 })
	r.awaitReady(http.StatusServiceUnavailable)
	if status, text := r.Admin("/-/healthy"); status != http.StatusOK {
		r.t.Errorf("health with a disk that hangs: %d %s", status, text)
	}
	goOn()
	r.awaitRecovery()
	if longest := r.finish(p); longest > 4*promised {
		t.Errorf("an answer took %v: the promise is 503 within %v", longest, promised)
	}
}

// promised is how soon a refusal comes that the disk is the reason of. A loaded
// machine may take longer; a defect takes as long as the disk.
const promised = 5 * time.Second
