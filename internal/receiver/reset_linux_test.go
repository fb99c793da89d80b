package receiver_test

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keepingListener remembers the connection it accepted last.
type keepingListener struct {
	net.Listener
	conns chan *net.TCPConn
}

func (l *keepingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok {
		l.conns <- t
	}
	return c, err
}

// TestPeerResetsBeforeTheAnswer has a real peer that resets its connection while
// the store is at work. Once the kernel has the reset, the first write fails.
func TestPeerResetsBeforeTheAnswer(t *testing.T) {
	bothWays(t, func(t *testing.T, secure bool) {
		l := &keepingListener{Listener: listen(t), conns: make(chan *net.TCPConn, 1)}
		d := openOn(t, l, secure, nil)
		entered, release := make(chan struct{}), make(chan struct{})
		d.store.before = func([]byte) error {
			close(entered)
			<-release
			return nil
		}
		raw, err := net.Dial("tcp", d.Address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(over(raw, d.TLS), d.request(`{}`)); err != nil {
			t.Fatal(err)
		}
		<-entered
		if err := raw.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		raw.Close()
		served := <-l.conns
		eventually(t, "the reset has arrived", func() bool { return isReset(t, served) })
		close(release)
		d.shutdown(t)
		if lost := d.store.unanswered(); len(lost) != 1 || lost[0].Sequence != 1 {
			t.Errorf("unanswered %v", lost)
		}
	})
}

// isReset asks the kernel for the state of a connection that is in use.
func isReset(t *testing.T, c *net.TCPConn) bool {
	t.Helper()
	const tcpClose = 7 // include/net/tcp_states.h
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var failure error
	if err := rc.Control(func(fd uintptr) {
		info, failure = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || failure != nil {
		t.Fatal(err, failure)
	}
	return info.State == tcpClose
}

// TestPeerClosesBeforeTheAnswer documents the limit of what TCP tells: a close
// without a reset looks like the end of the peer's sending, so the answer is
// written, and taken for written.
func TestPeerClosesBeforeTheAnswer(t *testing.T) {
	d := open(t, false, nil)
	entered, release := make(chan struct{}), make(chan struct{})
	d.store.before = func([]byte) error {
		close(entered)
		<-release
		return nil
	}
	conn := dial(t, d, 20*time.Second)
	if _, err := io.WriteString(conn, d.request(`{}`)); err != nil {
		t.Fatal(err)
	}
	<-entered
	conn.Close()
	close(release)
	d.shutdown(t)
	if len(d.store.stored()) != 1 || len(d.store.unanswered()) != 0 {
		t.Errorf("%d stored, unanswered %v", len(d.store.stored()), d.store.unanswered())
	}
}
