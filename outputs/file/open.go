package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/siemrelay/siemrelay/outputs"
)

const (
	fileMode = 0o640
	dirMode  = 0o750
	// maxTorn is the length from which a last line without an end is no torn
	// event, but a file that is not ours.
	maxTorn = 64 << 20
)

// leftover says that what is behind size in the file that info describes belongs
// to a batch that failed.
type leftover struct {
	info os.FileInfo
	size int64
}

// in reports whether the file is still the one that was left, and unchanged. Its
// inode alone does not say so: that of a file that was removed is used again. In
// doubt nothing is cut, and the worst is a batch that is there twice.
func (l *leftover) in(info os.FileInfo) bool {
	return l != nil && os.SameFile(l.info, info) && l.info.Size() == info.Size() && l.info.ModTime().Equal(info.ModTime())
}

// prepare makes sure that f is the file at the path, and that it ends where size says.
func (o *output) prepare() error {
	if o.f == nil {
		return o.open()
	}
	info, err := o.fs.Stat(o.config.Path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(info, o.info) {
		o.log.Info("file was moved or removed: opening a new one")
		o.drop()
		return o.open()
	}
	if err != nil {
		return err
	}
	if info.Size() != o.size {
		o.log.Warn("file was changed by somebody else", "size", info.Size(), "expected", o.size)
		return o.settle(info)
	}
	return nil
}

// open opens and locks the file, makes it and its directories if they are
// missing, makes their entries durable, and cuts off what is not a whole line.
func (o *output) open() (err error) {
	info, err := o.fs.Stat(o.config.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := o.mkdirs(filepath.Dir(o.config.Path)); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return notRegular(o.config.Path, info)
	}
	o.f, err = o.fs.OpenFile(o.config.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, fileMode)
	if err != nil {
		o.f = nil
		return err
	}
	defer func() {
		if err != nil {
			o.drop()
		}
	}()
	if err := o.f.Lock(); err != nil {
		return err
	}
	if o.info, err = o.f.Stat(); err != nil {
		return err
	}
	if !o.info.Mode().IsRegular() {
		return notRegular(o.config.Path, o.info)
	}
	// The directory is synced at every open, because the entry may have been made
	// by a process that was killed before it could do so.
	o.mustSync(filepath.Dir(o.config.Path))
	if err := o.syncDirs(); err != nil {
		return err
	}
	return o.settle(o.info)
}

// settle sets size to the end of the last whole line of f, whose state is info,
// and cuts off the rest.
func (o *output) settle(info os.FileInfo) error {
	size := info.Size()
	if o.leftover.in(info) {
		size = min(size, o.leftover.size)
	}
	end, err := o.wholeLines(size)
	if err != nil {
		return err
	}
	if end < info.Size() {
		if err := o.f.Truncate(end); err != nil {
			return err
		}
	}
	if end < size {
		o.log.Warn("cut a torn last line: its event is sent again", "bytes", size-end)
	}
	o.size, o.leftover = end, nil
	return nil
}

// wholeLines returns how many of the first size bytes of f are whole lines.
func (o *output) wholeLines(size int64) (int64, error) {
	part := make([]byte, min(size, 1))
	for end := size; end > 0; part = make([]byte, min(end, 64<<10)) {
		if size-end > maxTorn {
			return 0, &outputs.NotReady{Err: fmt.Errorf("open %s: its last line has no end within %d MiB: this is not a file of events, move it away", o.config.Path, maxTorn>>20)}
		}
		start := end - int64(len(part))
		if n, err := o.f.ReadAt(part, start); n < len(part) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, fmt.Errorf("read the last line: %w", err)
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// mkdirs makes dir and what is missing above it, and notes the directories that
// got a new entry.
func (o *output) mkdirs(dir string) error {
	_, err := o.fs.Stat(dir)
	parent := filepath.Dir(dir)
	if !errors.Is(err, os.ErrNotExist) || parent == dir {
		return err
	}
	if err := o.mkdirs(parent); err != nil {
		return err
	}
	o.mustSync(parent)
	if err := o.fs.Mkdir(dir, dirMode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func (o *output) mustSync(dir string) {
	if !slices.Contains(o.unsynced, dir) {
		o.unsynced = append(o.unsynced, dir)
	}
}

func (o *output) syncDirs() error {
	for len(o.unsynced) > 0 {
		if err := o.fs.SyncDir(o.unsynced[0]); err != nil {
			return err
		}
		o.unsynced = o.unsynced[1:]
	}
	return nil
}

// Check implements outputs.Checker. It makes neither the file nor its directory:
// it may be run by another user than the one that will write them.
func (o *output) Check(context.Context) error {
	return explain(o.check())
}

func (o *output) check() error {
	info, err := o.fs.Stat(o.config.Path)
	if errors.Is(err, os.ErrNotExist) {
		return o.checkDir(filepath.Dir(o.config.Path))
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return notRegular(o.config.Path, info)
	}
	f, err := o.fs.OpenFile(o.config.Path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkDir returns an error if dir, or the first directory above it that is there,
// takes no new entries.
func (o *output) checkDir(dir string) error {
	_, err := o.fs.Stat(dir)
	if parent := filepath.Dir(dir); errors.Is(err, os.ErrNotExist) && parent != dir {
		return o.checkDir(parent)
	}
	if err != nil {
		return err
	}
	return o.fs.Writable(dir)
}
