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
	cursorVersion  = 2
	cursorSlotSize = 128
	cursorStride   = 512 // a sector for each slot, so that a torn write costs one
	cursorSuffix   = ".cursor"

	flagOverwrite = 1
)

// position is what a cursor file keeps: where the output is in each lane, and its
// account. They are one write, so that they can't disagree.
type position struct {
	counter uint64
	next    uint64 // everything before it is settled
	before  int64  // acceptance time of the record before it, Unix nanoseconds
	began   uint64 // the first sequence that entered

	pass       uint64 // number of the latest replay, from 1; 0 if there was none
	replayNext uint64 // the replay's next sequence that is not settled
	replayEnd  uint64 // what follows the replay's last sequence
	replayed   uint64 // how many events all replays entered
	overwrite  bool   // the latest replay is to replace what the receiver has

	delivered, sent, filtered, dead, dropped, unreadable uint64
}

// fields lists the numbers of a position in the order of the file.
func (p *position) fields() []*uint64 {
	return []*uint64{
		&p.began, &p.pass, &p.replayNext, &p.replayEnd, &p.replayed,
		&p.delivered, &p.sent, &p.filtered, &p.dead, &p.dropped, &p.unreadable,
	}
}

// replaying is how many events of a replay are not settled.
func (p position) replaying() uint64 { return p.replayEnd - p.replayNext }

func (p position) logNext() uint64 { return p.next }

// needs is the first sequence that the output has not settled.
func (p position) needs() uint64 {
	if p.replaying() > 0 {
		return min(p.next, p.replayNext)
	}
	return p.next
}

func (p *position) add(o Outcome, lost uint64) {
	p.delivered += o.Delivered
	p.sent += o.Sent
	p.filtered += o.Filtered
	p.dead += o.Dead
	p.unreadable += lost
}

func (p position) encode() []byte {
	b := append(make([]byte, 0, cursorSlotSize), cursorMagic...)
	b = binary.LittleEndian.AppendUint32(b, cursorVersion)
	b = binary.LittleEndian.AppendUint64(b, p.counter)
	b = binary.LittleEndian.AppendUint64(b, p.next)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.before))
	for _, f := range p.fields() {
		b = binary.LittleEndian.AppendUint64(b, *f)
	}
	var flags uint32
	if p.overwrite {
		flags = flagOverwrite
	}
	b = binary.LittleEndian.AppendUint32(b, flags)
	return sealed(b)
}

func parsePosition(b []byte) (position, error) {
	var p position
	size := cursorSlotSize
	if len(b) >= 8 && binary.LittleEndian.Uint32(b[4:]) == 1 {
		size = cursorSlotSizeV1
	}
	if len(b) < size || string(b[:4]) != cursorMagic || !intact(b[:size]) {
		return p, errors.New("cursor slot is damaged")
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v == 0 || v > cursorVersion {
		return p, fmt.Errorf("%w: cursor version %d, this siemrelay reads %d", ErrVersion, v, cursorVersion)
	}
	p.counter = binary.LittleEndian.Uint64(b[8:])
	p.next = binary.LittleEndian.Uint64(b[16:])
	p.before = int64(binary.LittleEndian.Uint64(b[24:]))
	p.began = p.next
	if size == cursorSlotSize {
		for i, f := range p.fields() {
			*f = binary.LittleEndian.Uint64(b[32+8*i:])
		}
		p.overwrite = binary.LittleEndian.Uint32(b[120:])&flagOverwrite != 0
	}
	if p.next == 0 || p.began > p.next || p.replayNext > p.replayEnd || p.replayEnd > p.next {
		return p, errors.New("cursor slot makes no sense")
	}
	return p, nil
}

// cursorSlotSizeV1 is the length of a slot without an account, which is read as one
// whose account begins where it stands.
const cursorSlotSizeV1 = 40

// cursorFile keeps a position durably. Writes go to the two slots in turn, so
// that a torn one leaves the other.
type cursorFile struct {
	fs   FS
	path string
	file File // nil after a failure: the next save writes the file anew
	at   position

	closed bool // for good: the output is forgotten, or another process may have the file
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
func (c *cursorFile) save(p position) error {
	if c.closed {
		return fmt.Errorf("save cursor %s: %w", c.path, os.ErrClosed)
	}
	p.counter = c.at.counter + 1
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
	c.closed = true
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}
