// Package endtoend runs the built siemrelay as its user does, with real files,
// ports, disks and signals, and tells from outside what became of every webhook.
//
// It guarantees that what a check finds was seen by a sender, in an output or in
// the log: it takes no word of the relay for granted. It refuses to know the
// relay's packages, and imports none. Only tests import it.
package endtoend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build compiles the command into dir and returns its path. A test that runs
// with the race detector gets a binary with it.
func Build(dir string) (string, error) {
	path := filepath.Join(dir, "siemrelay")
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/siemrelay/siemrelay/cmd/siemrelay")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build siemrelay: %w: %s", err, out)
	}
	return path, nil
}

// Main is the end of a TestMain whose tests all run the command: it builds it, leaves its
// path in binary, runs the tests and returns the exit code. A path that is in binary
// already is that of a built one.
func Main(m interface{ Run() int }, binary *string) int {
	if *binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "siemrelay-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		*binary, err = Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
