package spool

import (
	"errors"
	"io"
)

// How much of a segment a scanner reads at once.
const (
	readChunk = 256 << 10
	skimChunk = 64 << 10
)

// scanner walks the good records of one segment file, in order of their place
// in it, and skips what is damaged. What it skipped shows as a gap in the
// sequences that it returns.
type scanner struct {
	file  File
	limit int64 // bytes of the file that may be read
	off   int64 // where the next record begins, if all is well
	buf   []byte
	base  int64 // offset of buf[0] in the file
	chunk int   // the least that is read at once, readChunk if 0
}

// next returns the next good record; io.EOF at the limit. The body is valid
// until the next call. After another error the call may be repeated.
func (sc *scanner) next() (header, []byte, error) {
	for {
		if sc.off >= sc.limit {
			return header{}, nil, io.EOF
		}
		b, err := sc.window(recordHeaderSize)
		if err != nil {
			return header{}, nil, err
		}
		h, err := parseHeader(b)
		if err == nil && int64(h.size()) > sc.limit-sc.off {
			err = errShort
		}
		if err != nil {
			if err := sc.resync(); err != nil {
				return header{}, nil, err
			}
			continue
		}
		if b, err = sc.window(h.size()); err != nil {
			return header{}, nil, err
		}
		b, body, err := parsePayload(b, h)
		sc.off += int64(h.size())
		if err == nil {
			e, _ := parseEnvelope(b)
			h.possibleRetry = e.possibleRetry
			return h, body, nil
		}
	}
}

// skim is next without the body, of which it reads no more than it must: it
// returns the header and the envelope. Neither has been checked against the payload,
// and a damaged body goes unnoticed.
func (sc *scanner) skim() (h header, envelope []byte, err error) {
	for {
		if sc.off >= sc.limit {
			return header{}, nil, io.EOF
		}
		b, err := sc.window(recordHeaderSize + envelopeSize)
		if err != nil {
			return header{}, nil, err
		}
		h, err := parseHeader(b)
		if err != nil || int64(h.size()) > sc.limit-sc.off {
			if err := sc.resync(); err != nil {
				return header{}, nil, err
			}
			continue
		}
		envelope = b[recordHeaderSize:min(recordHeaderSize+h.envelope, len(b))]
		sc.off += int64(h.size())
		sc.chunk = skimChunk
		if h.size() > skimChunk/4 {
			sc.chunk = 1 // the next header is far away
		}
		return h, envelope, nil
	}
}

// resync moves off behind the bad header at off, to the next good one or to the
// limit.
func (sc *scanner) resync() error {
	sc.off++
	for sc.limit-sc.off >= recordHeaderSize {
		b, err := sc.window(int(min(readChunk, sc.limit-sc.off)))
		if err != nil {
			return err
		}
		if i := findHeader(b); i >= 0 {
			sc.off += int64(i)
			return nil
		}
		sc.off += int64(max(1, len(b)-recordHeaderSize+1))
	}
	sc.off = sc.limit
	return nil
}

// window returns at least n bytes from off on, fewer only at the limit.
func (sc *scanner) window(n int) ([]byte, error) {
	if at := sc.off - sc.base; at >= 0 && at+int64(n) <= int64(len(sc.buf)) {
		return sc.buf[at:], nil
	}
	chunk := sc.chunk
	if chunk == 0 {
		chunk = readChunk
	}
	want := int(min(int64(max(n, chunk)), sc.limit-sc.off))
	if cap(sc.buf) < want || cap(sc.buf) > 2*max(want, readChunk) {
		sc.buf = make([]byte, max(want, readChunk))
	}
	sc.buf, sc.base = sc.buf[:want], sc.off
	got, err := sc.file.ReadAt(sc.buf, sc.off)
	sc.buf = sc.buf[:got]
	if err != nil && !errors.Is(err, io.EOF) {
		sc.buf = sc.buf[:0]
		return nil, err
	}
	if got < want {
		sc.limit = sc.off + int64(got) // the file is shorter than it was
	}
	return sc.buf, nil
}
