package endtoend

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Patience is how long anything that must happen is waited for. It is far above
// what it takes; only a defect uses it up.
const Patience = 2 * time.Minute

// RaceOptions, in a process's environment, make a binary with the race detector end
// without a second of sleep.
const RaceOptions = "GORACE=atexit_sleep_ms=0"

// LaunchOptions say what to run.
type LaunchOptions struct {
	Binary string
	Args   []string
	Dir    string   // where it runs
	Env    []string // nil: the environment of the test
	Log    string   // file for its standard error; made anew
	Stdout string   // file for its standard output; empty: discarded
}

// Process is a running siemrelay. Its output goes straight to files, so that a
// kill loses none of it.
type Process struct {
	cmd    *exec.Cmd
	log    string
	began  time.Time
	exited chan struct{} // closed when it has ended
}

// Launch starts a process and does not wait for anything.
func Launch(o LaunchOptions) (*Process, error) {
	p := &Process{cmd: exec.Command(o.Binary, o.Args...), log: o.Log, exited: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = o.Dir, o.Env
	if p.cmd.Env == nil {
		p.cmd.Env = os.Environ()
	}
	p.cmd.Env = append(p.cmd.Env, RaceOptions)
	stderr, err := os.Create(o.Log)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	p.cmd.Stderr = stderr
	if o.Stdout != "" {
		stdout, err := os.Create(o.Stdout)
		if err != nil {
			return nil, err
		}
		defer stdout.Close()
		p.cmd.Stdout = stdout
	}
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start siemrelay: %w", err)
	}
	go func() { // ends with the process
		_ = p.cmd.Wait() // its state is asked for
		close(p.exited)
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log returns what the process has written to standard error.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Serving is what serve says about itself once it receives webhooks.
type Serving struct {
	Address string        // of the door, host:port
	Admin   string        // of the admin listener, host:port
	After   time.Duration // since the process was started, to within a poll
}

// AwaitServing waits until the process receives webhooks. It needs a log in JSON.
func (p *Process) AwaitServing() (Serving, error) {
	deadline := time.Now().Add(Patience)
	for {
		ended := p.Exited() // before the log is read: the last line counts
		if s, ok := p.serving(); ok {
			s.After = time.Since(p.began)
			return s, nil
		}
		if ended || time.Now().After(deadline) {
			return Serving{}, fmt.Errorf("await siemrelay's receiving webhooks: ended: %v, log:\n%s", ended, p.Log())
		}
		time.Sleep(2 * time.Millisecond) // a poll
	}
}

func (p *Process) serving() (Serving, bool) {
	lines := bufio.NewScanner(bytes.NewReader([]byte(p.Log())))
	for lines.Scan() {
		var line struct{ Msg, Address, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "receiving webhooks" {
			return Serving{Address: line.Address, Admin: line.Admin}, true
		}
	}
	return Serving{}, false
}

// Exited tells whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Signal sends sig.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Kill ends the process as kill -9 does, if it still runs, and waits for its end.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.exited
	return nil
}

// AwaitExit waits for the end of the process and returns its exit code, -1 if a
// signal ended it.
func (p *Process) AwaitExit() (int, error) {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(Patience):
		return 0, fmt.Errorf("await the end of siemrelay: it still runs, log:\n%s", p.Log())
	}
}
