package faults_test

import (
	"fmt"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestKilledAtSystemCalls (F2): the process is killed as it enters a system call that
// changes or reads a file: the n-th of a thread, counted from its start. It dies before
// the call does anything.
func TestKilledAtSystemCalls(t *testing.T) {
	needs(t, "strace")
	w := newWorld(t, endtoend.Setup{MaxSize: "8MiB", Retention: "0", Outputs: twoFiles()},
		endtoend.LoadOptions{Connections: 6, Records: 3, BodySize: 4000})
	rounds, early, missed := 0, 0, 0
	for _, point := range []struct {
		call string
		when []int
	}{
		{"fdatasync", []int{1, 2, 3, 7, 30}},
		{"fsync", []int{1, 2, 3, 5, 8}},
		{"pwrite64", []int{1, 2, 3, 4, 9, 40}},
		{"renameat", []int{1, 2}},
		{"unlinkat", []int{1, 2}},
		{"unlink", []int{1}},
		{"ftruncate", []int{1}},
		{"openat", []int{8, 13, 21, 34}},
		{"pread64", []int{1, 5, 30}},
		{"write", []int{2, 4, 8, 32}},
		{"statfs", []int{1, 6}},
	} {
		for _, n := range point.when {
			for range *thorough {
				rounds++
				w.Configure(func(s *endtoend.Setup) {
					s.Serve = wrapped(t, "strace", "-D", "-f", "-qq", "-o", "/dev/null",
						"-e", "trace="+point.call, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", point.call, n))
				})
				switch w.killedByItself(300) {
				case whileStarting:
					early++
				case notAtAll:
					missed++
				}
			}
		}
	}
	w.Configure(func(s *endtoend.Setup) { s.Serve = "" })
	w.start()
	w.accepts(100)
	w.finish()
	t.Logf("%d rounds: %d killed at the call while it started, %d under load, %d never came to the call", rounds, early, rounds-early-missed, missed)
	if rounds-early-missed < rounds/4 || early == 0 {
		t.Error("the calls were hardly met: nothing was tested")
	}
}

type when int

const (
	whileStarting when = iota
	underLoad
	notAtAll
)

// killedByItself starts a process that is to be killed by its strace, at the latest
// when so many webhooks were accepted.
func (w *world) killedByItself(patience int) when {
	w.t.Helper()
	defer w.ended()
	p, err := w.TryStart()
	w.process = p
	if err != nil {
		if !p.Exited() {
			w.t.Fatal(err)
		}
		return whileStarting
	}
	w.load.SetDoor(w.Serving().Address)
	w.audit.SetAdmin(w.Serving().Admin)
	goal := w.load.Accepted() + patience
	w.Eventually("it is killed, or works", func() bool { return p.Exited() || w.load.Accepted() >= goal })
	if p.Exited() {
		return underLoad
	}
	w.must(p.Kill())
	return notAtAll
}
