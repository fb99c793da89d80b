package spool

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	noteName  = "spool.note"
	noteMagic = "SRNOTE\x00\n"
	noteSize  = 56
)

// note is what the committer knows and a crash would forget. It is written in place
// after each commit and in each lull, and never synced: it outlives the process, not a
// power cut, and what it says holds whatever becomes of it, since it says only what was
// durable before.
type note struct {
	// next and accepted are the log's end: what comes before that sequence was durable.
	// Where it can't be read after a crash it was damaged, not torn.
	next     uint64
	accepted int64 // acceptance time of the newest record, Unix nanoseconds
	// quiet is the sequence before which no event is in doubt: the process outlived them
	// by crashWindow. The newest events of the log may be hours old, and answered; without
	// it a real event that equals one of them would be taken for its retry.
	quiet uint64
}

func (n note) encode(id spoolID) []byte {
	b := append(make([]byte, 0, noteSize), noteMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint64(b, n.next)
	b = binary.LittleEndian.AppendUint64(b, uint64(n.accepted))
	b = binary.LittleEndian.AppendUint64(b, n.quiet)
	return sealed(b)
}

func parseNote(b []byte) (id spoolID, n note, err error) {
	if len(b) != noteSize || string(b[:len(noteMagic)]) != noteMagic || !intact(b) {
		return id, n, errors.New("note is damaged")
	}
	n = note{
		next:     binary.LittleEndian.Uint64(b[28:]),
		accepted: int64(binary.LittleEndian.Uint64(b[36:])),
		quiet:    binary.LittleEndian.Uint64(b[44:]),
	}
	if n.next == 0 || n.accepted < 0 || n.quiet > n.next {
		return id, note{}, errors.New("note has values that none can have")
	}
	return spoolID(b[12:28]), n, checkVersion(binary.LittleEndian.Uint32(b[8:]))
}

// readNote returns the note of the process before, empty if there is none that counts.
func (s *Spool) readNote() note {
	b, err := readFile(s.fs, s.notePath())
	if errors.Is(err, fs.ErrNotExist) {
		return note{}
	}
	id, n, parseErr := parseNote(b)
	if err = errors.Join(err, parseErr); err == nil && id != s.id {
		err = errors.New("it is of another spool")
	}
	if err != nil {
		s.log.Warn("the note of the log's end does not count", "file", s.notePath(), "error", err)
		return note{}
	}
	return n
}

// writeNote notes where the log ends.
func (s *Spool) writeNote() {
	s.note.next, s.note.accepted = s.next, s.accepted
	err := s.openNote()
	if err == nil {
		_, err = s.noteFile.WriteAt(s.note.encode(s.id), 0)
	}
	if err != nil && !s.noteFailed {
		s.log.Warn("could not note where the log ends: after a crash, damage there would not be counted", "file", s.notePath(), "error", err)
	}
	s.noteFailed = err != nil
}

func (s *Spool) openNote() (err error) {
	if s.noteFile == nil {
		s.noteFile, err = s.fs.Open(s.notePath(), os.O_RDWR|os.O_CREATE)
	}
	return err
}

// noteQuiet notes a lull, if there is one that is not noted yet.
func (s *Spool) noteQuiet() {
	if s.committed.IsZero() || s.note.quiet == s.next || time.Since(s.committed) < crashWindow {
		return
	}
	s.note.quiet = s.next
	s.writeNote()
}

func (s *Spool) notePath() string { return filepath.Join(s.o.Dir, noteName) }
