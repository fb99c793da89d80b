package receiver

import (
	"net"
	"sync"
)

// turns lets a few handshakes compute at a time, while any number of them wait for
// their peers. A handshake costs some half a millisecond of a processor, a webhook on
// an open connection a tenth of that: without turns thousands of connections that
// come at once are thousands of goroutines that can run, and every webhook queues
// behind all of them.
//
// The newest and the oldest are served in turn. When there are more than can be served
// in time, somebody has to wait: in the order of arrival that would be everybody, and
// with the newest first a few would wait until the last of the others has come.
type turns struct {
	mu      sync.Mutex
	free    int
	oldest  bool            // whose turn is next
	waiting []chan struct{} // the newest is the last
}

// take waits for a turn. Who has one computes and gives it back: it waits for nobody.
func (t *turns) take() {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	<-mine
}

func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.waiting) - 1
	if last < 0 {
		t.free++
		return
	}
	var next chan struct{}
	if t.oldest {
		next, t.waiting = t.waiting[0], t.waiting[1:]
	} else {
		next, t.waiting = t.waiting[last], t.waiting[:last]
	}
	t.oldest = !t.oldest
	close(next)
}

// handshaking is the connection under TLS. Until the handshake is done it has a turn
// whenever it is neither reading nor writing. One goroutine uses it then.
type handshaking struct {
	net.Conn
	turns *turns // nil once the handshake is done
	has   bool   // a turn
}

func (h *handshaking) Read(p []byte) (int, error) {
	if h.turns == nil {
		return h.Conn.Read(p)
	}
	h.give()
	n, err := h.Conn.Read(p)
	h.turns.take()
	h.has = true
	return n, err
}

// Write leaves what is done until the next Read without a turn: it is little.
func (h *handshaking) Write(p []byte) (int, error) {
	h.give()
	return h.Conn.Write(p)
}

func (h *handshaking) give() {
	if h.has {
		h.has = false
		h.turns.give()
	}
}

// done ends the taking of turns.
func (h *handshaking) done() {
	h.give()
	h.turns = nil
}
