package file

import (
	"errors"
	"fmt"
	"os"
)

// full reports whether n more bytes call for a new file first. A batch that is
// larger than max_size gets a file to itself.
func (o *output) full(n int) bool {
	limit := int64(o.config.MaxSize)
	return limit > 0 && o.size > 0 && o.size+int64(n) > limit
}

// rotate moves path to path.1, path.1 to path.2 and so on, and opens a new file.
//
// Each step is one rename, the oldest first, and a file moves up only where there
// is a free name above it: after a crash between any two steps every file is
// still there under some name, and the next rotation goes on from the gap. The
// one file that goes is path.keep, when path.(keep-1) is renamed over it.
func (o *output) rotate() error {
	last, err := o.freeNumber()
	if err != nil {
		return err
	}
	for i := last - 1; i >= 0; i-- {
		if err := o.fs.Rename(o.numbered(i), o.numbered(i+1)); err != nil {
			return err
		}
	}
	o.log.Info("rotated", "size", o.size)
	o.drop()
	return o.open()
}

// freeNumber returns the lowest number, from 1 to keep, that no file has, or keep.
func (o *output) freeNumber() (int, error) {
	for i := 1; i < o.config.Keep; i++ {
		_, err := o.fs.Stat(o.numbered(i))
		if errors.Is(err, os.ErrNotExist) {
			return i, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return o.config.Keep, nil
}

// numbered returns the name of the i-th rotated file; the 0th is the path itself.
func (o *output) numbered(i int) string {
	if i == 0 {
		return o.config.Path
	}
	return fmt.Sprintf("%s.%d", o.config.Path, i)
}
