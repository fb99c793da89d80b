package login

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// wallClock is a clock that can be set, with no monotonic part.
type wallClock struct{ at time.Time }

func (c *wallClock) now() time.Time { return c.at }

func newFailedLogins(most int, c *wallClock) *Failures { return NewFailures(most, c.now) }

func TestFailedLoginsAreCountedByNetworkAndMinute(t *testing.T) {
	clock := &wallClock{at: time.Unix(1e9, 0)}
	l := newFailedLogins(2, clock)
	for i, step := range []struct {
		after   time.Duration
		address string
		over    bool
		first   bool
	}{
		{0, "192.0.2.1", false, false},
		{0, "192.0.2.1", false, false},
		{0, "192.0.2.1", true, true},
		{0, "192.0.2.1", true, false},
		{0, "192.0.2.2", false, false}, // another one
		{0, "2001:db8::1", false, false},
		{0, "2001:db8::2", false, false},
		{0, "2001:db8::3:4:5:6", true, true}, // the same /64
		{0, "2001:db8:0:1::1", false, false}, // another one
		{59 * time.Second, "192.0.2.1", true, false},
		{time.Second, "192.0.2.1", false, false}, // a minute after the first
		{0, "192.0.2.1", false, false},
		{0, "192.0.2.1", true, true},
		{-24 * time.Hour, "192.0.2.1", false, false}, // set back: not locked for a day
		{0, "192.0.2.1", false, false},
		{0, "192.0.2.1", true, true}, // nor free for one
		{48 * time.Hour, "192.0.2.1", false, false},
		{0, "192.0.2.1", false, false},
		{0, "192.0.2.1", true, true},
	} {
		clock.at = clock.at.Add(step.after)
		if got := l.Over(netip.MustParseAddr(step.address)); got != step.over {
			t.Errorf("step %d, %s: one more is over: %v", i, step.address, got)
		}
		over, first := l.Add(netip.MustParseAddr(step.address))
		if over != step.over || first != step.first {
			t.Errorf("step %d, %s: over %v, first %v", i, step.address, over, first)
		}
	}
}

// TestFailedLoginsAreBounded floods the table: it does not grow, and does not
// forget the one that guesses most.
func TestFailedLoginsAreBounded(t *testing.T) {
	clock := &wallClock{at: time.Unix(1e9, 0)}
	l := newFailedLogins(10, clock)
	guesser := netip.MustParseAddr("192.0.2.1")
	for range 11 {
		l.Add(guesser)
	}
	flood := func() {
		for i := range 10 * mostGuessers {
			l.Add(network(i))
			if len(l.seen) > mostGuessers {
				t.Fatalf("%d addresses are remembered", len(l.seen))
			}
		}
	}
	flood()
	if over, first := l.Add(guesser); !over || first {
		t.Error("a flood of other addresses made it forget the guesser")
	}
	clock.at = clock.at.Add(Window)
	flood()
	if over, _ := l.Add(guesser); over {
		t.Error("still over the limit a minute later")
	}
}

// network is the i-th /64 of many.
func network(i int) netip.Addr {
	var a [16]byte
	binary.BigEndian.PutUint64(a[:], 0x20010db8<<32|uint64(i))
	return netip.AddrFrom16(a)
}

func BenchmarkFailedLogins(b *testing.B) {
	for name, networks := range map[string]int{"one": 1, "many": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			l := NewFailures(1000, time.Now)
			b.ReportAllocs()
			for i := range b.N {
				l.Add(network(i % networks))
			}
		})
	}
}
