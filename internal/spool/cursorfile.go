package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	cursorMagic    = "\xd7SRC"
	cursorSlotSize = 40
	cursorStride   = 512 // a sector for each slot, so that a torn write costs one
	cursorSuffix   = ".cursor"
)

// position is what a cursor file keeps.
type position struct {
	counter uint64
	next    uint64 // everything before it is settled
	before  int64  // acceptance time of the record before it, Unix nanoseconds
}

func (p position) encode() []byte {
	b := append(make([]byte, 0, cursorSlotSize), cursorMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint64(b, p.counter)
	b = binary.LittleEndian.AppendUint64(b, p.next)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.before))
	b = append(b, 0, 0, 0, 0)
	return sealed(b)
}

func parsePosition(b []byte) (position, error) {
	if len(b) < cursorSlotSize || string(b[:4]) != cursorMagic || !intact(b[:cursorSlotSize]) {
		return position{}, errors.New("cursor slot is damaged")
	}
	if err := checkVersion(binary.LittleEndian.Uint32(b[4:])); err != nil {
		return position{}, err
	}
	p := position{
		counter: binary.LittleEndian.Uint64(b[8:]),
		next:    binary.LittleEndian.Uint64(b[16:]),
		before:  int64(binary.LittleEndian.Uint64(b[24:])),
	}
	if p.next == 0 {
		return position{}, errors.New("cursor slot has next sequence 0")
	}
	return p, nil
}

// cursorFile keeps a position durably. Writes go to the two slots in turn, so
// that a torn one leaves the other.
type cursorFile struct {
	fs   FS
	path string
	file File // nil after a failure: the next save writes the file anew
	at   position
}

// openCursorFile reads a cursor. The error is fs.ErrNotExist if there is none.
func openCursorFile(fsys FS, path string) (*cursorFile, error) {
	f, err := fsys.Open(path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	b := make([]byte, cursorStride+cursorSlotSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	c := &cursorFile{fs: fsys, path: path, file: f}
	for slot := range 2 {
		at := min(slot*cursorStride, n)
		p, slotErr := parsePosition(b[at:n])
		if errors.Is(slotErr, ErrVersion) {
			return nil, errors.Join(slotErr, f.Close())
		}
		if slotErr == nil && p.counter > c.at.counter {
			c.at = p
		}
	}
	if c.at.counter == 0 {
		return nil, errors.Join(errCursorDamaged, f.Close())
	}
	return c, nil
}

var errCursorDamaged = errors.New("both slots of the cursor are damaged")

// save makes a position durable. After an error the file is written anew by the
// next save: a failed sync is not tried again on the same file.
func (c *cursorFile) save(next uint64, before int64) error {
	p := position{counter: c.at.counter + 1, next: next, before: before}
	if c.file == nil {
		return c.rewrite(p)
	}
	_, err := c.file.WriteAt(p.encode(), int64(p.counter%2)*cursorStride)
	if err == nil {
		err = c.file.Sync()
	}
	if err != nil {
		err = errors.Join(err, c.file.Close())
		c.file = nil
		return fmt.Errorf("save cursor %s: %w", c.path, err)
	}
	c.at = p
	return nil
}

func (c *cursorFile) rewrite(p position) error {
	content := make([]byte, cursorStride+cursorSlotSize)
	copy(content[int64(p.counter%2)*cursorStride:], p.encode())
	if err := writeFileDurably(c.fs, c.path, content); err != nil {
		return fmt.Errorf("write cursor %s: %w", c.path, err)
	}
	f, err := c.fs.Open(c.path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("open cursor %s: %w", c.path, err)
	}
	c.file, c.at = f, p
	return nil
}

func (c *cursorFile) close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}
