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

// cursorName is what is safe in a file name.
var cursorName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Cursor returns the cursor called name, made where it isn't there. A name has
// at most 63 characters of a-z, 0-9, point, dash and underscore. A name may be
// opened once.
func (s *Spool) Cursor(name string, start Start) (*Cursor, error) {
	if !cursorName.MatchString(name) {
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
	c = s.newCursor(name, &cursorFile{fs: s.fs, path: s.cursorPath(name)})
	if err := c.begin(at); err != nil {
		return nil, err
	}
	return c, s.noteOutput(name)
}

// cursorOf returns the cursor called name, or ErrNoCursor.
func (s *Spool) cursorOf(name string) (*Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cursors[name]
	if c == nil {
		return nil, ErrNoCursor
	}
	return c, nil
}

// Forget gives up the output called name: its place in the log, and with it what it
// has not settled, and its account. Nobody may use its cursor any more. It is
// durable when it returns nil. The error is ErrNoCursor or the disk's.
func (s *Spool) Forget(name string) error {
	c, err := s.cursorOf(name)
	if err != nil {
		return fmt.Errorf("forget %s: %w", name, err)
	}
	if err := s.forgetOutput(name); err != nil { // first: a cursor that is on the list and missing is made anew
		return fmt.Errorf("forget %s: %w", name, err)
	}
	err = c.close()
	if removeErr := s.fs.Remove(s.cursorPath(name)); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		return fmt.Errorf("forget %s: %w", name, errors.Join(err, removeErr))
	}
	if err := errors.Join(err, s.fs.SyncDir(s.dirCursors())); err != nil {
		return fmt.Errorf("forget %s: %w", name, err)
	}
	s.mu.Lock()
	delete(s.cursors, name)
	delete(s.settled, name)
	s.movedLocked()
	s.mu.Unlock()
	return nil
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
// damaged or missing.
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
		s.adopt(s.newCursor(name, f))
	}
	for _, name := range s.readRoster() {
		if s.cursors[name] == nil && !slices.Contains(damaged, name) {
			damaged = append(damaged, name)
		}
	}
	s.newborn = len(s.cursors) == 0 && len(damaged) == 0
	return damaged, nil
}

// renewCursors begins damaged and missing cursors again with the oldest event:
// better twice than never.
func (s *Spool) renewCursors(damaged []string) error {
	for _, name := range damaged {
		path := s.cursorPath(name)
		s.log.Error("cursor is damaged or missing, its output gets every event that is still here again and its account begins anew",
			"file", path, "oldest", s.oldestLocked())
		aside := filepath.Join(s.dirAside(), name+cursorSuffix)
		if err := s.fs.Link(path, aside); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			s.log.Error("could not keep the damaged cursor aside", "file", path, "error", err)
		}
		c := s.newCursor(name, &cursorFile{fs: s.fs, path: path})
		if err := c.begin(s.oldestLocked()); err != nil {
			return err
		}
	}
	return s.writeRoster()
}

// adopt takes a cursor into the spool, at the position that its file has.
func (s *Spool) adopt(c *Cursor) {
	p := c.position()
	c.log.pos, c.log.returned, c.log.before = p.next, p.next, p.before
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors[c.name], s.settled[c.name] = c, p
}

// settle notes a position that has become durable.
func (s *Spool) settle(name string, p position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled[name] = p
	s.movedLocked()
}

// movedLocked wakes who waits for a cursor to move.
func (s *Spool) movedLocked() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
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

// Position returns what is durable of the position of the cursor called name. The
// error is ErrNoCursor.
func (s *Spool) Position(name string) (Position, error) {
	c, err := s.cursorOf(name)
	if err != nil {
		return Position{}, fmt.Errorf("look at %s: %w", name, err)
	}
	return c.Position(), nil
}
