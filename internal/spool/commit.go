package spool

import (
	"errors"
	"fmt"
	"sort"
	"syscall"
	"time"
)

const (
	maxSegmentSize = 64 << 20
	// sweepEvery is how often retention is looked at.
	sweepEvery = time.Minute
	// probeEvery is how often a failed disk is tried again without an event.
	probeEvery = 5 * time.Second
	// probeSize is the room that makes the spool well again, even if what it refused
	// last was larger, in bytes.
	probeSize = 64 << 10
)

// run is the committer: the only goroutine that writes segments. Close stops it
// after it has committed what waits.
func (s *Spool) run() {
	defer close(s.stopped)
	sweep, probe := time.NewTicker(sweepEvery), time.NewTicker(probeEvery)
	defer sweep.Stop()
	defer probe.Stop()
	for {
		select {
		case <-s.wake:
			s.commitPending()
		case <-sweep.C:
			s.releaseExpired()
		case <-probe.C:
			s.probe()
			s.noteQuiet()
		case <-s.quit:
			s.commitPending()
			return
		}
	}
}

func (s *Spool) commitPending() {
	for {
		s.gather()
		b := s.take()
		if b == nil {
			return
		}
		began := time.Now()
		o := s.commit(b)
		s.expect(len(b.ends), time.Since(began))
		s.noteHealth(o.err) // first, so that who is refused finds Writable say so too
		s.conclude(b, o)    // and who comes again at once finds the buffers
		b.finish()
		if errors.Is(o.err, ErrNoSpace) && !s.dropSpares() { // the disk may have less than it says
			s.releaseOldest()
		}
	}
}

// commit makes the records of b durable, as many from the first as there is
// room for, and only then shows them to the cursors.
func (s *Spool) commit(b *batch) outcome {
	began := time.Now()
	n, size, roomErr := s.fit(b)
	if n == 0 {
		return outcome{err: roomErr}
	}
	o := outcome{first: s.next, accepted: max(s.o.Now().UnixNano(), s.accepted+1), stored: n, err: roomErr}
	b.number(o)
	g, err := s.writableSegment(size)
	if err != nil {
		return outcome{err: diskError(err)}
	}
	if err := s.write(g, b.buf[:size]); err != nil {
		return outcome{err: err}
	}
	s.accepted = o.accepted + int64(n) - 1
	s.committed = time.Now()
	s.publish(g, int64(size), n)
	s.writeNote()
	if !g.asked && g.size > s.segmentSize/2 {
		g.asked = true
		s.askForSpare()
	}
	s.metrics.committed(n, size, time.Since(began))
	return o
}

// fit returns how many records of b there is room for, and their bytes.
func (s *Spool) fit(b *batch) (n, size int, err error) {
	err = s.makeRoom(int64(len(b.buf)))
	if err == nil {
		return len(b.ends), len(b.buf), nil
	}
	n = sort.Search(len(b.ends), func(i int) bool { return s.roomFor(int64(b.ends[i]), 0) != nil })
	if n > 0 {
		size = b.ends[n-1]
	}
	if n < len(b.ends) {
		s.refusedSize = int64(b.ends[n] - size)
	}
	return n, size, err
}

// number gives the records that are to be stored their sequences and acceptance
// times.
func (b *batch) number(o outcome) {
	at := 0
	for i := range o.stored {
		number(b.buf[at:], o.first+uint64(i), o.accepted+int64(i))
		at = b.ends[i]
	}
}

// writableSegment returns the segment that size bytes go to, a new one if there
// is none open or the open one is large enough.
func (s *Spool) writableSegment(size int) (*segment, error) {
	if g := s.openSegment(); g != nil {
		if !g.records() || g.size+int64(size) <= s.segmentSize {
			return g, nil
		}
		s.seal(g)
	}
	g, err := s.createSegment()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.segments = append(s.segments, g)
	s.mu.Unlock()
	s.releaseExpired()
	return g, nil
}

// openSegment returns the segment that is open for writing, nil if none is.
func (s *Spool) openSegment() *segment {
	if n := len(s.segments); n > 0 && s.segments[n-1].file != nil {
		return s.segments[n-1]
	}
	return nil
}

// chooseSegmentSize makes segments so small that a spool or disk of any size has
// several, so that delivered events can be let go of while others wait.
func (s *Spool) chooseSegmentSize() error {
	_, total, err := s.fs.Space(s.o.Dir)
	if err != nil {
		return fmt.Errorf("look at the disk: %w", err)
	}
	s.segmentSize = min(maxSegmentSize, s.o.MaxSize/8, total/16)
	return nil
}

// write appends p to the segment and syncs it. After a failed write the segment
// goes on if it could be cut back. After a failed sync it never does: the kernel
// may have dropped the dirty pages and call the next sync a success.
func (s *Spool) write(g *segment, p []byte) error {
	if _, err := g.file.WriteAt(p, g.size); err != nil {
		if cutErr := s.cutBack(g); cutErr != nil {
			s.seal(g)
			err = errors.Join(err, cutErr)
		}
		return diskError(fmt.Errorf("write segment %s: %w", g.path, err))
	}
	if err := g.file.Sync(); err != nil {
		s.giveUp(g)
		return diskError(fmt.Errorf("sync segment %s: %w", g.path, err))
	}
	return nil
}

// publish lets the cursors see n more records.
func (s *Spool) publish(g *segment, size int64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.size += size
	s.next += uint64(n)
	s.wakeLocked()
}

// wakeLocked wakes the cursors that wait.
func (s *Spool) wakeLocked() {
	if s.more != nil {
		close(s.more)
		s.more = nil
	}
}

// giveUp closes a segment whose sync failed. What was durable stays; what was
// not is cut off if the disk lets us, and is ignored by the readers if not.
func (s *Spool) giveUp(g *segment) {
	if err := s.cutBack(g); err != nil {
		s.log.Error("could not cut what was not synced off a segment", "file", g.path, "error", err)
	}
	s.seal(g)
	if !g.records() {
		s.drop(g)
	}
}

// cutBack shortens the segment's file to what is durable.
func (s *Spool) cutBack(g *segment) error {
	s.mu.Lock()
	g.ahead = 0
	s.mu.Unlock()
	return g.file.Truncate(g.size)
}

// seal closes a segment for writing.
func (s *Spool) seal(g *segment) {
	s.trim(g)
	if err := g.file.Close(); err != nil {
		s.log.Warn("could not close a segment", "file", g.path, "error", err)
	}
	g.file = nil
}

// probe tries, after the disk failed, whether an event could be stored again,
// so that readiness recovers without one. It makes the segment that the next
// event goes to.
func (s *Spool) probe() {
	s.mu.Lock()
	failing := s.failing
	s.mu.Unlock()
	if failing == nil {
		return
	}
	if err := s.makeRoom(min(max(s.refusedSize, recordHeaderSize), probeSize)); err != nil {
		return
	}
	g, err := s.writableSegment(0)
	if err != nil {
		return
	}
	if err := g.file.Sync(); err != nil {
		s.giveUp(g)
		return
	}
	s.noteHealth(nil)
}

// noteHealth keeps why the last commit failed and logs where that begins and ends.
func (s *Spool) noteHealth(err error) {
	s.mu.Lock()
	before := s.failing
	s.failing = err
	s.mu.Unlock()
	switch {
	case err == nil && before != nil:
		s.log.Info("spool accepts events again")
	case err != nil && (before == nil || reason(err) != reason(before)):
		s.log.Error("spool refuses events", "reason", reason(err), "error", err)
	}
}

// diskError puts what the disk said into one of the errors of Append.
func diskError(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrIO, err)
}
