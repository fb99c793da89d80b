package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/outputs/file"
)

// contents maps each file's name behind "events" to what is in it, lines joined by spaces.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range names(t, path) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(name, path)] = strings.Join(splitLines(data), " ")
	}
	return all
}

func wantContents(t *testing.T, path string, want map[string]string) {
	t.Helper()
	got := contents(t, path)
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, lines := range want {
		if got[name] != lines {
			t.Errorf("events%s has %q, want %q", name, got[name], lines)
		}
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	// Ten bytes: five lines of one character.
	out := newOutput(t, path, file.Options{}, maxSize(10), func(c *file.Config) { c.Keep = 2 })
	mustSend(t, out, "a", "b", "c")
	mustSend(t, out, "d", "e")
	wantContents(t, path, map[string]string{"": "a b c d e"}) // exactly full
	mustSend(t, out, "f")
	wantContents(t, path, map[string]string{"": "f", ".1": "a b c d e"})
	mustSend(t, out, "g", "h", "i", "j", "k") // is not split
	wantContents(t, path, map[string]string{"": "g h i j k", ".1": "f", ".2": "a b c d e"})
	mustSend(t, out, "0123456789abcdef") // larger than any file may be
	wantContents(t, path, map[string]string{"": "0123456789abcdef", ".1": "g h i j k", ".2": "f"})
	mustSend(t, out, "l")
	wantContents(t, path, map[string]string{"": "l", ".1": "0123456789abcdef", ".2": "g h i j k"})
}

func TestLargeFirstBatchLeavesNoEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	mustSend(t, newOutput(t, path, file.Options{}, maxSize(4)), "larger than that")
	wantContents(t, path, map[string]string{"": "larger than that"})
}

func TestRotationCountsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	if err := os.WriteFile(path, []byte("old\nline\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustSend(t, newOutput(t, path, file.Options{}, maxSize(10)), "a")
	wantContents(t, path, map[string]string{"": "a", ".1": "old line"})
}

func TestNoRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	out := newOutput(t, path, file.Options{}, maxSize(0))
	mustSend(t, out, strings.Repeat("x", 1<<20))
	mustSend(t, out, "a")
	if got := names(t, path); len(got) != 1 {
		t.Errorf("max_size 0 rotates: %v", got)
	}
}

// TestRotationFillsGaps: a file that is missing in the row, after a crash or
// because somebody took it, costs no other file.
func TestRotationFillsGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	for name, text := range map[string]string{".1": "one\n", ".3": "three\n", ".10": "ten\n", ".txt": "not ours\n"} {
		if err := os.WriteFile(path+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := newOutput(t, path, file.Options{}, maxSize(4))
	mustSend(t, out, "abc")
	mustSend(t, out, "def")
	wantContents(t, path, map[string]string{
		"": "def", ".1": "abc", ".2": "one", ".3": "three", ".10": "ten", ".txt": "not ours",
	})
}

// TestRotationThatIsNotAllowed: the batch waits for somebody to mend it, and
// nothing is lost.
func TestRotationThatIsNotAllowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	fs := newFaultFS(t)
	out := newOutput(t, path, file.Options{FS: fs}, maxSize(4))
	mustSend(t, out, "abc")
	fs.failOn("rename", syscall.EACCES)
	wantNotReady(t, send(out, "def"), "its directory")
	fs.setFault(nil)
	mustSend(t, out, "def")
	wantContents(t, path, map[string]string{"": "def", ".1": "abc"})
}
