package admin

import (
	"net"
	"testing"
)

// callers is a listener that connections come to from given addresses.
type callers struct {
	net.Listener // never asked
	conns        chan net.Conn
}

func (c *callers) Accept() (net.Conn, error) { return <-c.conns, nil }

// from is the server's end of a connection from an address.
type from struct {
	net.Conn
	address string
	closed  bool
}

func (f *from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.address), Port: 1} }
func (f *from) Close() error         { f.closed = true; return nil }

func TestConnectionsAreLimited(t *testing.T) {
	c := &callers{conns: make(chan net.Conn, 10)}
	l := limit(c)
	arrive := func(address string) *from {
		f := &from{address: address}
		c.conns <- f
		return f
	}
	accept := func() net.Conn {
		t.Helper()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	var first net.Conn
	for i := range maxConnections {
		arrive("192.0.2.1")
		if conn := accept(); i == 0 {
			first = conn
		}
	}
	tooMany, here := arrive("2001:db8::1"), arrive("127.0.0.1")
	if got := accept(); got != here || !tooMany.closed {
		t.Errorf("accepted %v; the one too many is closed: %v", got.RemoteAddr(), tooMany.closed)
	}
	if here.Close(); len(l.(*limitedListener).slots) != maxConnections {
		t.Error("a connection of this machine gave back what it had not taken")
	}
	first.Close()
	first.Close() // as net/http may
	next := arrive("192.0.2.2")
	if got := accept(); got.RemoteAddr().String() != "192.0.2.2:1" || next.closed || len(l.(*limitedListener).slots) != maxConnections {
		t.Errorf("after one ended, %v was accepted", got.RemoteAddr())
	}
}
