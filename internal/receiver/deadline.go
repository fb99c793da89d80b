package receiver

import "time"

// deadline is one of a connection's, for reads or for writes. To move one costs more than
// to read a webhook that is there, and every request asks for three. So it is moved when
// something is about to wait for it, and further than was asked, so that the next few need
// not move it: a deadline may be late by a sixteenth of the shortest timeout.
type deadline struct {
	wanted time.Time // none: zero
	set    time.Time // what the connection has
	slack  time.Duration
}

// move returns what a connection's deadline is to be set to so that it is t, or a little
// later; moved is false if it is that already.
func (d *deadline) move(t time.Time) (to time.Time, moved bool) {
	if t.IsZero() && d.set.IsZero() {
		return t, false
	}
	if ahead := d.set.Sub(t); !t.IsZero() && 0 <= ahead && ahead <= d.slack {
		return d.set, false
	}
	if !t.IsZero() {
		t = t.Add(d.slack)
	}
	d.set = t
	return t, true
}

// SetReadDeadline notes the deadline of the reads that follow. It leaves awaitRequest's as
// it is until what that read is taken.
func (c *conn) SetReadDeadline(t time.Time) error {
	if !c.opening.pending {
		c.reads.wanted = t
	}
	return nil
}

// read reads from the connection itself, within the deadline.
func (c *conn) read(p []byte) (int, error) {
	if t, moved := c.reads.move(c.reads.wanted); moved {
		if err := c.Conn.SetReadDeadline(t); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}
