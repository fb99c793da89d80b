package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/file"
)

// newOutput makes an output in a configuration that is right but for what set changes.
func newOutput(tb testing.TB, path string, o file.Options, set ...func(c *file.Config)) outputs.Output {
	tb.Helper()
	c := file.Default()
	c.Path = path
	for _, f := range set {
		f(&c)
	}
	out, err := file.New(c, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = out.Close() })
	return out
}

func maxSize(n int) func(c *file.Config) {
	return func(c *file.Config) { c.MaxSize = config.Size(n) }
}

func batchOf(bodies ...string) []outputs.Message {
	batch := make([]outputs.Message, len(bodies))
	for i, body := range bodies {
		batch[i] = outputs.Message{Key: "k", Body: []byte(body)}
	}
	return batch
}

func send(out outputs.Output, bodies ...string) error {
	return out.Send(context.Background(), batchOf(bodies...))
}

func mustSend(tb testing.TB, out outputs.Output, bodies ...string) {
	tb.Helper()
	if err := send(out, bodies...); err != nil {
		tb.Fatalf("send %.80q: %v", bodies, err)
	}
}

func splitLines(data []byte) []string {
	var lines []string
	for line := range bytes.Lines(data) {
		lines = append(lines, strings.TrimSuffix(string(line), "\n"))
	}
	return lines
}

func wantLines(tb testing.TB, path string, want ...string) {
	tb.Helper()
	if got := readAll(tb, path); !slices.Equal(got, want) {
		tb.Fatalf("%s has the lines %.300q, want %.300q", path, got, want)
	}
}

func wantNotReady(tb testing.TB, err error, hint string) {
	tb.Helper()
	var notReady *outputs.NotReady
	if !errors.As(err, &notReady) || !strings.Contains(err.Error(), hint) {
		tb.Fatalf("got the error %v, want NotReady with %q", err, hint)
	}
}

func TestNewOpensNothing(t *testing.T) {
	fs := newFaultFS(t)
	fs.failAlways(syscall.EIO)
	out := newOutput(t, filepath.Join(t.TempDir(), "a", "events"), file.Options{FS: fs})
	if fs.calls > 0 {
		t.Errorf("New made %d calls to the file system", fs.calls)
	}
	if err := out.Close(); err != nil {
		t.Errorf("close an output that never sent: %v", err)
	}
}

func TestConfigMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		config file.Config
		want   []string
	}{
		"nothing":           {file.Config{}, []string{"path"}},
		"a directory":       {file.Config{Path: "/var/log/"}, []string{"directory"}},
		"NUL":               {file.Config{Path: "a\x00b"}, []string{"path"}},
		"keep nothing":      {file.Config{Path: "a", MaxSize: 1}, []string{"keep: 0", "1 to 1000"}},
		"keep too many":     {file.Config{Path: "a", MaxSize: 1, Keep: 1001}, []string{"keep: 1001"}},
		"every one at once": {file.Config{MaxSize: -1}, []string{"path", "max_size"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := file.New(c.config, file.Options{})
			if err == nil {
				t.Fatal("New takes it")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not contain %q", err, want)
				}
			}
		})
	}
	if _, err := file.New(file.Config{Path: "a"}, file.Options{}); err != nil {
		t.Errorf("max_size 0 turns rotation off, so keep does not matter: %v", err)
	}
}

func TestMakesDirectoriesAndFileForItsUserAndGroupOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	path := filepath.Join(dir, "b", "events.ndjson")
	mustSend(t, newOutput(t, path, file.Options{}), "{}")
	for name, most := range map[string]os.FileMode{dir: 0o750, filepath.Dir(path): 0o750, path: 0o640} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&^most != 0 || mode&0o600 != 0o600 {
			t.Errorf("%s has mode %o, want %o less the umask", name, mode, most)
		}
	}
	wantLines(t, path, "{}")
}

// TestLineEndingIsRefused: one event must never look like two.
func TestLineEndingIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	out := newOutput(t, path, file.Options{})
	err := send(out, "a", "b\nforged", "c", "d\r", "\n", "e")
	var p *outputs.Partial
	if !errors.As(err, &p) {
		t.Fatalf("got the error %v, want a Partial", err)
	}
	var got []outputs.Status
	for _, r := range p.Results {
		got = append(got, r.Status)
	}
	want := []outputs.Status{outputs.Done, outputs.Refused, outputs.Done, outputs.Refused, outputs.Refused, outputs.Done}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	wantLines(t, path, "a", "c", "e")
}

