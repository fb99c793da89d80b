package receiver

import (
	"time"

	"github.com/valyala/fasthttp"
)

// Rejected is a body that was refused for its own fault, by a sender whose
// login was right: somebody may want to see it, and take it in after all.
type Rejected struct {
	At      time.Time
	Address string // the peer's IP address, empty if it has none
	Reason  string // the value of the metric label "reason"
	// Body is what there was of the body, inflated if it was gzip, of damaged
	// gzip the part before the damage. It is valid during the call only.
	Body []byte
}

// keepRejected hands a refused body over, if it is of a kind that is kept.
// Nothing that goes wrong with that changes the answer.
func (s *Server) keepRejected(ctx *fasthttp.RequestCtx, o outcome, body []byte) {
	if s.rejects == nil || !s.answers[o].kept {
		return
	}
	defer s.catch("keep rejected body")
	r := Rejected{At: s.now(), Reason: s.answers[o].label, Body: body}
	if c, ok := ctx.Conn().(*conn); ok && c.address.IsValid() {
		r.Address = c.address.String()
	}
	s.rejects(r)
}
