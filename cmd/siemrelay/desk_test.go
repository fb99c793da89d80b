package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// Root would leave files that the service can't open, so it does nothing and says
// what to run instead.
func TestRootDoesNotWorkOnTheFilesOfTheService(t *testing.T) {
	if os.Geteuid() != 0 {
		endtoend.Skip(t, errors.New("it needs root to give a folder to another user"))
	}
	dir := filepath.Join(t.TempDir(), "spool of another")
	if err := os.MkdirAll(filepath.Join(dir, "segments"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 4242, -1); err != nil {
		t.Fatal(err)
	}
	cfg := unconfigured()
	cfg.Spool.Dir = dir
	if _, err := findDesk(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "sudo -u '#4242' ") {
		t.Errorf("%v, want the command to run instead", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("in the folder: %v %v, want nothing new", entries, err)
	}
	if err := checkOwner(dir, 4242); err != nil {
		t.Errorf("its owner: %v", err)
	}
}

func TestCommandLineForAnotherUser(t *testing.T) {
	got := asUser(4242, []string{"./siemrelay", "status", "-c", "it's here.yaml", ""})
	if want := `sudo -u '#4242' ./siemrelay status -c 'it'\''s here.yaml' ''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestProgress(t *testing.T) {
	for want, c := range map[string][2]uint64{
		"[..............................] 0 of 10": {0, 10},
		"[###############...............] 5 of 10": {5, 10},
		"[##############################] 3 of 3":  {3, 3},
		"[..............................] 0 of 0":  {0, 0},
	} {
		if got := progress(c[0], c[1]); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
