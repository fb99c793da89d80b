package crashfs

import (
	"io"
	"os"
	"syscall"
)

// file is an open file; it is dead after a crash.
type file struct {
	fs    *FS
	in    *inode
	name  string
	epoch int

	closed bool
}

// enter locks the file system; leave it with fs.mu.Unlock.
func (f *file) enter(op Op) error {
	f.fs.mu.Lock()
	if f.epoch != f.fs.epoch {
		return ErrCrashed
	}
	if err := f.fs.enter(op, f.name); err != nil {
		return pathError(op, f.name, err)
	}
	return nil
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	err := f.enter(OpRead)
	defer f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if off >= int64(len(f.in.seen)) {
		return 0, io.EOF
	}
	n := copy(p, f.in.seen[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	err := f.enter(OpWrite)
	defer f.fs.mu.Unlock()
	n := len(p)
	if err == nil && f.fs.size > 0 {
		grow := off + int64(len(p)) - int64(len(f.in.seen))
		if room := f.fs.size - f.fs.used(); grow > room {
			n = max(0, len(p)-int(grow-room))
			err = pathError(OpWrite, f.name, syscall.ENOSPC)
		}
	} else if err != nil && f.epoch == f.fs.epoch {
		n = f.fs.rng.IntN(len(p) + 1) // done in part
	}
	if f.epoch != f.fs.epoch {
		return 0, err
	}
	if end := off + int64(n); end > int64(len(f.in.seen)) {
		f.in.seen = append(f.in.seen, make([]byte, end-int64(len(f.in.seen)))...)
	}
	copy(f.in.seen[off:], p[:n])
	return n, err
}

func (f *file) Truncate(size int64) error {
	err := f.enter(OpTruncate)
	defer f.fs.mu.Unlock()
	if err != nil {
		return err
	}
	if size < int64(len(f.in.seen)) {
		f.in.seen = f.in.seen[:size:size]
	}
	return nil
}

// Sync makes the content durable. Where it fails it drops what was written since
// the last one for good, as Linux may: the content still looks well until the
// next crash, and the next Sync does not bring it back.
func (f *file) Sync() error {
	err := f.enter(OpSync)
	defer f.fs.mu.Unlock()
	if f.epoch != f.fs.epoch || f.fs.NoSync {
		return err
	}
	if err != nil {
		f.in.lost = true
		return err
	}
	if !f.in.lost {
		f.in.synced = append(f.in.synced[:0:0], f.in.seen...)
	}
	return nil
}

func (f *file) Size() (int64, error) {
	err := f.enter(OpSize)
	defer f.fs.mu.Unlock()
	return int64(len(f.in.seen)), err
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.epoch != f.fs.epoch || f.closed {
		return os.ErrClosed
	}
	f.closed = true
	if f.fs.open[f.in]--; f.fs.open[f.in] == 0 {
		delete(f.fs.open, f.in)
	}
	return nil
}
