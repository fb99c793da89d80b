package receiver

import (
	"context"
	"fmt"
	"net"
	"time"
)

// sweepInterval is how often Shutdown looks whether requests are in hand.
const sweepInterval = 10 * time.Millisecond

// Shutdown stops accepting connections, answers the requests in hand and those
// that still come on open connections, closes each connection after its answer,
// and the idle ones once nothing is in hand. So every connection carries at most
// one more request, within the read timeout and the store's time. When ctx ends first it cuts what is
// left and returns an error. Every goroutine of the server has ended when it
// returns nil. Shutdown may be called more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginStop()
	done := make(chan struct{})
	go func() { // ends when the last connection does
		s.serving.Wait()
		close(done)
	}()
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		if !s.inHand() {
			s.closeIdle()
		}
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			left := s.cutAll()
			return fmt.Errorf("stop receiver with %d connections open: %w", left, ctx.Err())
		case <-tick.C:
		}
	}
}

func (s *Server) beginStop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isStopping() {
		close(s.stopping)
	}
	for ln := range s.listeners {
		ln.Close()
	}
}

func (s *Server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// inHand says whether any connection has a request under way.
func (s *Server) inHand() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.state.Load() == active {
			return true
		}
	}
	return false
}

// closeIdle closes the connections that wait for a request. One that gets its
// first byte at this very moment is either closed unread or served: whoever
// changes its state first decides.
func (s *Server) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.state.CompareAndSwap(idle, claimed) {
			c.raw.Close()
		}
	}
}

// cutAll closes all connections and returns how many there were.
func (s *Server) cutAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.Close()
	}
	return len(s.conns)
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isStopping() {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
	ln.Close()
}

// track makes c a connection that Shutdown waits for, unless the server is
// stopping or has limit connections of c's sort and no stranger can make room.
func (s *Server) track(c *conn, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isStopping() {
		return false
	}
	count := s.count(c)
	if *count >= limit && (c.turnedAway || !s.makeRoom()) {
		return false
	}
	*count++
	if !c.turnedAway {
		s.strangers.add(c)
	}
	s.conns[c] = struct{}{}
	s.serving.Add(1)
	return true
}

func (s *Server) untrack(c *conn) {
	s.mu.Lock()
	if c.cut {
		s.strangers.cut--
	} else {
		*s.count(c)--
	}
	s.strangers.remove(c)
	delete(s.conns, c)
	s.mu.Unlock()
	s.serving.Done()
}

// count returns the number of connections of c's sort. The caller holds s.mu.
func (s *Server) count(c *conn) *int {
	if c.turnedAway {
		return &s.turnedAway
	}
	return &s.served
}

// open returns the number of connections that are being served.
func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served
}
