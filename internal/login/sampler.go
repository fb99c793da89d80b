package login

import (
	"net/netip"
	"sync"
	"time"
)

// mostSampled bounds the memory of a Sampler. While more addresses than that fail
// within one minute, those beyond are not logged.
const mostSampled = 1000

// Sampler lets through one event for each network (see networkOf) and minute, so that
// nobody can fill the log from outside. Its methods may be called concurrently.
type Sampler struct {
	now func() time.Time // the wall clock

	mu    sync.Mutex
	begun time.Time
	seen  map[netip.Addr]struct{}
}

// NewSampler makes a sampler.
func NewSampler(now func() time.Time) *Sampler { return &Sampler{now: now} }

// Allow says whether the event of this address is let through.
func (s *Sampler) Allow(a netip.Addr) bool {
	a = networkOf(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	// Not Before: the wall clock may be set back.
	if now := s.now(); now.Sub(s.begun).Abs() >= Window {
		s.begun, s.seen = now, map[netip.Addr]struct{}{}
	}
	if _, ok := s.seen[a]; ok || len(s.seen) >= mostSampled {
		return false
	}
	s.seen[a] = struct{}{}
	return true
}
