package file_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/file"
)

// script is a run that opens, appends, rotates several times and removes the
// oldest file. Each batch is 4 lines of about 10 bytes.
func script() [][]string {
	var batches [][]string
	for i := range 12 {
		batches = append(batches, numbered(fmt.Sprintf("b%02d", i), 4))
	}
	return batches
}

func scripted(tb testing.TB, path string, fs *faultFS) outputs.Output {
	return newOutput(tb, path, file.Options{FS: fs}, func(c *file.Config) { c.MaxSize, c.Keep = 120, 20 })
}

// TestNilMeansDurable: after each Send that returned nil, nothing is left to a
// power cut, neither data nor a directory entry.
func TestNilMeansDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "events")
	fs := newFaultFS(t)
	out := scripted(t, path, fs)
	for _, batch := range script() {
		mustSend(t, out, batch...)
		fs.mustBeDurable()
	}
	wantLines(t, path, slices.Concat(script()...)...)
}

// TestFaultAtEveryCall makes the k-th call to the file system fail, for every k,
// once and for a while, with each kind of error. Whatever fails: a batch that was
// reported safe is there and durable, in order; and where one call failed and the
// next works, a batch that failed has left nothing behind.
func TestFaultAtEveryCall(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
		for _, width := range []int{1, 3} {
			t.Run(fmt.Sprintf("%v for %d calls", errno, width), func(t *testing.T) {
				k, happened := 1, true
				for ; happened; k++ {
					happened = faultAt(t, k, width, errno)
				}
				if k < 60 {
					t.Errorf("the script makes only %d calls: the test has lost its subject", k)
				}
			})
		}
	}
}

// faultAt runs the script with calls k to k+width-1 failing. It returns whether
// there was a k-th call.
func faultAt(t *testing.T, k, width int, errno error) bool {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dir", "events")
	fs := newFaultFS(t)
	out := scripted(t, path, fs)
	var happened string
	fs.setFault(func(op string, call int) error {
		if call >= k && call < k+width {
			happened = op
			return errno
		}
		return nil
	})
	var safe []string
	for i, batch := range script() {
		for try := 0; ; try++ {
			err := send(out, batch...)
			if err == nil {
				break
			}
			if try > width {
				t.Fatalf("call %d (%s) failed: batch %d never gets through: %v", k, happened, i, err)
			}
			if lines, torn := readLines(t, path); width == 1 && (torn != "" || !slices.Equal(lines, safe)) {
				t.Fatalf("call %d (%s) failed: the batch left something behind: %s %.200q", k, happened, torn, lines)
			}
		}
		safe = append(safe, batch...)
		fs.mustBeDurable()
	}
	fs.setFault(nil)
	got := readAll(t, path)
	if width > 1 {
		got = firstCopies(got)
	}
	if !slices.Equal(got, safe) {
		t.Fatalf("call %d (%s) failed: the files have %d lines, want %d: %.500q", k, happened, len(got), len(safe), got)
	}
	_ = out.Close()
	return happened != ""
}

// TestKilledAtEveryCall ends the process, as it were, before the k-th call, for
// every k, starts a new output and sends the unfinished batch again, as the relay
// does. Everything is there in order, no line is torn, and only that batch may be
// there twice.
func TestKilledAtEveryCall(t *testing.T) {
	killed := errors.New("killed")
	for k := 1; ; k++ {
		path := filepath.Join(t.TempDir(), "dir", "events")
		fs := newFaultFS(t)
		out := scripted(t, path, fs)
		fs.setFault(func(_ string, call int) error {
			if call >= k {
				return killed
			}
			return nil
		})
		batches := script()
		next := 0
		for next < len(batches) && send(out, batches[next]...) == nil {
			next++
		}
		_ = out.Close()
		if next == len(batches) {
			return
		}
		again := newFaultFS(t)
		out = scripted(t, path, again)
		for _, batch := range batches[next:] {
			mustSend(t, out, batch...)
			again.mustBeDurable()
		}
		got, want := readAll(t, path), slices.Concat(batches...)
		if first := firstCopies(got); !slices.Equal(first, want) {
			t.Fatalf("killed before call %d: the files have %q, want %q", k, first, want)
		}
		if len(got) > len(want)+len(batches[next]) {
			t.Fatalf("killed before call %d: more than the unfinished batch is there twice", k)
		}
		_ = out.Close()
	}
}

func firstCopies(lines []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		again := seen[line]
		seen[line] = true
		return again
	})
}

// TestFailedSyncIsNeverAskedAgain: the kernel may have dropped the data and
// answer the second fsync with success. faultFS reports a handle that is used again.
func TestFailedSyncIsNeverAskedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	fs := newFaultFS(t)
	out := newOutput(t, path, file.Options{FS: fs})
	mustSend(t, out, "a")
	fs.failOn("sync", syscall.EIO)
	for range 3 {
		if err := send(out, "b"); !errors.Is(err, syscall.EIO) {
			t.Fatalf("a failed fsync gives %v", err)
		}
		wantLines(t, path, "a")
	}
	fs.setFault(nil)
	mustSend(t, out, "b")
	wantLines(t, path, "a", "b")
}

