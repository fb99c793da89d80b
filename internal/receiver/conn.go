package receiver

import (
	"bytes"
	"container/list"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// lingerTime is how long a refused sender may go on sending before the
	// connection is cut. See conn.linger.
	lingerTime = time.Second
	// lingerBytes is what it may send meanwhile, on top of one max_body.
	lingerBytes = 64 << 10
)

// The states of a connection, for Shutdown. Only Shutdown sets claimed.
const (
	idle    uint32 = iota // no byte of a request has been read
	active                // a request is being read, handled or answered
	claimed               // was idle, Shutdown is closing it
)

var errBareLineFeed = errors.New("the request line ends in a bare line feed")

// conn is one accepted connection as fasthttp sees it. Its fields belong to
// the goroutine that serves it, but for raw, turnedAway and state.
type conn struct {
	net.Conn // what is read and written: raw itself, or TLS over it

	raw        net.Conn
	address    netip.Addr // the peer, unmapped; invalid if it is not an IP address
	turnedAway bool       // it is over max_connections
	state      atomic.Uint32

	opening  opening
	line     requestLine
	shown    bool          // a login, by a request on it
	stranger *list.Element // in Server.strangers; guarded by Server.mu
	cut      bool          // to make room for another; guarded by Server.mu

	timedOut bool  // a read ran into its deadline
	broken   bool  // a read failed in another way
	lingers  bool  // Close lets the sender finish
	maxBody  int64 // what it may still send then, in bytes

	reads, writes deadline
	writeTimeout  time.Duration
	unanswered    func(Receipt)
	owed          Receipt // its answer has not been written yet
	owes          bool    // there is one
}

func (s *Server) newConn(raw net.Conn) *conn {
	return &conn{
		Conn: raw, raw: raw, address: peerAddress(raw), maxBody: s.bodies.max,
		reads: deadline{slack: s.slack}, writes: deadline{slack: s.slack},
		writeTimeout: s.writeTimeout, unanswered: s.unanswered,
	}
}

// Read adds to the connection's own Read the one check of framing that
// fasthttp's hooks can't make, and remembers how it failed: fasthttp hides the
// cause from errors.As in the errors of a chunked body.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.opening.take(p)
	if n == 0 && err == nil {
		n, err = c.read(p)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		var timeout net.Error
		c.timedOut = errors.As(err, &timeout) && timeout.Timeout()
		c.broken = !c.timedOut
	}
	if n > 0 && c.line.phase != lineDone {
		if err := c.line.watch(p[:n]); err != nil {
			return 0, err
		}
	}
	return n, err
}

// owe notes that the 200 for r is what will be written next.
func (c *conn) owe(r Receipt) { c.owed, c.owes = r, true }

// Write writes one answer, and tells the store if it fails and was a 200.
//
// Success means that the kernel has taken the answer, no more: TCP has no word
// for "the peer has read it". A peer that reset the connection before makes the
// write fail; of one that is gone without a word, or closed its side and answers
// our bytes with a reset, nothing is known until a later write, of which there
// is none. Then the sender's retry of an event is told by what the event is, or
// not at all.
func (c *conn) Write(p []byte) (int, error) {
	n, err := 0, error(nil)
	if t, moved := c.writes.move(time.Now().Add(c.writeTimeout)); moved {
		err = c.raw.SetWriteDeadline(t)
	}
	if err == nil {
		n, err = c.Conn.Write(p)
	}
	if err != nil || n < len(p) {
		c.forsake()
	}
	c.owes = false
	return n, err
}

// forsake gives up the answer that is owed, if one is.
func (c *conn) forsake() {
	if c.owes {
		c.owes = false // first: it is told once, whatever the store does
		c.unanswered(c.owed)
	}
}

// SetWriteDeadline does nothing: every Write has a deadline of its own.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// Close closes the connection, after lingering if that was asked for.
func (c *conn) Close() error {
	c.forsake()
	if c.lingers {
		c.lingers = false
		c.linger()
	}
	return c.Conn.Close()
}

// linger ends our side and throws away, unseen, what the peer still sends.
// Closing a TCP socket that holds unread bytes sends a reset, which can destroy
// an answer on its way: a sender that gets a 401 or a 413 while it is sending
// its body would see a broken connection instead (RFC 9112 section 9.6).
func (c *conn) linger() {
	deadline := time.Now().Add(lingerTime)
	if c.raw.SetDeadline(deadline) != nil {
		return
	}
	if t, ok := c.Conn.(*tls.Conn); ok && t.CloseWrite() != nil {
		return
	}
	half, ok := c.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	// Whether the peer finishes or is cut makes no difference: the caller
	// closes.
	_, _ = io.CopyN(io.Discard, c.raw, c.maxBody+lingerBytes)
}

// stateChanged is fasthttp's ConnState hook.
func stateChanged(nc net.Conn, to fasthttp.ConnState) {
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	switch to {
	case fasthttp.StateActive:
		c.state.CompareAndSwap(idle, active)
		c.line.requestBegun()
	case fasthttp.StateIdle:
		c.state.CompareAndSwap(active, idle)
		c.line.phase = lineExpected
	}
}

// requestLine watches that a request line ends in CRLF. fasthttp also takes a
// bare LF there (RFC 9112 section 2.2 lets it) and does not keep the line's
// ending, so the header checks can't see it; a proxy in front of us may see
// another line than we do. It judges what a read brings while no request is
// under way. A pipelined request, whose line came with the bytes of the one
// before, is not judged.
type requestLine struct {
	phase linePhase
	last  byte // the last byte seen of an unfinished line
}

type linePhase uint8

const (
	lineExpected linePhase = iota // the next read begins a request
	lineBlank                     // only empty lines so far
	lineBegun
	lineDone
)

func (l *requestLine) watch(p []byte) error {
	if l.phase != lineBegun {
		// Empty lines before a request are skipped, here as in fasthttp.
		if p = bytes.TrimLeft(p, "\r\n"); len(p) == 0 {
			l.phase = lineBlank
			return nil
		}
		l.phase = lineBegun
	}
	end := bytes.IndexByte(p, '\n')
	before := l.last
	if end > 0 {
		before = p[end-1]
	}
	if end < 0 {
		l.last = p[len(p)-1]
		return nil
	}
	l.phase = lineDone
	if before != '\r' {
		return errBareLineFeed
	}
	return nil
}

// requestBegun is called when fasthttp has the first byte of a request. If no
// read brought it, it is a pipelined one.
func (l *requestLine) requestBegun() {
	if l.phase == lineExpected {
		l.phase = lineDone
	}
}
