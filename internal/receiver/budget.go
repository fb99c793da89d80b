package receiver

import (
	"sync"
	"time"
)

// budget limits the bytes that all large bodies in hand may take together.
// Who asks for more than is left waits its turn, first come, first served, so
// that a burst of large bodies is slowed down before any of it is refused.
type budget struct {
	total int64
	wait  time.Duration // the longest wait

	mu      sync.Mutex
	used    int64
	waiting []*claim
}

// claim is one waiting request for n bytes; granted is closed when it has them.
type claim struct {
	n       int64
	granted chan struct{}
}

// take reports whether it got n bytes, which give returns. It blocks for at
// most b.wait.
func (b *budget) take(n int64) bool {
	b.mu.Lock()
	if len(b.waiting) == 0 && b.used+n <= b.total {
		b.used += n
		b.mu.Unlock()
		return true
	}
	c := &claim{n: n, granted: make(chan struct{})}
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()

	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case <-c.granted:
		return true
	case <-timer.C:
		return b.withdraw(c)
	}
}

// withdraw takes a claim back; it reports true if the claim was granted before.
func (b *budget) withdraw(c *claim) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == c {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			b.grant() // those behind it may fit
			return false
		}
	}
	return true
}

func (b *budget) give(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.grant()
}

// grant serves the waiting while they fit. The caller holds b.mu.
func (b *budget) grant() {
	for len(b.waiting) > 0 && b.used+b.waiting[0].n <= b.total {
		b.used += b.waiting[0].n
		close(b.waiting[0].granted)
		b.waiting = b.waiting[1:]
	}
}

// inUse returns the bytes that are taken now.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
