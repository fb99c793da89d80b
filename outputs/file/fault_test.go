package file_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/siemrelay/siemrelay/outputs/file"
)

// faultFS is the real file system with faults. Instead of syncing it keeps the
// books on what is not durable yet, and reports a handle that is used after its
// fsync failed.
type faultFS struct {
	file.OS
	tb testing.TB

	mu    sync.Mutex
	calls int
	// fault is asked before each call; its error is the call's. Nil is no fault.
	fault func(op string, call int) error
	// dirty are directories and open files with changes that are not durable.
	dirty map[any]string
}

func newFaultFS(tb testing.TB) *faultFS {
	return &faultFS{tb: tb, dirty: map[any]string{}}
}

// setFault begins or, with nil, ends faults, and starts counting calls from 1.
func (f *faultFS) setFault(fault func(op string, call int) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.calls = fault, 0
}

// failAlways makes every call fail.
func (f *faultFS) failAlways(err error) {
	f.setFault(func(string, int) error { return err })
}

// failOn makes one kind of call fail.
func (f *faultFS) failOn(op string, err error) {
	f.setFault(func(o string, _ int) error {
		if o == op {
			return err
		}
		return nil
	})
}

func (f *faultFS) call(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.fault == nil {
		return nil
	}
	if err := f.fault(op, f.calls); err != nil {
		return &os.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

func (f *faultFS) mark(key any, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty[key] = what
}

func (f *faultFS) clean(key any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.dirty, key)
}

// mustBeDurable fails the test if a power cut could still undo something.
func (f *faultFS) mustBeDurable() {
	f.tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, what := range f.dirty {
		f.tb.Errorf("Send returned nil, but this is not durable: %s", what)
	}
}

func (f *faultFS) OpenFile(name string, flag int, perm os.FileMode) (file.File, error) {
	if err := f.call("open", name); err != nil {
		return nil, err
	}
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		f.mark(filepath.Dir(name), "new entry "+name)
	}
	inner, err := f.OS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: inner, fs: f, name: name}, nil
}

func (f *faultFS) Stat(name string) (os.FileInfo, error) {
	if err := f.call("stat", name); err != nil {
		return nil, err
	}
	return f.OS.Stat(name)
}

func (f *faultFS) Mkdir(name string, perm os.FileMode) error {
	if err := f.call("mkdir", name); err != nil {
		return err
	}
	f.mark(filepath.Dir(name), "new directory "+name)
	return f.OS.Mkdir(name, perm)
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.call("rename", from); err != nil {
		return err
	}
	f.mark(filepath.Dir(to), "renamed "+to)
	return f.OS.Rename(from, to)
}

func (f *faultFS) SyncDir(name string) error {
	if err := f.call("syncdir", name); err != nil {
		return err
	}
	f.clean(name)
	return nil
}

func (f *faultFS) Writable(dir string) error {
	if err := f.call("access", dir); err != nil {
		return err
	}
	return f.OS.Writable(dir)
}

type faultFile struct {
	file.File
	fs   *faultFS
	name string
	dead bool // a Sync failed
}

// Write writes half of p before it fails, as a disk that becomes full does.
func (f *faultFile) Write(p []byte) (int, error) {
	f.mustLive("write")
	f.fs.mark(f, "data of "+f.name)
	if err := f.fs.call("write", f.name); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultFile) Sync() error {
	f.mustLive("sync")
	if err := f.fs.call("sync", f.name); err != nil {
		f.dead = true
		return err
	}
	f.fs.clean(f)
	return nil
}

func (f *faultFile) mustLive(op string) {
	if f.dead {
		f.fs.tb.Errorf("%s on a file handle whose fsync failed", op)
	}
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.call("read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.call("truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Stat() (os.FileInfo, error) {
	if err := f.fs.call("fstat", f.name); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

func (f *faultFile) Lock() error {
	if err := f.fs.call("lock", f.name); err != nil {
		return err
	}
	return f.File.Lock()
}

// Close always closes: a handle is gone even when close reports an error.
func (f *faultFile) Close() error {
	f.fs.clean(f)
	err := f.fs.call("close", f.name)
	return errors.Join(err, f.File.Close())
}

// readAll returns the lines of path.N, …, path.1, path: in the order in which
// they were written. It fails the test if a file does not end with a line's end.
func readAll(tb testing.TB, path string) []string {
	tb.Helper()
	lines, torn := readLines(tb, path)
	if torn != "" {
		tb.Fatalf("%s", torn)
	}
	return lines
}

// readLines is readAll that returns what is wrong instead.
func readLines(tb testing.TB, path string) (lines []string, torn string) {
	tb.Helper()
	for _, name := range names(tb, path) {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		if len(data) > 0 && data[len(data)-1] != '\n' {
			torn = fmt.Sprintf("%s ends with a torn line: %.100q", name, data)
		}
		lines = append(lines, splitLines(data)...)
	}
	return lines, torn
}

// names lists path.N, …, path.1, path, as far as they are there.
func names(tb testing.TB, path string) []string {
	tb.Helper()
	found, err := filepath.Glob(path + "*")
	if err != nil {
		tb.Fatal(err)
	}
	number := func(name string) int {
		n := 0
		_, _ = fmt.Sscanf(name[len(path):], ".%d", &n)
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return number(b) - number(a) })
	return found
}