// TestNotReady: what only a person can mend pauses the output, and says how.
func TestNotReady(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	endless := filepath.Join(dir, "endless")
	if err := errors.Join(os.WriteFile(endless, nil, 0o600), os.Truncate(endless, 65<<20)); err != nil {
		t.Fatal(err)
	}
	for path, hint := range map[string]string{
		dir:                          "name a file to write to",
		fifo:                         "name a file to write to",
		"/dev/null":                  "name a file to write to",
		filepath.Join(plain, "file"): "a file where a directory is needed",
		filepath.Join(dir, strings.Repeat("x", 300)): "name a path that can be opened",
		endless: "not a file of events",
	} {
		wantNotReady(t, send(newOutput(t, path, file.Options{}), "{}"), hint)
	}
	info, err := os.Stat(endless)
	if err != nil || info.Size() != 65<<20 {
		t.Errorf("a file that is not ours was changed: %v, %v", info, err)
	}
	for errno, hint := range map[error]string{
		syscall.EACCES: "let user id",
		syscall.EPERM:  "let user id",
		syscall.EROFS:  "mount the file system for writing",
	} {
		fs := newFaultFS(t)
		fs.failOn("open", errno)
		out := newOutput(t, filepath.Join(dir, "new"), file.Options{FS: fs})
		wantNotReady(t, send(out, "{}"), hint)
		fs.setFault(nil)
		mustSend(t, out, "{}")
		_ = out.Close()
	}
}

// TestFullDiskIsNoReasonToPause: it is tried again like any other failure.
func TestFullDiskIsNoReasonToPause(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE} {
		for _, op := range []string{"stat", "open", "lock", "syncdir", "write", "sync"} {
			fs := newFaultFS(t)
			out := newOutput(t, filepath.Join(t.TempDir(), "events"), file.Options{FS: fs})
			fs.failOn(op, errno)
			err := send(out, "{}")
			var notReady *outputs.NotReady
			if !errors.Is(err, errno) || errors.As(err, &notReady) {
				t.Errorf("%s fails with %v: got the error %v", op, errno, err)
			}
		}
	}
}

// TestOneWriterPerFile: two outputs that append to one file would cut each
// other's lines.
func TestOneWriterPerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	first := newOutput(t, path, file.Options{})
	mustSend(t, first, "1")
	second := newOutput(t, path, file.Options{})
	wantNotReady(t, send(second, "2"), "path of its own")
	mustSend(t, first, "3")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustSend(t, second, "4")
	wantLines(t, path, "1", "3", "4")
}

func TestCheckChangesNothing(t *testing.T) {
	check := func(path string, o file.Options) error {
		return newOutput(t, path, o).(outputs.Checker).Check(context.Background())
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "events")
	if err := check(path, file.Options{}); err != nil {
		t.Errorf("a file that can be made: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("Check made %v (%v)", entries, err)
	}
	torn := filepath.Join(dir, "torn")
	if err := os.WriteFile(torn, []byte("a\nb"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := check(torn, file.Options{}); err != nil {
		t.Errorf("a file that is there: %v", err)
	}
	if data, _ := os.ReadFile(torn); string(data) != "a\nb" {
		t.Errorf("Check changed the file to %q", data)
	}
	wantNotReady(t, check(dir, file.Options{}), "name a file")
	wantNotReady(t, check(filepath.Join(torn, "x"), file.Options{}), "where a directory is needed")
	for _, op := range []string{"open", "access", "stat"} {
		fs := newFaultFS(t)
		fs.failOn(op, syscall.EACCES)
		if op == "open" {
			wantNotReady(t, check(torn, file.Options{FS: fs}), "let user id")
		} else {
			wantNotReady(t, check(path, file.Options{FS: fs}), "let user id")
		}
	}
	fs := newFaultFS(t)
	fs.failAlways(syscall.ENOENT) // not even the root is there
	nowhere := newOutput(t, path, file.Options{FS: fs})
	if err := errors.Join(nowhere.(outputs.Checker).Check(context.Background()), send(nowhere, "{}")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got the error %v", err)
	}
	busy := newOutput(t, torn, file.Options{})
	mustSend(t, busy, "c")
	if err := check(torn, file.Options{}); err != nil {
		t.Errorf("a file that a running siemrelay writes: %v", err)
	}
}

func TestCloseReportsAnError(t *testing.T) {
	fs := newFaultFS(t)
	out := newOutput(t, filepath.Join(t.TempDir(), "events"), file.Options{FS: fs})
	mustSend(t, out, "a")
	fs.failOn("close", syscall.EIO)
	if err := out.Close(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Close returned %v, want EIO", err)
	}
}

func numbered(prefix string, n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = fmt.Sprintf(`{"%s":%d}`, prefix, i)
	}
	return bodies
}
