package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestPasswordIsShownOnce: a person at a terminal sees the password that the
// first start made, and no later start shows it. A log never holds it: that is
// in the script serve-without-config.
func TestPasswordIsShownOnce(t *testing.T) {
	for _, address := range []string{"127.0.0.1:8443", "127.0.0.1:9464"} { // the defaults can't be chosen
		if ok, err := condition("free:" + address); err != nil || !ok {
			endtoend.Skip(t, fmt.Errorf("somebody listens on %s (%v)", address, err))
		}
	}
	dir := t.TempDir()
	first := startAtTerminal(t, dir)
	password, err := os.ReadFile(filepath.Join(dir, "siemrelay-data", "webhook-password"))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(password))
	if n := strings.Count(first, secret); len(secret) < 16 || n != 1 {
		t.Errorf("the first start shows the password %q %d times:\n%s", secret, n, first)
	}
	if second := startAtTerminal(t, dir); strings.Contains(second, secret) {
		t.Errorf("the second start shows the password:\n%s", second)
	}
}

// startAtTerminal runs serve without a configuration until it has told how to
// send webhooks, ends it, and returns all that a person has seen.
func startAtTerminal(t *testing.T, dir string) string {
	t.Helper()
	screen, tty := endtoend.Terminal(t)
	cmd := exec.Command(binary, "serve")
	cmd.Dir, cmd.Stderr = dir, tty
	err := cmd.Start()
	tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	end := func() { _ = cmd.Process.Kill() } // it may have ended
	defer end()
	defer time.AfterFunc(endtoend.Patience, end).Stop()
	var seen strings.Builder
	lines := bufio.NewScanner(screen)
	for lines.Scan() { // to the end of the process, when nobody has the terminal open
		seen.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "siemrelay send --url") {
			if err := cmd.Process.Signal(unix.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("end after an interrupt: %v\n%s", err, seen.String())
	}
	return seen.String()
}
