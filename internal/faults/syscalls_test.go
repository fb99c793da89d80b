package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestSystemCallsFail (F9): for each system call that it makes on files, every one
// fails for a while, and then one of each thread, with each thing that a disk says. The
// process lives, nothing is accepted that is not stored, and it is well again by itself
// afterwards.
func TestSystemCallsFail(t *testing.T) {
	needs(t, "strace")
	large := ordinary
	large.BodySize = 20_000 // segments fill up all the time
	w := newWorld(t, endtoend.Setup{MaxSize: "8MiB", Retention: "0", Outputs: twoFiles()}, large)
	w.start()
	for _, c := range []struct {
		call   string
		errors []string
		stops  bool // nothing can be accepted while it fails
	}{
		{"fdatasync", []string{"EIO", "ENOSPC"}, true},
		{"pwrite64", []string{"EIO", "ENOSPC", "EDQUOT"}, true},
		{"fsync", []string{"EIO"}, false},
		{"openat", []string{"EIO", "ENOSPC", "EACCES"}, false},
		{"pread64", []string{"EIO"}, false},
		{"unlinkat", []string{"EIO"}, false},
		{"statfs", []string{"EIO"}, false},
	} {
		for _, errno := range c.errors {
			x := attach(t, w.process.PID(), "-e", "trace="+c.call, "-e", fmt.Sprintf("inject=%s:error=%s", c.call, errno))
			if c.stops {
				w.refuses(2 * ordinary.Connections)
				before := w.load.Accepted()
				w.refuses(5 * ordinary.Connections)
				if n := w.load.Accepted() - before; n > 0 {
					t.Errorf("%d webhooks were accepted while %s answered %s", n, c.call, errno)
				}
			} else {
				w.Eventually(c.call+" fails", func() bool { return injected(x.trace()) > 0 })
			}
			lasting := injected(x.detach())
			w.alive()
			w.ready(true)
			w.accepts(20)
			x = attach(t, w.process.PID(), "-e", "trace="+c.call, "-e", fmt.Sprintf("inject=%s:error=%s:when=1", c.call, errno))
			w.Eventually(c.call+" fails", func() bool { return injected(x.trace()) > 0 })
			<-time.After(100 * time.Millisecond) // in which it may be called again
			trace := x.detach()
			w.alive()
			w.ready(true)
			w.accepts(20)
			t.Logf("%s answered %s: %d times on end, and %d times now and then", c.call, errno, lasting, injected(trace))
			for _, problem := range syncedAgain(trace) {
				t.Error(problem)
			}
		}
	}
	w.finish()
}

