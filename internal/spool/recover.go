package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// recoverTail finds where the log ends, and cuts off the newest segment what
// was never wholly written: a torn, zeroed or foreign tail. What it cuts is kept
// aside, for it may have been damaged instead.
func (s *Spool) recoverTail() error {
	for _, c := range s.cursors {
		s.next = max(s.next, c.file.at.next)
		s.accepted = max(s.accepted, c.file.at.before)
	}
	for len(s.segments) > 0 {
		g := s.segments[len(s.segments)-1]
		s.next = max(s.next, g.first)
		s.accepted = max(s.accepted, g.before)
		found, err := s.recoverSegment(g)
		if err != nil {
			return fmt.Errorf("recover segment %s: %w", g.path, err)
		}
		if found {
			return nil
		}
		// Without a record it says nothing that its name has not said.
		if err := s.fs.Remove(g.path); err != nil {
			return fmt.Errorf("remove empty segment: %w", err)
		}
		s.segments = s.segments[:len(s.segments)-1]
	}
	return nil
}

// recoverSegment reads the newest segment through and tells whether it holds a
// record.
func (s *Spool) recoverSegment(g *segment) (found bool, err error) {
	f, err := s.fs.Open(g.path, os.O_RDWR)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sc := &scanner{file: f, limit: g.size, off: segmentHeaderSize}
	end := min(segmentHeaderSize, g.size)
	for {
		h, _, err := sc.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, err
		}
		found, end = true, sc.off
		s.next = max(s.next, h.sequence+1)
		s.accepted = max(s.accepted, h.accepted)
	}
	if end < g.size {
		if err := s.cutTail(g, f, end); err != nil {
			return false, err
		}
	}
	return found, nil
}

// cutTail shortens the segment to end and keeps what it cuts, but for the zeros
// that a segment is made of. Where the disk has no room for that, only the spool
// forgets the tail.
func (s *Spool) cutTail(g *segment, f File, end int64) error {
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
