package endtoend

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
)

// Ran is what a command did.
type Ran struct {
	Out, Err string
	Code     int // exit code
}

// Run runs a command with the configuration, without a terminal. No password may be
// in what it prints.
func (r *Rig) Run(args ...string) Ran {
	r.tb.Helper()
	cmd := exec.Command(r.Binary, append(args, "-c", r.Config)...)
	cmd.Dir, cmd.Env = r.Dir, append(os.Environ(), RaceOptions)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		r.tb.Fatal(err)
	}
	ran := Ran{out.String(), problems.String(), cmd.ProcessState.ExitCode()}
	for _, leak := range r.Leaks(ran.Out + ran.Err) {
		r.tb.Errorf("siemrelay %q shows a password: %s", args, leak)
	}
	return ran
}

// Must runs a command that has to end well, and returns what it printed.
func (r *Rig) Must(args ...string) string {
	r.tb.Helper()
	ran := r.Run(args...)
	if ran.Code != 0 {
		r.tb.Fatalf("siemrelay %q: exit code %d, %s%s", args, ran.Code, ran.Out, ran.Err)
	}
	return ran.Out
}

// JSON runs a command that has to end well and print JSON, and reads that into v.
func (r *Rig) JSON(v any, args ...string) {
	r.tb.Helper()
	text := r.Must(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		r.tb.Fatalf("siemrelay %q: %v: %s", args, err, text)
	}
}
