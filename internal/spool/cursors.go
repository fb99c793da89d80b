package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Start says where a cursor begins that the spool doesn't know yet. The first
// cursors of a new spool begin with its first event all the same.
type Start int

const (
	// FromNow begins with the next event that is accepted.
	FromNow Start = iota
	// FromOldest begins with the oldest event that the spool still holds.
	FromOldest
)

// Cursor returns the cursor called name, made where it isn't there. A name has
// at most 63 characters of a-z, 0-9, point, dash and underscore. A name may be
// opened once.
func (s *Spool) Cursor(name string, start Start) (*Cursor, error) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`).MatchString(name) {
		return nil, fmt.Errorf("open cursor %q: a name has 1 to 63 of a-z, 0-9, '.', '-', '_'", name)
	}
	s.mu.Lock()
	c := s.cursors[name]
	at := s.next
	if start == FromOldest || s.newborn {
		at = s.oldestLocked()
	}
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c = &Cursor{s: s, name: name, file: &cursorFile{fs: s.fs, path: s.cursorPath(name)}}
	if err := c.begin(at); err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Spool) cursorPath(name string) string {
	return filepath.Join(s.dirCursors(), name+cursorSuffix)
}

// oldestLocked returns the lowest sequence that the spool may still hold.
func (s *Spool) oldestLocked() uint64 {
	if len(s.segments) > 0 {
		return s.segments[0].first
	}
	return s.next
}

// openCursors reads the cursor files and returns the names of those that are
// damaged.
func (s *Spool) openCursors() (damaged []string, err error) {
	names, err := s.fs.List(s.dirCursors())
	if err != nil {
		return nil, fmt.Errorf("list cursors: %w", err)
	}
	for _, base := range names {
		name, ok := strings.CutSuffix(base, cursorSuffix)
		if !ok {
			continue
		}
		f, err := openCursorFile(s.fs, s.cursorPath(name))
		if errors.Is(err, errCursorDamaged) {
			damaged = append(damaged, name)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open cursor %s: %w", name, err)
		}
		s.adopt(&Cursor{s: s, name: name, file: f})
	}
	s.newborn = len(s.cursors) == 0 && len(damaged) == 0
	return damaged, nil
}

// renewCursors begins damaged cursors again with the oldest event: better twice
// than never.
func (s *Spool) renewCursors(damaged []string) error {
	for _, name := range damaged {
		path := s.cursorPath(name)
		s.log.Error("cursor is damaged, its output gets every event that is still here again", "file", path, "oldest", s.oldestLocked())
		if err := s.fs.Link(path, filepath.Join(s.dirAside(), name+cursorSuffix)); err != nil && !errors.Is(err, fs.ErrExist) {
			s.log.Error("could not keep the damaged cursor aside", "file", path, "error", err)
		}
		c := &Cursor{s: s, name: name, file: &cursorFile{fs: s.fs, path: path}}
		if err := c.begin(s.oldestLocked()); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the cursor's file, at the sequence at.
func (c *Cursor) begin(at uint64) error {
	if err := c.file.save(at, 0); err != nil {
		return err
	}
	c.s.adopt(c)
	return nil
}

func (s *Spool) adopt(c *Cursor) {
	c.pos, c.returned, c.before = c.file.at.next, c.file.at.next, c.file.at.before
	s.mu.Lock()
	s.cursors[c.name], s.settled[c.name] = c, c.pos
	s.mu.Unlock()
}

// Cursors returns the names of all cursors, also of those that nobody has opened.
func (s *Spool) Cursors() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.cursors))
	for name := range s.cursors {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
