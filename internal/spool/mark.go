package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

const (
	markName  = "spool.clean"
	markMagic = "SRCLEAN\n"
	markSize  = 64
)

// mark is what a clean stop leaves behind: where the log ended. A start takes it
// away before it accepts an event, so that a stop of any other kind leaves none. Nor
// does a stop that comes before any delivery, after one of another kind: a start that
// fails, because a port is in use for example, must not make the stop before it clean.
type mark struct {
	id       spoolID
	next     uint64 // sequence of the next record
	accepted int64  // acceptance time of the newest record, Unix nanoseconds
	number   uint32 // of the newest segment, 0 if there was none
	size     int64  // its bytes
}

func (m mark) encode() []byte {
	b := append(make([]byte, 0, markSize), markMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = append(b, m.id[:]...)
	b = binary.LittleEndian.AppendUint64(b, m.next)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.accepted))
	b = binary.LittleEndian.AppendUint32(b, m.number)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.size))
	b = append(b, 0, 0, 0, 0)
	return sealed(b)
}

func parseMark(b []byte) (mark, error) {
	if len(b) != markSize || string(b[:len(markMagic)]) != markMagic || !intact(b) {
		return mark{}, errors.New("mark of a clean stop is damaged")
	}
	if err := checkVersion(binary.LittleEndian.Uint32(b[8:])); err != nil {
		return mark{}, err
	}
	m := mark{
		id:       spoolID(b[12:28]),
		next:     binary.LittleEndian.Uint64(b[28:]),
		accepted: int64(binary.LittleEndian.Uint64(b[36:])),
		number:   binary.LittleEndian.Uint32(b[44:]),
		size:     int64(binary.LittleEndian.Uint64(b[48:])),
	}
	if m.next == 0 || m.accepted < 0 || m.size < 0 {
		return mark{}, errors.New("mark of a clean stop has values that none can have")
	}
	return m, nil
}

// readMark returns the mark of the last stop, nil if that was not a clean one. A
// mark that is damaged or of another spool is none.
func (s *Spool) readMark() *mark {
	b, err := readFile(s.fs, s.markPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m mark
	if err == nil {
		m, err = parseMark(b)
	}
	if err == nil && m.id != s.id {
		err = errors.New("it is of another spool")
	}
	if err != nil {
		s.log.Warn("the mark of a clean stop does not count", "file", s.markPath(), "error", err)
		return nil
	}
	return &m
}

// removeMark takes the mark away, durably.
func (s *Spool) removeMark() error {
	err := s.fs.Remove(s.markPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.fs.SyncDir(s.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("remove the mark of a clean stop: %w", err)
	}
	return nil
}

// writeMark marks a clean stop, after everything else. Without it nothing is lost:
// the next start takes the stop for an unclean one.
func (s *Spool) writeMark() {
	if !s.clean && (s.o.Offline || !s.asked) {
		return // of the newest events nobody knows yet whether the sender was answered
	}
	m := mark{id: s.id, next: s.next, accepted: s.accepted}
	if n := len(s.segments); n > 0 {
		m.number, m.size = s.segments[n-1].number, s.segments[n-1].size
	}
	if err := writeFileDurably(s.fs, s.markPath(), m.encode()); err != nil {
		s.log.Warn("could not mark the stop as clean, the next start takes it for a crash", "file", s.markPath(), "error", err)
	}
}

func (s *Spool) markPath() string { return filepath.Join(s.o.Dir, markName) }