// TestSystemCallsFailAtTheStart (F9): a call of each kind fails while the process
// starts. It ends with a message, or starts; the next start is a good one, and nothing is
// lost in between.
func TestSystemCallsFailAtTheStart(t *testing.T) {
	needs(t, "strace")
	w := newWorld(t, endtoend.Setup{MaxSize: "8MiB", Outputs: twoFiles()}, ordinary)
	w.start()
	w.accepts(100)
	w.kill()
	ended, started, met := 0, 0, 0
	for _, c := range []struct {
		call, errno string
		when        []int
	}{
		{"openat", "EIO", []int{10, 14, 18, 22, 26}},
		{"openat", "EMFILE", []int{12, 20}},
		{"fdatasync", "EIO", []int{1, 2, 3}},
		{"fsync", "EIO", []int{1, 2, 4}},
		{"pwrite64", "ENOSPC", []int{1, 2, 3}},
		{"renameat", "EROFS", []int{1, 2}},
		{"pread64", "EIO", []int{3, 6}},
		{"ftruncate", "EIO", []int{1}},
		{"getdents64", "EIO", []int{1, 2}},
		{"flock", "ENOLCK", []int{1}},
	} {
		for _, n := range c.when {
			trace := filepath.Join(t.TempDir(), "trace")
			w.Configure(func(s *endtoend.Setup) {
				s.Serve = wrapped(t, "strace", "-D", "-f", "-y", "-qq", "-o", trace,
					"-e", "trace="+c.call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", c.call, c.errno, n))
			})
			p, err := w.TryStart()
			w.process = p
			text, _ := os.ReadFile(trace)
			hit := bytes.Contains(text, []byte("(INJECTED)"))
			met += boolToInt(hit)
			if err == nil {
				started++
				w.load.SetDoor(w.Serving().Address)
				w.audit.SetAdmin(w.Serving().Admin)
				w.accepts(10)
				w.kill()
				continue
			}
			ended++
			code, _ := p.AwaitExit()
			if code <= 0 || !hit || !strings.Contains(p.Log(), "\nsiemrelay: ") {
				t.Errorf("%s number %d answered %s: exit code %d, log:\n%s", c.call, n, c.errno, code, p.Log())
			}
			w.ended()
		}
	}
	w.Configure(func(s *endtoend.Setup) { s.Serve = "" })
	w.start()
	w.accepts(100)
	w.finish()
	t.Logf("a call failed at %d of %d starts: %d ended with a message, %d went well", met, ended+started, ended, started)
	if met < 10 || ended == 0 {
		t.Error("the calls were hardly met: nothing was tested")
	}
}

var syncCall = regexp.MustCompile(`fdatasync\(\d+<([^>]*/segments/[^>]*)>\) += (\S+)`)

// syncedAgain finds the segments that were synced again after that had failed: the
// system would call it a success, and what was lost stays lost.
func syncedAgain(trace [][]byte) (problems []string) {
	failed := map[string]bool{}
	for _, line := range trace {
		m := syncCall.FindSubmatch(line)
		if m == nil {
			continue
		}
		path := string(m[1])
		if failed[path] {
			problems = append(problems, fmt.Sprintf("%s was synced again after it had failed", path))
		}
		failed[path] = failed[path] || bytes.Equal(m[2], []byte("-1"))
	}
	return problems
}

// TestOneOutputsDiskFails (F9): writes and syncs of one output's file fail. The door
// and the other output do not notice, and the output has everything afterwards.
func TestOneOutputsDiskFails(t *testing.T) {
	needs(t, "strace")
	w := newWorld(t, endtoend.Setup{Outputs: twoFiles()}, ordinary)
	w.again = []int{1 << 20, 0} // what may have come to the disk is written again
	w.start()
	for _, c := range []struct{ call, errno string }{
		{"write", "EIO"}, {"write", "ENOSPC"}, {"fdatasync", "EIO"},
	} {
		before := w.load.Refused()
		x := attach(t, w.process.PID(), "-P", w.Outputs[0].Path, "-e", "trace="+c.call, "-e", fmt.Sprintf("inject=%s:error=%s", c.call, c.errno))
		w.accepts(200)
		w.delivers("cef", 200)
		state, _ := w.Status().Output("ecs")
		n := injected(x.detach())
		w.delivers("ecs", 100)
		t.Logf("%s of one output answered %s %d times; status said %q, %q", c.call, c.errno, n, state.State, state.Error)
		if refused := w.load.Refused() - before; refused > 0 {
			t.Errorf("%d webhooks were refused because of an output's disk", refused)
		}
		if n == 0 || state.Error == "" {
			t.Errorf("status says nothing of it: %+v", state)
		}
	}
	w.finish()
}

// TestSlowSyncs (F11): each sync takes long. Up to what the sender has patience for
// its webhooks are accepted late, and beyond that refused in time; memory does not grow.
func TestSlowSyncs(t *testing.T) {
	needs(t, "strace")
	t.Parallel() // it waits, most of the time
	const connections = 16
	w := newWorld(t, endtoend.Setup{Outputs: twoFiles()[:1]}, endtoend.LoadOptions{Connections: connections, Records: 2, BodySize: 1000})
	w.again = []int{0}
	w.start()
	w.accepts(500)
	before := w.resident()
	slow := func(delay time.Duration) *tracer {
		return attach(t, w.process.PID(), "-e", "trace=fdatasync,fsync", "-e", fmt.Sprintf("inject=fdatasync,fsync:delay_enter=%d", delay.Microseconds()))
	}
	refused, accepted := w.load.Refused(), w.load.Accepted()
	x := slow(time.Second)
	w.accepts(2 * connections)
	x.detach()
	if n := w.load.Refused() - refused; n > 0 {
		t.Errorf("%d webhooks were refused while each sync took a second", n)
	}
	t.Logf("syncs of a second: %d webhooks accepted", w.load.Accepted()-accepted)
	w.accepts(100)
	accepted, refused = w.load.Accepted(), w.load.Refused()
	x = slow(6 * time.Second)
	w.refuses(2 * connections)
	x.detach()
	t.Logf("syncs of six seconds: %d webhooks accepted, %d refused", w.load.Accepted()-accepted, w.load.Refused()-refused)
	w.alive()
	w.ready(true)
	w.accepts(500)
	if after := w.resident(); after > before+64<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
	for _, d := range w.finish() {
		if d.Took > 4*promised {
			t.Errorf("an answer took %v: the promise is %v", d.Took, promised)
		}
	}
}

// promised is how soon a refusal comes that the disk is the reason of. A loaded machine
// may take longer; a defect takes as long as the disk.
const promised = 5 * time.Second
