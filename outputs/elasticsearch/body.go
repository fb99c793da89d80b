package elasticsearch

import (
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// buffers are what one Send leaves to the next, so that batches of the usual size cost
// no garbage. Between two Sends they refer to nothing of a batch, and what an unusual
// batch needed more than keepBytes or keepOps for is let go of.
type buffers struct {
	ops    []operation
	heads  []byte   // action lines
	parts  [][]byte // of the body of a bulk request
	packed appender // a body, compressed
	zip    *gzip.Writer
	reply  []byte
}

const (
	keepBytes = 2 << 20 // what 1,000 events are compressed to is a tenth of it
	keepOps   = 1 << 14
)

// rest lets go of the batch, and of what is unusually large.
func (b *buffers) rest() {
	clear(b.ops)
	clear(b.parts)
	if cap(b.ops) > keepOps {
		b.ops, b.parts, b.heads = nil, nil, nil
	}
	if cap(b.packed) > keepBytes {
		b.packed = nil
	}
	if cap(b.reply) > keepBytes {
		b.reply = nil
	}
}

// pack compresses parts. The level is the lowest: on documents it takes a quarter of
// the time of the usual one, and what is left of them is half as much again.
func (b *buffers) pack(parts [][]byte) ([]byte, error) {
	b.packed = b.packed[:0]
	if b.zip == nil {
		var err error
		if b.zip, err = gzip.NewWriterLevel(&b.packed, gzip.BestSpeed); err != nil {
			return nil, err
		}
	} else {
		b.zip.Reset(&b.packed)
	}
	for _, part := range parts {
		if _, err := b.zip.Write(part); err != nil {
			return nil, err
		}
	}
	if err := b.zip.Close(); err != nil {
		return nil, err
	}
	return b.packed, nil
}

// appender is a writer onto its own end.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// payload is the body of one request. A transport may go on reading a body after the
// request has failed or was answered early; the bytes are somebody else's then, so they
// are taken back before that.
type payload struct {
	size int64

	mu    sync.Mutex
	parts [][]byte // nil once they were taken back
}

func newPayload(parts [][]byte) *payload {
	p := &payload{parts: parts}
	for _, part := range parts {
		p.size += int64(len(part))
	}
	return p
}

// takeBack ends all reading: nobody looks at the bytes any more once it has returned.
func (p *payload) takeBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts = nil
}

// reader reads the payload from its beginning.
func (p *payload) reader() io.ReadCloser { return &payloadReader{payload: p} }

type payloadReader struct {
	payload *payload
	part    int // the first that was not read to its end
	at      int // how far it was
}

var errTakenBack = errors.New("the request is over")

// Read implements io.Reader.
func (r *payloadReader) Read(dst []byte) (n int, err error) {
	p := r.payload
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts == nil {
		return 0, errTakenBack
	}
	for n < len(dst) && r.part < len(p.parts) {
		part := p.parts[r.part]
		copied := copy(dst[n:], part[r.at:])
		n, r.at = n+copied, r.at+copied
		if r.at == len(part) {
			r.part, r.at = r.part+1, 0
		}
	}
	if n == 0 && len(dst) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (r *payloadReader) Close() error { return nil }

// readAll reads up to limit bytes behind dst, or says that there are more.
func readAll(r io.Reader, dst []byte, limit int) ([]byte, error) {
	dst = dst[:0]
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errReplySize
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
