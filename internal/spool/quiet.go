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
	quietName  = "spool.quiet"
	quietMagic = "SRQUIET\n"
	quietSize  = 40
)

// A crash leaves the newest events of the log in doubt: was the sender answered? Where
// nothing came for a while that would also be true of events that were answered long
// before the crash, and a real event that equals one of them would be taken for its
// retry. So the committer notes, once in every lull, that the process has outlived the
// newest event by crashWindow. The note is not synced: a crash of the process keeps it,
// and where a power cut loses it the doubt is larger than it need be.

func encodeQuiet(id spoolID, next uint64) []byte {
	b := append(make([]byte, 0, quietSize), quietMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint64(b, next)
	return sealed(b)
}

func parseQuiet(b []byte) (id spoolID, next uint64, err error) {
	if len(b) != quietSize || string(b[:len(quietMagic)]) != quietMagic || !intact(b) {
		return id, 0, errors.New("note of a lull is damaged")
	}
	return spoolID(b[12:28]), binary.LittleEndian.Uint64(b[28:]), checkVersion(binary.LittleEndian.Uint32(b[8:]))
}

// readQuiet returns the sequence before which no event is in doubt after a crash.
func (s *Spool) readQuiet() uint64 {
	b, err := readFile(s.fs, s.quietPath())
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	id, next, parseErr := parseQuiet(b)
	if err = errors.Join(err, parseErr); err == nil && id != s.id {
		err = errors.New("it is of another spool")
	}
	if err != nil {
		s.log.Warn("the note of the last lull does not count", "file", s.quietPath(), "error", err)
		return 0
	}
	return next
}

// noteQuiet notes a lull, if there is one that is not noted yet.
func (s *Spool) noteQuiet() {
	if s.retries == nil || s.committed.IsZero() || s.noted == s.next || time.Since(s.committed) < crashWindow {
		return
	}
	s.noted = s.next // once, also where it can't be written
	f, err := s.fs.Open(s.quietPath(), os.O_RDWR|os.O_CREATE)
	if err == nil {
		_, err = f.WriteAt(encodeQuiet(s.id, s.next), 0)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		s.log.Warn("could not note a lull: after a crash an event may be taken for a retry of one that was answered", "file", s.quietPath(), "error", err)
	}
}

func (s *Spool) quietPath() string { return filepath.Join(s.o.Dir, quietName) }
