package main_test

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// seen runs a command with its standard files at a terminal, and returns what a
// person has seen and its exit code.
func seen(t *testing.T, r *endtoend.Rig, args ...string) (string, int) {
	t.Helper()
	screen, tty := endtoend.Terminal(t)
	cmd := exec.Command(r.Binary, args...)
	cmd.Dir, cmd.Env = r.Dir, append(os.Environ(), "SIEMRELAY_SEND_PASSWORD="+r.Logins[0].Password)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	err := cmd.Start()
	tty.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(endtoend.Patience, func() { _ = cmd.Process.Kill() }).Stop()
	text, _ := io.ReadAll(screen) // it fails when the last one has closed the terminal
	_ = cmd.Wait()                // the exit code tells
	return string(text), cmd.ProcessState.ExitCode()
}

// TestProgressAtATerminal: long work shows how far it is to a person, and nothing of
// that to a file.
func TestProgressAtATerminal(t *testing.T) {
	t.Parallel()
	r := endtoend.NewRig(t, ecsOnly(endtoend.Setup{Plain: true}))
	p := r.Start()
	url := "http://" + r.Serving().Address + "/webhooks/defense"

	text, code := seen(t, r, "send", "--url", url, "--username", "defense", "--sample", "03", "--sample", "05")
	if code != 0 || !strings.Contains(text, "[###############...............] 1 of 2") || !strings.Contains(text, "2 webhooks accepted") {
		t.Errorf("send: exit code %d, on the screen:\n%q", code, text)
	}
	r.AwaitDrained()
	text, code = seen(t, r, "replay", "-c", r.Config, "--output", "ecs", "--since", "1h", "--wait")
	if code != 0 || !strings.Contains(text, "2 events, the first of ") || !strings.Contains(text, "[##############################] 2 of 2") {
		t.Errorf("replay --wait: exit code %d, on the screen:\n%q", code, text)
	}
	text, code = seen(t, r, "replay", "-c", r.Config, "--output", "ecs", "--since", "1h")
	if code != 0 || !strings.Contains(text, "To see how far it is: siemrelay replay --output ecs --wait") {
		t.Errorf("replay: exit code %d, on the screen:\n%q", code, text)
	}
	r.AwaitDrained()
	if ran := r.Run("replay", "--output", "ecs", "--since", "1h", "--wait"); ran.Code != 0 || strings.Contains(ran.Out+ran.Err, "\x1b") || ran.Err != "" {
		t.Errorf("replay --wait without a terminal: %+v", ran)
	}
	r.Stop(p)
}

// TestReplayIsWaitedFor: one that was begun by another command is followed to its end.
func TestReplayIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := endtoend.NewRig(t, ecsOnly(endtoend.Setup{Plain: true}))
	p := r.Start()
	mustPost(t, r.Client(), "one")
	r.AwaitDrained()
	if err := os.Remove(r.Outputs[0].Path); err != nil {
		t.Fatal(err)
	}
	r.Stop(p)
	if err := os.Mkdir(r.Outputs[0].Path, 0o700); err != nil { // in the way
		t.Fatal(err)
	}
	p = r.Start()
	r.Must("replay", "--output", "ecs", "--since", "1h")
	cmd := exec.Command(r.Binary, "replay", "-c", r.Config, "--output", "ecs", "--wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Eventually("the output is paused or tries again", func() bool {
		o, _ := r.Status().Output("ecs")
		return o.State != "ok" && o.Replaying == 1
	})
	if err := os.Remove(r.Outputs[0].Path); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("replay --wait: %v", err)
	}
	if o, _ := r.Status().Output("ecs"); o.Replaying != 0 || o.Delivered != 2 {
		t.Errorf("after replay --wait: %+v", o)
	}
	r.Stop(p)
}
