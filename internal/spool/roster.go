package spool

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

const (
	rosterName    = "spool.outputs"
	rosterMagic   = "\xd7SRO"
	rosterVersion = 1
)

// The roster lists the outputs that have a cursor, so that a cursor file which has
// gone missing is told from an output that is new: a new one may begin with the
// next event, but one that was there before must not skip what it has not settled.

func encodeRoster(names []string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(rosterMagic), rosterVersion)
	for _, name := range names {
		b = append(append(b, name...), '\n')
	}
	return sealed(b)
}

func parseRoster(b []byte) ([]string, error) {
	if len(b) < len(rosterMagic)+8 || string(b[:len(rosterMagic)]) != rosterMagic || !intact(b) {
		return nil, errors.New("list of outputs is damaged")
	}
	if v := binary.LittleEndian.Uint32(b[len(rosterMagic):]); v != rosterVersion {
		return nil, errors.New("list of outputs has a version that this siemrelay does not know")
	}
	var names []string
	for name := range strings.Lines(string(b[len(rosterMagic)+4 : len(b)-4])) {
		name = strings.TrimSuffix(name, "\n")
		if !cursorName.MatchString(name) {
			return nil, errors.New("list of outputs makes no sense")
		}
		names = append(names, name)
	}
	return names, nil
}

func (s *Spool) rosterPath() string { return filepath.Join(s.o.Dir, rosterName) }

// readRoster returns the outputs that had a cursor. It is a second witness only:
// where it can't be read the cursor files alone count.
func (s *Spool) readRoster() []string {
	b, err := readFile(s.fs, s.rosterPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		var names []string
		if names, err = parseRoster(b); err == nil {
			s.roster = names
			return names
		}
	}
	s.log.Error("list of outputs can't be read, writing it anew from the cursors that are there", "file", s.rosterPath(), "error", err)
	return nil
}

// writeRoster makes the list agree with the cursors that are there.
func (s *Spool) writeRoster() error { return s.saveRoster(s.Cursors()) }

// noteOutput and forgetOutput add a name to the list and take it off.
func (s *Spool) noteOutput(name string) error {
	return s.saveRoster(append(s.Cursors(), name))
}

func (s *Spool) forgetOutput(name string) error {
	return s.saveRoster(slices.DeleteFunc(s.Cursors(), func(n string) bool { return n == name }))
}

func (s *Spool) saveRoster(names []string) error {
	slices.Sort(names)
	names = slices.Compact(names)
	s.rosterMu.Lock()
	defer s.rosterMu.Unlock()
	if slices.Equal(names, s.roster) {
		return nil
	}
	if err := writeFileDurably(s.fs, s.rosterPath(), encodeRoster(names)); err != nil {
		return err
	}
	s.roster = names
	return nil
}
