package spool

import (
	"fmt"
	"slices"
)

// settledLocked returns the lowest sequence that of says of a cursor; 0 if there is
// no cursor, so that nothing counts as delivered.
func (s *Spool) settledLocked(of func(position) uint64) uint64 {
	lowest := uint64(0)
	for _, p := range s.settled {
		if next := of(p); lowest == 0 || next < lowest {
			lowest = next
		}
	}
	return lowest
}

// neededLocked returns the sequence before which no cursor needs anything.
func (s *Spool) neededLocked() uint64 {
	needed := s.settledLocked(position.needs)
	for _, from := range s.held {
		needed = min(needed, from)
	}
	return needed
}

// deliveredLocked returns how many segments, from the oldest, hold nothing that
// a cursor still needs.
func (s *Spool) deliveredLocked() int {
	needed := s.neededLocked()
	n := 0
	for n < len(s.segments) && s.endLocked(n) <= needed {
		n++
	}
	return n
}

// endLocked returns the sequence that follows the last one of segment i.
func (s *Spool) endLocked(i int) uint64 {
	if i+1 < len(s.segments) {
		return s.segments[i+1].first
	}
	return s.next
}

// usedLocked returns the bytes of all segments.
func (s *Spool) usedLocked() int64 {
	var used int64
	for _, g := range s.segments {
		used += max(g.size, g.ahead)
	}
	if s.spareSegment != nil {
		used += s.spareSegment.size
	}
	return used
}

// Needed returns the bytes of the segments that a cursor still needs something of:
// what max_size can't make room from.
func (s *Spool) Needed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedLocked() - s.releasableSizeLocked()
}

// releasable returns the bytes that could be let go of at once.
func (s *Spool) releasable() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.releasableSizeLocked()
}

func (s *Spool) releasableSizeLocked() int64 {
	var size int64
	for _, g := range s.segments[:s.deliveredLocked()] {
		size += g.size
	}
	if n := len(s.segments); n > 0 && s.segments[n-1].ahead > 0 {
		size += s.segments[n-1].ahead - s.segments[n-1].size
	}
	if s.spareSegment != nil {
		size += s.spareSegment.size
	}
	return size
}

// roomFor tells whether size more bytes may be written once released bytes were
// let go of: nil, ErrFull or ErrNoSpace with the figures.
func (s *Spool) roomFor(size, released int64) error {
	s.mu.Lock()
	used := s.usedLocked()
	s.mu.Unlock()
	if used-released+size > s.o.MaxSize {
		return fmt.Errorf("%w: %d bytes are waiting, max_size is %d", ErrFull, used-released, s.o.MaxSize)
	}
	free, _, err := s.fs.Space(s.o.Dir)
	if err != nil {
		return diskError(err)
	}
	if free+released-size < s.o.MinFree {
		return fmt.Errorf("%w: %d bytes are free, min_free is %d", ErrNoSpace, free+released, s.o.MinFree)
	}
	return nil
}

// makeRoom lets go of delivered segments, oldest first, until size bytes may be
// written, even inside the retention.
func (s *Spool) makeRoom(size int64) error {
	for {
		err := s.roomFor(size, 0)
		if err == nil || !s.dropSpares() && !s.releaseOldest() {
			return err
		}
	}
}

// releaseOldest removes the oldest segment if no cursor needs it.
func (s *Spool) releaseOldest() bool {
	s.mu.Lock()
	g := s.releasableLocked()
	if g != nil {
		s.unlistLocked(g) // in one step: a replay that begins now must not count on it
	}
	s.mu.Unlock()
	if g == nil {
		return false
	}
	if g.file != nil {
		s.seal(g)
	}
	return s.remove(g)
}

// releasableLocked returns the oldest segment if no cursor needs it, else nil.
func (s *Spool) releasableLocked() *segment {
	if s.deliveredLocked() == 0 {
		return nil
	}
	g := s.segments[0]
	if g.file != nil && !g.records() {
		return nil // it is where the next event goes
	}
	return g
}

// releaseExpired removes delivered segments whose newest event is older than
// the retention.
func (s *Spool) releaseExpired() {
	horizon := s.o.Now().Add(-s.o.Retention).UnixNano()
	for {
		s.mu.Lock()
		// The age of a segment is in the header of the one after it.
		expired := s.deliveredLocked() > 0 && len(s.segments) > 1 && s.segments[1].before <= horizon
		s.mu.Unlock()
		if !expired || !s.releaseOldest() {
			return
		}
	}
}

// drop removes a closed segment, first from the list, then from the disk.
func (s *Spool) drop(g *segment) bool {
	s.mu.Lock()
	s.unlistLocked(g)
	s.mu.Unlock()
	return s.remove(g)
}

// unlistLocked takes a segment off the list, and wakes the cursors that have it open.
func (s *Spool) unlistLocked(g *segment) {
	g.dropped = true
	s.segments = slices.DeleteFunc(s.segments, func(other *segment) bool { return other == g })
	s.wakeLocked()
}

// remove takes a segment's file from the disk, which has its room back when the
// cursors that still have it open have closed it too.
func (s *Spool) remove(g *segment) bool {
	if err := s.fs.Remove(g.path); err != nil {
		s.log.Error("could not remove a segment that is no longer needed", "file", g.path, "error", err)
		return false
	}
	return true
}
