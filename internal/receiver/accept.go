package receiver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

const (
	// maxTurnedAway is how many connections over the limit get an answer at the
	// same time; more are just closed.
	maxTurnedAway = 64

	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// ErrStopped is returned by Serve after Shutdown was called.
var ErrStopped = errors.New("serve webhooks: the receiver was shut down")

// Serve accepts connections from ln, a plain TCP listener also if the server
// has a certificate, until Shutdown, then returns nil. It closes ln. A failing
// accept (out of file descriptors, for example) makes it pause and try again;
// only a listener that somebody else closed makes it return an error.
func (s *Server) Serve(ln net.Listener) error {
	if !s.addListener(ln) {
		ln.Close()
		return ErrStopped
	}
	defer s.removeListener(ln)
	pause := time.Duration(0)
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			if pause > 0 {
				s.logger.Info("accepting connections again")
				pause = 0
			}
			s.admit(c)
		case s.isStopping():
			return nil
		case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
			return fmt.Errorf("accept connection on %s: %w", ln.Addr(), err)
		default:
			s.metrics.acceptErrors.Inc()
			if pause == 0 {
				s.logger.Error("can't accept connections, trying again", "error", err)
			}
			pause = min(max(2*pause, shortestPause), longestPause)
			s.sleep(pause)
		}
	}
}

// sleep returns early when the server stops.
func (s *Server) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stopping:
	}
}

// admit makes the two checks that need no byte of the connection, and serves it
// in a goroutine of its own, which Shutdown waits for.
func (s *Server) admit(raw net.Conn) {
	c := s.newConn(raw)
	if !s.allowed(c.address) {
		s.metrics.refusedAddress.Inc()
		if s.foreignAddress.Allow(c.address) {
			s.logger.Warn("connection from an address outside allow", "address", c.address)
		}
		raw.Close()
		return
	}
	if s.track(c, s.maxConnections) {
		go s.run(c, func() { s.serve(c) })
		return
	}
	if s.isStopping() {
		raw.Close()
		return
	}
	s.metrics.refusedLimit.Inc()
	s.turnAway(c)
}

func (s *Server) allowed(a netip.Addr) bool {
	if len(s.allow) == 0 {
		return true
	}
	for _, p := range s.allow {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// turnAway closes a connection over max_connections. On plain HTTP it says why
// first, in a goroutine that ends within about lingerTime; Shutdown waits for it.
func (s *Server) turnAway(c *conn) {
	c.turnedAway = true
	if s.certificate != nil || !s.track(c, maxTurnedAway) {
		c.raw.Close()
		return
	}
	go s.run(c, func() { s.answerRaw(c, tooManyConnections) })
}

// answerRaw answers a connection that is none of fasthttp's, and closes it.
func (s *Server) answerRaw(c *conn, o outcome) {
	defer c.Close()
	s.metrics.reject(o)
	if c.raw.SetWriteDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	if _, err := c.raw.Write(s.answers[o].wire()); err == nil {
		c.lingers = true
	}
}

// run does all of the work on a tracked connection and closes it. A panic, in
// fasthttp or in anything that its hooks don't catch, costs this connection and
// nothing else.
func (s *Server) run(c *conn, work func()) {
	defer s.untrack(c)
	defer c.raw.Close()
	defer c.forsake() // of what fasthttp wrote no answer for
	defer s.catch("serve connection")
	work()
}

func (s *Server) serve(c *conn) {
	if s.certificate != nil && !s.handshake(c) {
		return
	}
	c.awaitRequest(s.readTimeout)
	// The error says how the connection ended, which the answers and the
	// metrics have already said.
	_ = s.http.ServeConn(c)
}

// handshake puts TLS over c. A client that stalls, or speaks something else, is
// cut.
func (s *Server) handshake(c *conn) bool {
	h := &handshaking{Conn: c.raw, turns: &s.handshakes}
	defer h.done() // after a panic
	t := tls.Server(h, s.certificate.Config())
	err := c.raw.SetDeadline(time.Now().Add(s.readTimeout))
	if err == nil {
		err = t.HandshakeContext(context.Background()) // the deadline ends it
	}
	h.done() // before an answer that the peer takes its time to read
	if err == nil {
		c.Conn = t
		return c.raw.SetDeadline(time.Time{}) == nil
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
		s.answerRaw(c, plainHTTP)
		return false
	}
	if !errors.Is(err, io.EOF) && !s.isStopping() { // EOF: a port scan, or a load balancer's look
		s.metrics.handshakeErrors.Inc()
		if s.badHandshakes.Allow(c.address) {
			s.logger.Info("TLS handshake failed", "address", c.address, "error", err)
		}
	}
	return false
}

// looksLikeHTTP recognises the start of a request line in what should have been
// a TLS record.
func looksLikeHTTP(header [5]byte) bool {
	for _, c := range header {
		if (c < 'A' || c > 'Z') && c != ' ' && c != '/' {
			return false
		}
	}
	return true
}

// peerAddress returns the IP address of the peer, and an invalid one if there
// is none.
func peerAddress(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
