package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// ending is what was found in one of the newest segments.
type ending struct {
	g        *segment
	last     uint64 // the last sequence that can be read there, 0 if none can
	accepted int64  // its acceptance time, Unix nanoseconds
	end      int64  // where that record ends
}

// recoverTail finds where the log ends, and cuts off the newest segment what
// was never wholly written: a torn, zeroed or foreign tail. What it cuts is kept
// aside, for it may have been damaged instead. Where the mark of a clean stop, or the
// note of a process that was killed, says that it was, nothing is cut and no sequence
// is given again: the cursors find the damage, count what is lost, and keep the segment
// aside.
func (s *Spool) recoverTail() error {
	for _, c := range s.cursors {
		s.next = max(s.next, c.file.at.next)
		s.accepted = max(s.accepted, c.file.at.before)
	}
	passed := s.next
	m := s.readMark()
	s.note = s.readNote()
	endings, err := s.readEndings(m)
	if err != nil {
		return err
	}
	readable := passed // what follows the last record that can be read, or that a cursor has passed
	for _, e := range endings {
		s.next = max(s.next, e.g.first, e.last+1)
		s.accepted = max(s.accepted, e.g.before, e.accepted)
		if e.last > 0 {
			readable = max(readable, e.last+1)
			if m != nil && e.g.number > m.number {
				s.log.Warn("the mark of a clean stop is older than the log and does not count", "file", s.markPath())
				m = nil
			}
		}
	}
	s.clean = m != nil
	durable := s.note.next // so much was
	s.next, s.accepted = max(s.next, durable), max(s.accepted, s.note.accepted)
	if s.clean {
		durable = max(durable, m.next)
		s.next, s.accepted = max(s.next, m.next), max(s.accepted, m.accepted)
	}
	if durable > readable {
		s.log.Error("the end of the log can't be read, though it was durable", "first", readable, "count", durable-readable)
	}
	if durable <= readable || len(endings) == 0 {
		if err := s.cutEndings(endings, readable); err != nil {
			return err
		}
	}
	s.keepNumbers(readable)
	return nil
}

// readEndings reads the newest segments, in order: from the newest that holds a
// record on.
func (s *Spool) readEndings(m *mark) ([]ending, error) {
	var endings []ending
	for _, g := range slices.Backward(s.segments) {
		e, err := s.readEnding(g, m)
		if err != nil {
			return nil, fmt.Errorf("recover segment %s: %w", g.path, err)
		}
		endings = append(endings, e)
		if e.last > 0 {
			break
		}
	}
	slices.Reverse(endings)
	return endings, nil
}

func (s *Spool) readEnding(g *segment, m *mark) (e ending, err error) {
	f, err := s.fs.Open(g.path, os.O_RDONLY)
	if err != nil {
		return ending{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sc := &scanner{file: f, limit: g.size, off: segmentHeaderSize}
	if m != nil && m.number == g.number {
		sc.limit = min(sc.limit, m.size)
	}
	e = ending{g: g, end: min(segmentHeaderSize, g.size)}
	for {
		h, _, err := sc.next()
		if errors.Is(err, io.EOF) {
			return e, nil
		}
		if err != nil {
			return ending{}, err
		}
		e.last, e.end = max(e.last, h.sequence), sc.off
		e.accepted = max(e.accepted, h.accepted)
	}
}

// cutEndings cuts what was never acknowledged off the segments, and removes those
// without a record, unless their name says more than the sequence readable does.
func (s *Spool) cutEndings(endings []ending, readable uint64) error {
	for _, e := range endings {
		if e.end < e.g.size {
			if err := s.cutTail(e.g, e.end); err != nil {
				return fmt.Errorf("recover segment %s: %w", e.g.path, err)
			}
		}
		if e.last > 0 || e.g.first > readable {
			continue
		}
		if err := s.fs.Remove(e.g.path); err != nil {
			return fmt.Errorf("remove empty segment: %w", err)
		}
		s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool { return g == e.g })
	}
	return nil
}

// keepNumbers makes a segment whose name says what the next sequence is, where
// nothing else that lasts does: neither a record nor a cursor, which have come to
// the sequence readable, nor a segment.
func (s *Spool) keepNumbers(readable uint64) {
	if n := len(s.segments); n > 0 {
		readable = max(readable, s.segments[n-1].first)
	}
	if s.next <= readable {
		return
	}
	g, err := s.createSegment()
	if err != nil {
		s.log.Error("could not note which sequence is next: after a crash one may be given again", "next", s.next, "error", err)
		return
	}
	s.segments = append(s.segments, g)
}

// cutTail shortens the segment to end and keeps what it cuts, but for the zeros
// that a segment is made of. Where the disk has no room for that, only the spool
// forgets the tail.
func (s *Spool) cutTail(g *segment, end int64) (err error) {
	f, err := s.fs.Open(g.path, os.O_RDWR)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tail, err := readTail(f, end, g.size)
	if err != nil {
		return err
	}
	if len(tail) > 0 {
		s.log.Warn("cut a tail off the newest segment: the process or the machine stopped while it was written, or the disk has damaged it",
			"file", g.path, "bytes", len(tail))
		s.metrics.cut.Add(float64(len(tail)))
		name := filepath.Join(s.dirAside(), filepath.Base(g.path)+".tail")
		if err := writeFileDurably(s.fs, name, tail); err != nil {
			s.log.Warn("no copy of the tail could be kept, the whole segment is kept instead", "file", name, "error", err)
			s.keepAside(g)
			g.size = end // the file stays as it is, see below
			return nil
		}
	}
	g.size = end
	if err := errors.Join(f.Truncate(end), f.Sync()); err != nil {
		// Harmless: the next segment's name tells the readers where this one ends.
		s.log.Warn("could not cut the segment's file", "file", g.path, "error", err)
	}
	return nil
}

// readTail returns what is between from and to, without the zeros at its end.
func readTail(f File, from, to int64) ([]byte, error) {
	var tail []byte
	chunk := make([]byte, min(readChunk, to-from))
	for at := from; at < to; {
		n, err := f.ReadAt(chunk[:min(int64(len(chunk)), to-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if used := len(bytes.TrimRight(chunk[:n], "\x00")); used > 0 {
			tail = append(tail, make([]byte, int(at-from)-len(tail))...)
			tail = append(tail, chunk[:used]...)
		}
		if n == 0 {
			break
		}
		at += int64(n)
	}
	return tail, nil
}

// keepAside gives a damaged segment a second name that outlives the first.
func (s *Spool) keepAside(g *segment) {
	s.mu.Lock()
	kept := g.aside
	g.aside = true
	s.mu.Unlock()
	if kept {
		return
	}
	name := filepath.Join(s.dirAside(), filepath.Base(g.path))
	if err := s.fs.Link(g.path, name); err != nil && !errors.Is(err, os.ErrExist) {
		s.log.Error("could not keep a damaged segment aside", "file", g.path, "error", err)
	}
}
