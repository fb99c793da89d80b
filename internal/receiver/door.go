package receiver

import (
	"bytes"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// The door: what each delivery gets, in the order of the checks. First come the
// two that happen before a byte is read, in admit (accept.go):
//
//	address not allowed         connection closed
//	too many connections        the oldest that has shown no login is closed for it;
//	                            without one, closed before TLS, 503 on plain HTTP
//
// then those of checkHeaders, from the headers alone, before any of the body is
// waited for; then those of checkBody. What fasthttp refuses itself (malformed
// HTTP, oversized headers, a stalled request) comes through readFailed.
//
// A server that is stopping makes no difference to a request, but that its
// connection is closed after it: the store decides whether it still takes events,
// and a retry of one that it has gets its 200.

// checkHeaders is called as soon as the headers of a request are there.
func (s *Server) checkHeaders(h *fasthttp.RequestHeader) outcome {
	switch {
	case !s.knownVersion(h):
		return unsupportedVersion // 505
	case !wellFramed(h.RawHeaders()), !originForm(h.RequestURI()):
		return malformed // 400
	case !bytes.Equal(pathOf(h.RequestURI()), s.path):
		return wrongPath // 404
	case !h.IsPost():
		return wrongMethod // 405
	case s.logins != nil && !authorized(s.logins, h):
		return unauthorized // 401, or 429 when there were too many: see refuse
	case !knownExpectation(h):
		return unsupportedExpectation // 417
	case !knownEncoding(h):
		return unsupportedEncoding // 415
	case int64(h.ContentLength()) > s.bodies.max:
		return tooLarge // 413, as declared
	case h.ContentLength() == noLength:
		return missingLength // 400
	}
	return undecided
}

// checkBody reads and checks the body, stores it, and returns the receipt if it
// was accepted.
func (s *Server) checkBody(ctx *fasthttp.RequestCtx) (Receipt, outcome) {
	b := s.bodies.acquire()
	defer s.bodies.release(b)
	o := s.bodies.read(b, ctx) // 413, 408, 503 when too much is in hand, 400
	var object []byte
	if o == undecided {
		object, o = checkObject(b.bytes) // 400
	}
	if o != undecided {
		s.keepRejected(ctx, o, b.bytes)
		return Receipt{}, o
	}
	// b goes back to its pool when this returns: Append has copied or written
	// the object by then, as its contract says.
	receipt, err := s.store.Append(object)
	if c, ok := ctx.Conn().(*conn); ok && err == nil {
		c.owe(receipt)
	}
	s.outage.report(err)
	if err != nil {
		return Receipt{}, notStored // 503
	}
	return receipt, accepted // 200
}

// headersReceived is fasthttp's HeaderReceived hook. Of a refused request the
// body must be neither waited for nor read, and no "100 Continue" be sent;
// fasthttp has no word for that, so the request is made one without a body and
// without an expectation, and the refusal travels to handle in its method.
func (s *Server) headersReceived(h *fasthttp.RequestHeader) (config fasthttp.RequestConfig) {
	o := internalError
	defer func() {
		if v := recover(); v != nil {
			s.panicked("check headers", v)
		}
		if o != undecided {
			markRefused(h, o)
		}
	}()
	o = s.checkHeaders(h)
	return config
}

// handle is fasthttp's request handler.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	defer s.answerPanic(ctx, "handle request")
	// This sets no deadline (see conn.SetWriteDeadline). It makes fasthttp write
	// this answer by itself and at once, instead of together with those to
	// pipelined requests: so a write is for one receipt, whole.
	_ = ctx.SetWriteDeadline(time.Time{}) // it fails only without a connection
	o, refused := refusal(&ctx.Request.Header)
	if refused {
		ctx.SetConnectionClose() // its body, if there is one, is unread
		ctx.Response.SkipBody = wasHead(&ctx.Request.Header)
		s.refuse(ctx, o)
		return
	}
	s.loginShown(ctx)
	receipt, o := s.checkBody(ctx)
	if s.isStopping() {
		ctx.SetConnectionClose()
	}
	if o == accepted {
		s.replyAccepted(ctx, receipt)
		return
	}
	s.reply(ctx, o)
}

