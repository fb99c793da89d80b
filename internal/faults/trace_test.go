package faults_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// needs skips the test where a tool or the right to use it is missing.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		endtoend.Skip(t, fmt.Errorf("it needs root"))
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			endtoend.Skip(t, fmt.Errorf("it needs %s: %w", tool, err))
		}
	}
}

// wrapped is a command that runs the relay by another program, in whose place it is
// afterwards: the process keeps its id.
func wrapped(t *testing.T, prefix ...string) (command string) {
	t.Helper()
	command = filepath.Join(t.TempDir(), "siemrelay")
	var b strings.Builder
	b.WriteString("#!/bin/sh\nexec")
	for _, word := range append(prefix, binary) {
		fmt.Fprintf(&b, " '%s'", strings.ReplaceAll(word, "'", `'\\''`))
	}
	b.WriteString(" \"$@\"\n")
	if err := os.WriteFile(command, []byte(b.String()), 0o700); err != nil {
		t.Fatal(err)
	}
	return command
}

// tracer is an strace that makes system calls of a running process fail, wait or kill.
type tracer struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string
	done bool
}

// attach attaches one to the process; args say what it does, see strace(1). It is in
// effect when attach returns, until detach.
func attach(t *testing.T, pid int, args ...string) *tracer {
	t.Helper()
	x := &tracer{t: t, log: filepath.Join(t.TempDir(), "strace")}
	x.cmd = exec.Command("strace", append([]string{"-f", "-y", "-o", x.log, "-p", fmt.Sprint(pid)}, args...)...)
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is not for it
	out, err := x.cmd.StderrPipe()
	if err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.detach() })
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "attached") {
		endtoend.Skip(t, fmt.Errorf("trace process %d: %q, %w", pid, line, err))
	}
	go func() { _, _ = lines.WriteTo(nothing{}) }() // ends with strace
	return x
}

type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }

// detach ends the tracing and returns the lines of the trace.
func (x *tracer) detach() [][]byte {
	x.t.Helper()
	if !x.done {
		x.done = true
		if err := x.cmd.Process.Signal(syscall.SIGINT); err != nil && err != os.ErrProcessDone {
			x.t.Error(err)
		}
		_ = x.cmd.Wait() // it ends by the signal
	}
	return x.trace()
}

// trace returns the lines of the trace so far.
func (x *tracer) trace() [][]byte {
	x.t.Helper()
	text, err := os.ReadFile(x.log)
	if err != nil {
		x.t.Fatal(err)
	}
	return bytes.Split(text, []byte("\n"))
}

// injected counts the calls of a trace that were made to fail.
func injected(lines [][]byte) (n int) {
	for _, line := range lines {
		if bytes.Contains(line, []byte("(INJECTED)")) {
			n++
		}
	}
	return n
}
