// Package crashfs is a file system in memory that loses what was not synced.
//
// It guarantees the least that POSIX does: after Crash a file has the content
// of its last Sync, and of what was written since then any part, torn anywhere;
// a directory has the entries of its last SyncDir, and of the changes since then
// any part. It can fail, shorten or stop at any operation. It refuses to be
// kinder than a disk: an error of Sync drops what it should have kept, and the
// next Sync says nothing of it.
package crashfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/siemrelay/siemrelay/internal/spool"
)

// ErrCrashed is what every operation returns after the planned crash.
var ErrCrashed = errors.New("crashfs: the machine is off")

// Op names an operation that can be made to fail.
type Op string

// The operations, as Fault sees them.
const (
	OpOpen, OpMkdir, OpList, OpRename, OpLink, OpRemove, OpSyncDir, OpLock Op = "open", "mkdir", "list", "rename", "link", "remove", "syncdir", "lock"
	OpRead, OpWrite, OpTruncate, OpSync, OpSize                            Op = "read", "write", "truncate", "sync", "size"
)

// inode is a file's content, as it is seen and as it is on the platter.
type inode struct {
	seen, synced []byte
	lost         bool // a sync failed: what is written to this file stays lost
}

// FS is the file system. The zero value is not usable, call New.
type FS struct {
	mu    sync.Mutex
	rng   *rand.Rand
	dirs  map[string]bool
	names map[string]*inode // as they are seen
	held  map[string]*inode // as they are on the platter
	dirsH map[string]bool
	locks map[string]bool
	open  map[*inode]int // how often; a removed file takes room until the last one is closed
	epoch int            // raised by Crash: files that were open before it are dead

	ops     int
	crashAt int // fail this operation and all after it; 0 is never
	fault   func(op Op, name string, n int) error
	size    int64 // 0 is without bound

	// NoSync and NoSyncDir turn the calls into lies, as a disk may.
	NoSync, NoSyncDir bool
}

// New returns an empty file system whose choices come from seed.
func New(seed uint64) *FS {
	return &FS{
		rng:   rand.New(rand.NewPCG(seed, 1)),
		dirs:  map[string]bool{"/": true},
		dirsH: map[string]bool{"/": true},
		names: map[string]*inode{},
		held:  map[string]*inode{},
		locks: map[string]bool{},
		open:  map[*inode]int{},
	}
}

// CrashAt plans a power cut in the n-th operation from now that changes
// something or makes it durable; 0 plans none.
func (f *FS) CrashAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops, f.crashAt = 0, n
}

// Fault is asked before every operation, with its number since CrashAt, and
// makes it fail. A write that fails may have been done in part.
func (f *FS) Fault(fault func(op Op, name string, n int) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Resize sets how many bytes the disk has; 0 is without bound.
func (f *FS) Resize(size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = size
}

// Crashed tells whether the planned power cut has come.
func (f *FS) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashAt > 0 && f.ops >= f.crashAt
}

// Crash cuts the power and turns it on again: what was not synced is lost,
// wholly, in part, or not at all.
func (f *FS) Crash() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.epoch++
	f.ops, f.crashAt = 0, 0
	f.fault = nil
	f.locks = map[string]bool{}
	f.open = map[*inode]int{}
	f.names = f.surviving(f.held, f.names)
	f.held = clone(f.names)
	f.dirs = reachable(f.dirsH)
	f.dirsH = clone(f.dirs)
	for name := range f.names {
		if !f.dirs[filepath.Dir(name)] {
			delete(f.names, name) // its directory is gone
			delete(f.held, name)
		}
	}
	for _, name := range sortedKeys(f.names) {
		in := f.names[name]
		in.seen = f.torn(in)
		in.synced = append([]byte(nil), in.seen...)
		in.lost = false
	}
}

// reachable returns the directories whose parents are there, up to the root.
func reachable(dirs map[string]bool) map[string]bool {
	out := map[string]bool{"/": true}
	for _, dir := range sortedKeys(dirs) { // parents come first
		if out[filepath.Dir(dir)] {
			out[dir] = true
		}
	}
	return out
}

// surviving mixes the entries that are durable with those that are not yet.
func (f *FS) surviving(held, seen map[string]*inode) map[string]*inode {
	out := map[string]*inode{}
	all := clone(held)
	for name, in := range seen {
		all[name] = in
	}
	for _, name := range sortedKeys(all) {
		from := held
		if f.rng.IntN(2) == 0 {
			from = seen
		}
		if in, ok := from[name]; ok {
			out[name] = in
		}
	}
	return out
}

// torn returns the synced content with any part of what was written since.
func (f *FS) torn(in *inode) []byte {
	switch f.rng.IntN(4) {
	case 0:
		return append([]byte(nil), in.synced...)
	case 1:
		return append([]byte(nil), in.seen...)
	}
	// The length may be new while the bytes are not: they are zero then, or what
	// was there before.
	out := make([]byte, len(in.synced))
	copy(out, in.synced)
	if n := len(in.seen) - len(in.synced); n > 0 {
		out = append(out, make([]byte, f.rng.IntN(n+1))...)
	} else if n < 0 && f.rng.IntN(2) == 0 {
		out = out[:len(in.seen)]
	}
	const sector = 16 // small, so that a small test tears records too
	for at := 0; at < len(out); at += sector {
		if f.rng.IntN(2) == 0 {
			end := min(at+sector, len(out), len(in.seen))
			if at < end {
				copy(out[at:end], in.seen[at:end])
			}
		}
	}
	return out
}