// refuse answers what checkHeaders refused.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, o outcome) {
	switch o {
	case unauthorized:
		o = s.loginFailed(ctx) // checkHeaders does not know the address
	case missingLength:
		s.keepRejected(ctx, o, nil)
	}
	s.reply(ctx, o)
}

// readFailed is fasthttp's ErrorHandler: err is why it could not read a request.
// The request is not to be trusted, but for a refusal that stands in it.
func (s *Server) readFailed(ctx *fasthttp.RequestCtx, err error) {
	defer s.answerPanic(ctx, "answer unreadable request")
	if o, refused := refusal(&ctx.Request.Header); refused {
		s.refuse(ctx, o)
		return
	}
	s.reply(ctx, s.failureOutcome(ctx, err))
}

func (s *Server) failureOutcome(ctx *fasthttp.RequestCtx, err error) outcome {
	var small *fasthttp.ErrSmallBuffer
	if errors.As(err, &small) {
		return headersTooLarge
	}
	return arrivalOutcome(ctx, err)
}

// A refused request's method is refusedMethod, a letter for the outcome, and
// one for HEAD. No client can send that: a method is a token (RFC 9110 section
// 9.1), and fasthttp refuses any other. They are letters because fasthttp
// replaces CR and LF in what it is given.
const (
	refusedMethod = 0
	firstLetter   = 'A'
)

func markRefused(h *fasthttp.RequestHeader, o outcome) {
	head := byte('-')
	if h.IsHead() {
		head = 'H'
	}
	h.SetMethodBytes([]byte{refusedMethod, firstLetter + byte(o), head})
	h.Del(fasthttp.HeaderExpect)
	h.SetContentLength(0)
}

func refusal(h *fasthttp.RequestHeader) (outcome, bool) {
	m := h.Method()
	if len(m) != 3 || m[0] != refusedMethod {
		return undecided, false
	}
	return outcome(m[1] - firstLetter), true
}

func wasHead(h *fasthttp.RequestHeader) bool { return h.Method()[2] == 'H' }

// noLength is fasthttp's ContentLength of a request with neither a
// Content-Length nor a Transfer-Encoding. It has no body (RFC 9112 section
// 6.3), and the connection is closed after the answer, in case its sender
// thinks otherwise.
const noLength = -2

func (s *Server) knownVersion(h *fasthttp.RequestHeader) bool {
	v := string(h.Protocol())
	return v == "HTTP/1.1" || v == "HTTP/1.0"
}

// originForm says whether a request target is a path (RFC 9112 section 3.2.1).
// The absolute form is for proxies, and another host could stand in it than in
// the Host field. The asterisk of OPTIONS is no danger: it is no path of ours.
func originForm(target []byte) bool {
	return len(target) > 0 && (target[0] == '/' || string(target) == "*")
}

// pathOf cuts the query off. A path must match byte for byte: no other way to
// write it is the configured one. A query is ignored, because some people mark
// the URLs they hand out with one, and a refused alert is lost.
func pathOf(target []byte) []byte {
	path, _, _ := bytes.Cut(target, []byte{'?'})
	return path
}

// knownExpectation says whether there is no expectation, or 100-continue, the
// only one there is (RFC 9110 section 10.1.1).
func knownExpectation(h *fasthttp.RequestHeader) bool {
	for _, e := range h.PeekAll(fasthttp.HeaderExpect) {
		if !isField(e, "100-continue") {
			return false
		}
	}
	return true
}

// knownEncoding says whether the body is gzip or as it is. x-gzip and identity
// are other names of these (RFC 9110 section 8.4.1); two layers are refused,
// whether they stand in one field or in two.
func knownEncoding(h *fasthttp.RequestHeader) bool {
	fields := h.PeekAll(fasthttp.HeaderContentEncoding)
	if len(fields) == 0 {
		return true
	}
	if len(fields) > 1 {
		return false
	}
	return len(fields[0]) == 0 || isField(fields[0], "identity") || isGzip(fields[0])
}

func isGzip(encoding []byte) bool {
	return isField(encoding, "gzip") || isField(encoding, "x-gzip")
}
