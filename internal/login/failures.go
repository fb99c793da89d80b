package login

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// Window is how long failures count.
	Window = time.Minute
	// mostGuessers bounds the memory of Failures, some 400 KB. Each address
	// beyond makes it forget another, which may guess on for a while.
	mostGuessers = 4096
	// forgetAmong is how many addresses are looked at to find one to forget.
	forgetAmong = 8
)

// Failures counts the failed logins of each network (see networkOf) within a minute
// that begins with its first. It never asks for a password: what a failure too many
// means is its caller's business. Its methods may be called concurrently.
type Failures struct {
	most int              // in a minute
	now  func() time.Time // the wall clock

	mu   sync.Mutex
	seen map[netip.Addr]failures
}

type failures struct {
	begun time.Time
	count int
}

// NewFailures makes a count that allows most failures a minute.
func NewFailures(most int, now func() time.Time) *Failures {
	return &Failures{most: most, now: now, seen: map[netip.Addr]failures{}}
}

// Most is how many failures a minute are allowed.
func (l *Failures) Most() int { return l.most }

// Over says whether a network has had its failures for this minute: one more would
// be over the limit.
func (l *Failures) Over(a netip.Addr) bool {
	a = networkOf(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	f, known := l.seen[a]
	return known && !f.past(l.now()) && f.count >= l.most
}

// Add counts one failure and says whether it is over the limit, and whether it
// is the first one that is.
func (l *Failures) Add(a netip.Addr) (over, first bool) {
	a = networkOf(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	f, known := l.seen[a]
	if !known && len(l.seen) >= mostGuessers {
		l.forgetOne(now)
	}
	if !known || f.past(now) {
		f = failures{begun: now}
	}
	f.count++
	l.seen[a] = f
	return f.count > l.most, f.count == l.most+1
}

// past says whether the minute is over. A clock that was set back ends it too:
// that costs one more minute's failures, a lock for a day would cost more.
func (f failures) past(now time.Time) bool {
	age := now.Sub(f.begun)
	return age < 0 || age >= Window
}

// forgetOne forgets, of a few addresses, one whose minute is over, or the one
// with the fewest failures: a flood of addresses does not free a busy one. The
// caller holds l.mu.
func (l *Failures) forgetOne(now time.Time) {
	var victim netip.Addr
	fewest, looked := 0, 0
	for a, f := range l.seen { // begins anywhere
		if f.past(now) {
			victim = a
			break
		}
		if looked == 0 || f.count < fewest {
			victim, fewest = a, f.count
		}
		if looked++; looked == forgetAmong {
			break
		}
	}
	delete(l.seen, victim)
}

// networkOf is a itself, and for IPv6 its /64: who has one address there has
// all of them.
func networkOf(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
