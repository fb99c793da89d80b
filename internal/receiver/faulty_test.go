package receiver_test

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

// fault is what a faulty connection does with a write.
type fault int32

const (
	none fault = iota
	failing
	partial     // takes all but a byte
	mutePartial // the same, and says nothing
	closed      // its deadline can't be set
)

// faulty is a connection whose writes fail as its listener says.
type faulty struct {
	net.Conn
	fault *atomic.Int32
	until time.Time // the deadline of writes
	stale *atomic.Bool
}

func (c *faulty) SetWriteDeadline(t time.Time) error {
	if fault(c.fault.Load()) == closed {
		return net.ErrClosed
	}
	c.until = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *faulty) Write(p []byte) (int, error) {
	if time.Until(c.until) <= 0 {
		c.stale.Store(true)
	}
	switch fault(c.fault.Load()) {
	case failing, closed:
		return 0, errors.New("write: connection reset by peer")
	case partial:
		n, _ := c.Conn.Write(p[:len(p)-1])
		return n, errors.New("write: i/o timeout")
	case mutePartial:
		return c.Conn.Write(p[:len(p)-1])
	}
	return c.Conn.Write(p)
}

// faultyListener accepts faulty connections.
type faultyListener struct {
	net.Listener
	fault atomic.Int32 // of all of them
	stale atomic.Bool  // a write had no deadline, or one that was over
}

func (l *faultyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &faulty{Conn: c, fault: &l.fault, stale: &l.stale}, nil
}

// openFaulty opens a door whose connections fail as the listener says.
func openFaulty(t *testing.T, secure bool, change func(*receiver.Options)) (*door, *faultyListener) {
	t.Helper()
	l := &faultyListener{Listener: listen(t)}
	return openOn(t, l, secure, change), l
}

// pipes is a listener of one connection, whose other end is given away. It has
// no buffer: what is not read is not written.
type pipes struct {
	net.Listener
	conns chan net.Conn
}

func (p *pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p *pipes) Close() error {
	defer func() { _ = recover() }() // closed before
	close(p.conns)
	return p.Listener.Close()
}