// TestLeftoverIsCutLater: if neither write nor repair works, the repair is made
// up for before anything else is written.
func TestLeftoverIsCutLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	fs := newFaultFS(t)
	out := newOutput(t, path, file.Options{FS: fs})
	mustSend(t, out, "a")
	for _, broken := range []string{"write", "sync"} {
		fs.setFault(func(op string, _ int) error {
			if op == broken || op == "truncate" || op == "lock" {
				return syscall.EIO
			}
			return nil
		})
		err := send(out, strings.Repeat("b", 100), "c")
		if err == nil || !strings.Contains(err.Error(), "open it again") {
			t.Fatalf("the error does not say that the repair failed: %v", err)
		}
		if lines, torn := readLines(t, path); torn == "" && len(lines) == 1 {
			t.Fatal("the failed batch left nothing behind: the test has lost its subject")
		}
		fs.setFault(nil)
		mustSend(t, out, broken)
	}
	wantLines(t, path, "a", "write", "sync")
}

// TestLeftoverIsOfOneFile: what has to be cut from one file is not cut from the
// next, nor from the same one twice.
func TestLeftoverIsOfOneFile(t *testing.T) {
	breakIt := func(t *testing.T, path string) outputs.Output {
		fs := newFaultFS(t)
		out := newOutput(t, path, file.Options{FS: fs})
		mustSend(t, out, "a")
		fs.setFault(func(op string, _ int) error {
			if op == "write" || op == "truncate" || op == "lock" {
				return syscall.EIO
			}
			return nil
		})
		if err := send(out, "bcd"); err == nil {
			t.Fatal("the test has lost its subject")
		}
		fs.setFault(nil)
		return out
	}
	t.Run("another file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "events")
		out := breakIt(t, path)
		if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("of somebody\nelse\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		mustSend(t, out, "e")
		wantLines(t, path, "of somebody", "else", "e")
	})
	t.Run("the same file again", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "events")
		out := breakIt(t, path)
		mustSend(t, out, "e")
		if err := appendTo(path, "f\n"); err != nil {
			t.Fatal(err)
		}
		mustSend(t, out, "g")
		wantLines(t, path, "a", "e", "f", "g")
	})
}

// TestShortWriteWithoutError: a writer that breaks io.Writer's rule is not believed.
func TestShortWriteWithoutError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	fs := &shortFS{faultFS: newFaultFS(t)}
	out := newOutput(t, path, file.Options{FS: fs})
	if err := send(out, "abcdef"); err == nil {
		t.Error("a short write is taken for a success")
	}
	wantLines(t, path)
}

type shortFS struct{ *faultFS }

type shortFile struct{ file.File }

func (f *shortFS) OpenFile(name string, flag int, perm os.FileMode) (file.File, error) {
	inner, err := f.faultFS.OpenFile(name, flag, perm)
	return shortFile{inner}, err
}

func (f shortFile) Write(p []byte) (int, error) { return f.File.Write(p[:len(p)-2]) }

// TestFaultInALaterPiece: a batch that takes several writes is there whole or not at all,
// whichever call fails, or is the last one before the process ends.
func TestFaultInALaterPiece(t *testing.T) {
	before, batch := []string{"before"}, numbered(strings.Repeat("x", 100_000), 8)
	for _, ends := range []bool{false, true} {
		happened, k := true, 1
		for ; happened; k++ {
			path := filepath.Join(t.TempDir(), "events")
			fs := newFaultFS(t)
			out := newOutput(t, path, file.Options{FS: fs})
			mustSend(t, out, before...)
			happened = false
			fs.setFault(func(_ string, call int) error {
				if call == k || ends && call > k {
					happened = true
					return syscall.ENOSPC
				}
				return nil
			})
			err := send(out, batch...)
			if lines, torn := readLines(t, path); err != nil && !ends && (torn != "" || !slices.Equal(lines, before)) {
				t.Fatalf("call %d failed: the batch left %d lines behind: %.100s", k, len(lines)-1, torn)
			}
			fs.setFault(nil)
			if ends {
				_ = out.Close()
				out = newOutput(t, path, file.Options{})
			}
			if err != nil {
				mustSend(t, out, batch...)
			}
			if got, want := firstCopies(readAll(t, path)), slices.Concat(before, batch); !slices.Equal(got, want) {
				t.Fatalf("call %d failed: %d lines are there, want %d", k, len(got), len(want))
			}
			_ = out.Close()
		}
		if k < 8 {
			t.Errorf("the batch makes only %d calls: the test has lost its subject", k)
		}
	}
}
