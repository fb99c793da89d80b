package admin

import (
	"net"
	"sync"
)

// maxConnections is how many connections from other machines there are at once. More
// would take the file descriptors that the door and the spool need.
const maxConnections = 256

// limitedListener closes connections over the limit at once. Those of this machine don't count,
// so that a health check gets through while others take all there is.
type limitedListener struct {
	net.Listener
	slots chan struct{} // has one element for each connection that counts
}

func limit(ln net.Listener) net.Listener {
	return &limitedListener{ln, make(chan struct{}, maxConnections)}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || isLocal(c) {
			return c, err
		}
		select {
		case l.slots <- struct{}{}:
			return &countedConn{Conn: c, slots: l.slots}, nil
		default:
			c.Close()
		}
	}
}

func isLocal(c net.Conn) bool {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// countedConn gives its slot back when it is closed.
type countedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}