// enter counts an operation and decides whether it may go on.
func (f *FS) enter(op Op, name string) error {
	switch op {
	case OpRead, OpList, OpSize:
	default:
		f.ops++
	}
	if f.crashAt > 0 && f.ops >= f.crashAt {
		return ErrCrashed
	}
	if f.fault != nil {
		return f.fault(op, name, f.ops)
	}
	return nil
}

func (f *FS) used() int64 {
	seen := map[*inode]bool{}
	for _, in := range f.names {
		seen[in] = true
	}
	for in := range f.open {
		seen[in] = true
	}
	var used int64
	for in := range seen {
		used += int64(len(in.seen))
	}
	return used
}

func pathError(op Op, name string, err error) error {
	return &fs.PathError{Op: string(op), Path: name, Err: err}
}

// Open implements spool.FS.
func (f *FS) Open(name string, flag int) (spool.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in := f.names[name]
	op := OpOpen
	if in != nil || flag&os.O_CREATE == 0 {
		op = OpSize // changes nothing
	}
	if err := f.enter(op, name); err != nil {
		return nil, pathError(OpOpen, name, err)
	}
	switch {
	case !f.dirs[filepath.Dir(name)]:
		return nil, pathError(OpOpen, name, fs.ErrNotExist)
	case in == nil && flag&os.O_CREATE == 0:
		return nil, pathError(OpOpen, name, fs.ErrNotExist)
	case in != nil && flag&os.O_EXCL != 0:
		return nil, pathError(OpOpen, name, fs.ErrExist)
	case in == nil:
		in = &inode{}
		f.names[name] = in
	case flag&os.O_TRUNC != 0:
		in.seen = nil
	}
	f.open[in]++
	return &file{fs: f, in: in, name: name, epoch: f.epoch}, nil
}

// Mkdir implements spool.FS.
func (f *FS) Mkdir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dirs[name] {
		return pathError(OpMkdir, name, fs.ErrExist)
	}
	if err := f.enter(OpMkdir, name); err != nil {
		return pathError(OpMkdir, name, err)
	}
	if !f.dirs[filepath.Dir(name)] {
		return pathError(OpMkdir, name, fs.ErrNotExist)
	}
	f.dirs[name] = true
	return nil
}

// List implements spool.FS.
func (f *FS) List(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(OpList, dir); err != nil {
		return nil, pathError(OpList, dir, err)
	}
	var names []string
	for _, name := range sortedKeys(f.names) {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	return names, nil
}

// Rename implements spool.FS.
func (f *FS) Rename(from, to string) error {
	return f.change(OpRename, from, func(in *inode) {
		delete(f.names, from)
		f.names[to] = in
	})
}

// Link implements spool.FS.
func (f *FS) Link(from, to string) error {
	return f.change(OpLink, from, func(in *inode) { f.names[to] = in })
}

// Remove implements spool.FS.
func (f *FS) Remove(name string) error {
	return f.change(OpRemove, name, func(*inode) { delete(f.names, name) })
}

func (f *FS) change(op Op, name string, do func(*inode)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(op, name); err != nil {
		return pathError(op, name, err)
	}
	in := f.names[name]
	if in == nil {
		return pathError(op, name, fs.ErrNotExist)
	}
	do(in)
	return nil
}

// SyncDir implements spool.FS.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(OpSyncDir, dir); err != nil {
		return pathError(OpSyncDir, dir, err)
	}
	if f.NoSyncDir {
		return nil
	}
	for name := range f.held {
		if filepath.Dir(name) == dir && f.names[name] == nil {
			delete(f.held, name)
		}
	}
	for name, in := range f.names {
		if filepath.Dir(name) == dir {
			f.held[name] = in
		}
	}
	for name := range f.dirs {
		if filepath.Dir(name) == dir {
			f.dirsH[name] = true
		}
	}
	return nil
}

// Space implements spool.FS.
func (f *FS) Space(string) (free, total int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.size == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return max(0, f.size-f.used()), f.size, nil
}

// Lock implements spool.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.enter(OpLock, name); err != nil {
		return nil, pathError(OpLock, name, err)
	}
	if f.locks[name] {
		return nil, spool.ErrLocked
	}
	f.locks[name] = true
	return unlock{f, name, f.epoch}, nil
}

type unlock struct {
	fs    *FS
	name  string
	epoch int
}

func (u unlock) Close() error {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	if u.epoch == u.fs.epoch {
		delete(u.fs.locks, u.name)
	}
	return nil
}

// Names returns every file's path, sorted.
func (f *FS) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sortedKeys(f.names)
}

// Edit changes a file's content behind the spool's back, durably. A nil result
// of change removes the file.
func (f *FS) Edit(name string, change func([]byte) []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in := f.names[name]
	if in == nil {
		panic(fmt.Sprintf("crashfs: no file %s among %s", name, strings.Join(sortedKeys(f.names), " ")))
	}
	content := change(append([]byte(nil), in.seen...))
	if content == nil {
		delete(f.names, name)
		delete(f.held, name)
		return
	}
	in.seen = content
	in.synced = append([]byte(nil), content...)
}

func clone[V any](m map[string]V) map[string]V {
	out := make(map[string]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
