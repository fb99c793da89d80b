package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
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
