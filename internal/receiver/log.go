package receiver

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// loginFailed counts a failed login, says what it is answered with, and logs it
// with its address, at most once a minute for each. Nothing of what was sent is
// logged: a mistyped password is nearly one.
func (s *Server) loginFailed(ctx *fasthttp.RequestCtx) outcome {
	c, ok := ctx.Conn().(*conn)
	if !ok {
		return unauthorized
	}
	if s.failureLog.Allow(c.address) {
		s.logger.Warn("login failed; more from this address within a minute are counted, not logged", "address", c.address)
	}
	over, first := s.failedLogins.Add(c.address)
	if first {
		s.logger.Warn("too many failed logins, answering 429 to more of them for the rest of the minute", "address", c.address, "failures", s.failedLogins.Most())
	}
	if over {
		return tooManyLogins
	}
	return unauthorized
}

// panicked counts and logs a panic. It is called while panicking.
func (s *Server) panicked(doing string, v any) {
	s.metrics.panics.Inc()
	s.logger.Error("panic caught", "doing", doing, "panic", v, "stack", string(debug.Stack()))
}

// catch, deferred, ends a panic.
func (s *Server) catch(doing string) {
	if v := recover(); v != nil {
		s.panicked(doing, v)
	}
}

// answerPanic, deferred, turns a panic into a 503.
func (s *Server) answerPanic(ctx *fasthttp.RequestCtx, doing string) {
	if v := recover(); v != nil {
		s.panicked(doing, v)
		if c, ok := ctx.Conn().(*conn); ok {
			c.forsake()
		}
		ctx.Response.Reset()
		s.reply(ctx, internalError)
	}
}

// unanswered tells the store, and counts it.
func (s *Server) unanswered(r Receipt) {
	defer s.catch("tell the store of an unanswered event")
	s.metrics.unanswered.Inc()
	s.store.Unanswered(r)
}

// outage logs the first of a run of failures to store, and its end.
type outage struct {
	logger *slog.Logger
	failed atomic.Int64 // failures since the outage began
}

func (o *outage) report(err error) {
	if err == nil {
		if o.failed.Load() > 0 {
			if n := o.failed.Swap(0); n > 0 {
				o.logger.Info("storing webhooks again", "refused", n)
			}
		}
		return
	}
	if o.failed.Add(1) == 1 {
		o.logger.Error("can't store webhooks, answering 503 until it works again", "error", err)
	}
}

// quiet is fasthttp's logger: what it would say stands in the answers and the
// metrics already, and may quote what a client sent.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
