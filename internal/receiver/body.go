package receiver

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
)

const (
	// smallBody is the size up to which a body needs nothing from the budget:
	// all the webhooks of Defense.com but a few. Their memory is bounded by
	// max_connections.
	smallBody = 16 << 10
	// gzipHeader is the size of the shortest gzip header (RFC 1952 section 2.3).
	gzipHeader = 10
	// firstRead is the capacity a fresh buffer starts with.
	firstRead = 4 << 10
)

var errTooMuch = errors.New("more bytes arrived than a body may have")

// body is the buffer that one request's body is read into. It grows as bytes
// arrive, never ahead of them because of what a client declared.
type body struct {
	bytes    []byte
	reserved int64 // taken from the budget
	arrival  arrival
}

// bodies hands out bodies and holds their memory within bounds.
type bodies struct {
	max    int64 // max_body, in bytes, of the body as it came and as inflated
	budget *budget

	pool      sync.Pool // of *body
	inflaters sync.Pool // of *inflater
}

func newBodies(maxBody int64, b *budget) *bodies {
	p := &bodies{max: maxBody, budget: b}
	p.pool.New = func() any { return &body{bytes: make([]byte, 0, firstRead)} }
	p.inflaters.New = func() any { return &inflater{buffer: bufio.NewReaderSize(nil, firstRead)} }
	return p
}

func (p *bodies) acquire() *body { return p.pool.Get().(*body) }

// release ends the use of b and of its bytes.
func (p *bodies) release(b *body) {
	p.budget.give(b.reserved)
	b.reserved = 0
	b.arrival = arrival{}
	if cap(b.bytes) > smallBody+1 {
		return // a rare large body must not stay in memory for ever
	}
	b.bytes = b.bytes[:0]
	p.pool.Put(b)
}

// read reads the whole body of ctx into b. When it returns another outcome
// than undecided, or emptyBody, the rest of the body is unread and the
// connection can't be used again.
func (p *bodies) read(b *body, ctx *fasthttp.RequestCtx) outcome {
	stream := ctx.RequestBodyStream()
	if stream == nil {
		return emptyBody
	}
	in := &b.arrival
	*in = arrival{stream: stream, declared: int64(ctx.Request.Header.ContentLength()), max: p.max}
	var o outcome
	if isGzip(ctx.Request.Header.ContentEncoding()) {
		o = p.inflate(b, in)
	} else {
		o = p.fill(b, in, in.declared)
	}
	if in.failure != nil {
		return arrivalOutcome(ctx, in.failure)
	}
	return o
}

// fill reads src to its end. The expected number of bytes is -1 if unknown.
func (p *bodies) fill(b *body, src io.Reader, expected int64) outcome {
	limit, size := expected, expected
	if expected < 0 {
		limit, size = p.max+1, p.max // the one byte more tells "full" from "too large"
	}
	for {
		// Not before: a declaration alone must not use the budget up for others.
		if len(b.bytes) > smallBody && b.reserved == 0 && !p.reserve(b, size) {
			return tooBusy
		}
		if len(b.bytes) == cap(b.bytes) {
			b.grow(limit)
		}
		n, err := src.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if int64(len(b.bytes)) > p.max {
			return tooLarge
		}
		if err == io.EOF {
			return undecided
		}
		if err != nil {
			return damagedGzip // unless it is the arrival that failed: see read
		}
	}
}

func (p *bodies) reserve(b *body, n int64) bool {
	if !p.budget.take(n) {
		return false
	}
	b.reserved = n
	return true
}

// grow doubles the capacity of b, up to limit, and up to one byte more than a
// small body has as long as nothing is reserved.
func (b *body) grow(limit int64) {
	if b.reserved == 0 {
		limit = min(limit, smallBody+1)
	}
	size := min(2*int64(cap(b.bytes)), max(limit, int64(cap(b.bytes))+1))
	bigger := make([]byte, len(b.bytes), size)
	copy(bigger, b.bytes)
	b.bytes = bigger
}

// inflater is what gunzipping needs, some 45 KB, kept for reuse.
type inflater struct {
	buffer *bufio.Reader
	gzip   gzip.Reader
}

// inflate fills b with the inflated body. The compressed bytes are never held:
// they are inflated as they arrive. Concatenated members are one body (RFC 1952
// section 2.2); anything else after a member is damage.
func (p *bodies) inflate(b *body, in *arrival) outcome {
	z := p.inflaters.Get().(*inflater)
	z.buffer.Reset(in)
	defer func() {
		z.buffer.Reset(nil)
		p.inflaters.Put(z)
	}()
	// Should it turn out to be no gzip at all, its beginning is what there is.
	_, _ = z.buffer.Peek(gzipHeader) // an error comes back from Reset
	start, _ := z.buffer.Peek(z.buffer.Buffered())
	b.bytes = append(b.bytes, start...)
	err := z.gzip.Reset(z.buffer)
	if errors.Is(err, io.EOF) && in.received == 0 {
		return emptyBody
	}
	if err != nil {
		return damagedGzip
	}
	b.bytes = b.bytes[:0]
	return p.fill(b, &z.gzip, -1)
}

// arrival reads a body's bytes as they came, checks that all that were
// declared did come, and tells a failing connection from a bad payload.
type arrival struct {
	stream   io.Reader
	declared int64 // -1 for a chunked body
	received int64
	max      int64 // max_body: a gzip body may consist of millions of empty members
	failure  error // why the bytes stopped, unless at their end
}

func (a *arrival) Read(p []byte) (int, error) {
	n, err := a.stream.Read(p)
	a.received += int64(n)
	// fasthttp reports a cut body of known length as its end.
	if err == io.EOF && a.received < a.declared {
		err = io.ErrUnexpectedEOF
	}
	if a.received > a.max {
		err = errTooMuch
	}
	if err != nil && err != io.EOF {
		a.failure = err
	}
	return n, err
}

// arrivalOutcome says what the sender is told when its request stopped with err.
func arrivalOutcome(ctx *fasthttp.RequestCtx, err error) outcome {
	if errors.Is(err, errTooMuch) {
		return tooLarge
	}
	c, ok := ctx.Conn().(*conn)
	switch {
	case ok && c.timedOut:
		return timedOut
	case ok && c.broken, errors.Is(err, io.ErrUnexpectedEOF):
		return truncated
	}
	return malformed
}
