package spool

import "time"

// maxGather bounds how long a commit waits for company.
const maxGather = time.Millisecond

// expect notes, after a commit, what the next one waits for: as many events as
// this one had, for as long as this one took. A single sender never waits.
func (s *Spool) expect(events int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected, s.gatherUntil = events, time.Time{}
	if events > 1 {
		s.gatherUntil = time.Now().Add(min(took, maxGather))
	}
}

// gather waits for the expected events. Those who were just answered are about to
// come again, and a sync costs the same for all of them: without the wait the
// first to come back has one for itself, and the others queue behind it.
func (s *Spool) gather() {
	select {
	case <-s.gathered: // by a batch that was taken since
	default:
	}
	s.mu.Lock()
	wait := time.Until(s.gatherUntil)
	if s.pending == nil || len(s.pending.ends) >= s.expected {
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
	case <-s.quit:
	}
}
