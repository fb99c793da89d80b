package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
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

// Cursor reads the spool for one output and remembers, durably, how far that
// output has come. One goroutine uses it at a time.
type Cursor struct {
	s    *Spool
	name string
	file *cursorFile

	pos      uint64 // sequence that Next returns next
	returned uint64 // follows the last record that Next returned
	before   int64  // acceptance time of that record

	seg  *segment // the segment that scan reads, nil at first
	end  uint64   // records below it are within scan.limit
	scan scanner
}

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

// Ready returns a channel that is closed once Next has a record to return, or a
// removed file to let go of.
func (c *Cursor) Ready() <-chan struct{} {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.pos < s.next || c.holdsDroppedLocked() {
		return s.always
	}
	if s.more == nil {
		s.more = make(chan struct{})
	}
	return s.more
}

func (c *Cursor) holdsDroppedLocked() bool { return c.seg != nil && c.seg.dropped }

// Next returns the next record, ok false if none is there yet. Records that
// can't be read are counted, their file is kept aside, and the next good one is
// returned. After an error, which is the disk's, the call may be repeated.
func (c *Cursor) Next() (r Record, ok bool, err error) {
	for {
		for c.pos >= c.end {
			if more, err := c.refresh(); err != nil || !more {
				return Record{}, false, errors.Join(err, c.passLost())
			}
		}
		h, body, err := c.scan.next()
		switch {
		case errors.Is(err, io.EOF), err == nil && h.sequence >= c.end:
			c.lose(c.end, c.seg)
		case err != nil:
			return Record{}, false, fmt.Errorf("read segment %s: %w", c.seg.path, err)
		case h.sequence < c.pos:
			// Settled before, and passed on the way to pos.
		default:
			c.lose(h.sequence, c.seg)
			c.pos = h.sequence + 1
			c.returned, c.before = c.pos, h.accepted
			return Record{
				ID:       c.s.eventID(h.sequence, h.accepted),
				Sequence: h.sequence,
				Accepted: time.Unix(0, h.accepted).UTC(),
				Body:     body,
			}, true, nil
		}
	}
}

// refresh looks at how far the log has grown, and opens the segment that pos is
// in. more is false if pos is not there yet.
func (c *Cursor) refresh() (more bool, err error) {
	s := c.s
	s.mu.Lock()
	if c.pos >= s.next {
		dropped := c.holdsDroppedLocked()
		s.mu.Unlock()
		if dropped { // the disk keeps it for as long as it is open
			return false, c.closeSegment()
		}
		return false, nil
	}
	i := len(s.segments) - 1
	for i > 0 && s.segments[i].first > c.pos {
		i--
	}
	if i < 0 || s.segments[i].first > c.pos {
		to := s.oldestLocked()
		s.mu.Unlock()
		c.lose(to, nil)
		return true, nil
	}
	g, limit, end := s.segments[i], s.segments[i].size, s.endLocked(i)
	s.mu.Unlock()
	if g != c.seg {
		if err := c.open(g); err != nil {
			return false, err
		}
	}
	c.scan.limit, c.end = limit, end
	return true, nil
}

func (c *Cursor) open(g *segment) error {
	if err := c.closeSegment(); err != nil {
		return err
	}
	f, err := c.s.fs.Open(g.path, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	c.seg, c.end = g, 0
	c.scan = scanner{file: f, off: segmentHeaderSize, buf: c.scan.buf[:0]}
	if g.headerErr != nil {
		c.s.keepAside(g)
	}
	return nil
}

// lose passes the records before the sequence to, which can't be read in g or,
// if g is nil, are in no segment that is there.
func (c *Cursor) lose(to uint64, g *segment) {
	if to <= c.pos {
		return
	}
	lost := to - c.pos
	c.s.metrics.unreadable.WithLabelValues(c.name).Add(float64(lost))
	attrs := []any{"output", c.name, "first", c.pos, "count", lost}
	if g != nil {
		c.s.keepAside(g)
		attrs = append(attrs, "file", g.path)
	}
	c.s.log.Error("events in the spool can't be read", attrs...)
	c.pos = to
}

// passLost saves the position where nothing but lost records came after the
// last one that was returned and settled: nobody else would.
func (c *Cursor) passLost() error {
	if c.pos == c.returned || c.file.at.next != c.returned {
		return nil
	}
	return c.Commit(c.returned)
}

// Commit makes durable that every record before the sequence next is settled.
// It never moves back. After an error it may be repeated.
func (c *Cursor) Commit(next uint64) error {
	if next == c.returned {
		next = c.pos // lost records behind it are settled too
	}
	if next <= c.file.at.next {
		return nil
	}
	before := c.file.at.before
	if next == c.pos {
		before = c.before
	}
	if err := c.file.save(next, before); err != nil {
		return err
	}
	c.returned = max(c.returned, next)
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled[c.name] = next
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
	return nil
}

func (c *Cursor) closeSegment() error {
	if c.seg == nil {
		return nil
	}
	c.seg = nil
	return c.scan.file.Close()
}

func (c *Cursor) close() error {
	return errors.Join(c.closeSegment(), c.file.close())
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
