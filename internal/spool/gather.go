package spool

import "time"

const (
	// maxGather bounds how long a commit waits for company.
	maxGather = time.Millisecond
	// apartFor is after how many commits of halves it is tried again whether all come
	// soon enough.
	apartFor = 64
)

// gathering is what a commit waits for, so that a sync is shared by many. Those who
// were just answered are about to come again: without a wait the first to come back
// has a sync for itself, and the others queue behind it.
//
// Where all of them come back sooner than a sync takes, it waits for all. Where they
// don't, because there are many or the disk is fast, it waits for half: one half is
// on its way to the disk while the other is answered and comes again. Its fields are
// guarded by Spool.mu.
type gathering struct {
	expected int // events that the next commit waits for
	until    time.Time
	apart    int // for so many commits half is enough
}

// expect notes, after a commit, what the next one waits for: for those that were in
// it and those that came meanwhile, for as long as it took. A single sender never waits.
func (s *Spool) expect(events int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.gathering
	if s.pending != nil {
		events += len(s.pending.ends)
	}
	g.expected = events
	if g.apart > 0 {
		g.apart--
		g.expected = (events + 1) / 2
	}
	g.until = time.Time{}
	if events > 1 {
		g.until = time.Now().Add(min(took, maxGather))
	}
}

// gather waits for the expected events.
func (s *Spool) gather() {
	select {
	case <-s.gathered: // by a batch that was taken since
	default:
	}
	s.mu.Lock()
	wait := time.Until(s.gathering.until)
	if s.pending == nil || len(s.pending.ends) >= s.gathering.expected {
		wait = 0
	}
	s.mu.Unlock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.gathered:
	case <-timer.C:
		s.mu.Lock()
		s.gathering.apart = apartFor
		s.mu.Unlock()
	case <-s.quit:
	}
}
