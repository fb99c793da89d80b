package receiver

import "time"

// opening is the first byte of a connection, which is read before fasthttp gets the
// connection: fasthttp has buffers of some 20 KB for each one that it waits for, and
// an idle connection needs none. Between the requests of a connection it keeps them;
// so far comes only who knows a login.
type opening struct {
	first   [1]byte
	n       int
	err     error
	pending bool // it has not been handed on yet
}

// awaitRequest waits for the first byte, until the timeout, which stays the deadline
// for the headers and body behind it. What came, or why nothing did, is what the next
// Read returns.
func (c *conn) awaitRequest(timeout time.Duration) {
	o := &c.opening
	c.reads.wanted = time.Now().Add(timeout)
	o.n, o.err = c.read(o.first[:])
	o.pending = true
}

// take returns what awaitRequest read, once.
func (o *opening) take(p []byte) (int, error) {
	if !o.pending {
		return 0, nil
	}
	o.pending = false
	return copy(p, o.first[:o.n]), o.err
}
