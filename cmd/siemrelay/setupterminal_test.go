package main

import (
	"io"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// atTerminal runs a command with its streams at a terminal, and returns what a person
// has seen.
func atTerminal(t *testing.T, args ...string) string {
	t.Helper()
	screen, tty := endtoend.Terminal(t)
	shown := make(chan string)
	go func() { // it ends when tty is closed
		text, _ := io.ReadAll(screen)
		shown <- string(text)
	}()
	code := run(t.Context(), args, streams{in: strings.NewReader(""), out: tty, err: tty})
	tty.Close()
	text := <-shown
	if code != exitOK {
		t.Errorf("%v: exit code %d, on the screen:\n%q", args, code, text)
	}
	return text
}

// inOrder checks that the texts are there, each behind the one before.
func inOrder(t *testing.T, text string, wants ...string) {
	t.Helper()
	rest := text
	for _, want := range wants {
		_, behind, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q is not on the screen, or not at its place:\n%q", want, text)
		}
		rest = behind
	}
}

// Who waits for a cluster or for Kibana sees what is waited for, and each step when it
// is done; nothing of the former stays. Without a terminal there is none of it: that is
// in the tests of each command.
func TestSetupAtATerminal(t *testing.T) {
	const wipe = "\r\x1b[K"
	cluster := elasticsearchtest.New(t)
	text := atTerminal(t, "setup", "elasticsearch", "--url", cluster.URL)
	inOrder(t, text, wipe+"Asking the cluster…", wipe+"created    ingest pipeline defensecom@pipeline\r\n",
		wipe+"Installing what is left…", wipe+"created    component template", wipe+"created    index defensecom-latest-ticket\r\n")
	if !strings.HasSuffix(text, wipe) {
		t.Errorf("setup elasticsearch leaves something on the screen:\n%q", text)
	}

	f := newFakeKibana(t)
	text = atTerminal(t, append(f.arguments(t), "--rules")...)
	inOrder(t, text, wipe+"Asking Kibana…", wipe+"Kibana 8.19.7 at ", wipe+"Importing data views, searches and the dashboard…",
		wipe, " imported\r\n", wipe+"Importing detection rules…", wipe+"rule ", "Open "+f.URL)
	if r := f.setup(t, "--rules"); strings.Contains(r.out+r.errors, "\x1b") {
		t.Errorf("setup kibana without a terminal:\n%q", r.out+r.errors)
	}
}
