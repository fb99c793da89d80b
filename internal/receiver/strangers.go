package receiver

import (
	"container/list"

	"github.com/valyala/fasthttp"
)

// strangers are the connections that have shown no login yet, the oldest first. When
// all of max_connections are open, a new one takes the place of the oldest stranger:
// otherwise whoever opens that many and says nothing would keep every sender out for
// the read timeout, again and again. A sender needs some milliseconds to show its
// login, and has them unless 4,096 others come meanwhile. Server.mu guards it.
type strangers struct {
	waiting list.List // of *conn
	cut     int       // those that were cut and have not ended yet
}

func (s *strangers) add(c *conn) { c.stranger = s.waiting.PushBack(c) }

// remove forgets one, if it is one.
func (s *strangers) remove(c *conn) {
	if c.stranger != nil {
		s.waiting.Remove(c.stranger)
		c.stranger = nil
	}
}

// makeRoom cuts the oldest stranger, unless there is none, or so many are on their
// way out already: one that waits for its turn in a handshake ends only after it. The
// caller holds s.mu.
func (s *Server) makeRoom() bool {
	oldest := s.strangers.waiting.Front()
	if oldest == nil || s.strangers.cut >= s.maxConnections {
		return false
	}
	c := oldest.Value.(*conn)
	s.strangers.remove(c)
	s.strangers.cut++
	s.served--
	c.cut = true
	c.raw.Close()
	s.metrics.refusedLimit.Inc()
	return true
}

// loginShown notes that the connection of ctx is no stranger's: its request passed
// the checks of the headers.
func (s *Server) loginShown(ctx *fasthttp.RequestCtx) {
	c, ok := ctx.Conn().(*conn)
	if !ok || c.shown {
		return
	}
	c.shown = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strangers.remove(c)
}
