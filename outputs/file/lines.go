package file

import (
	"bytes"
	"errors"
	"io"

	"github.com/siemrelay/siemrelay/outputs"
)

// keepBuffer is how many bytes of buffer are kept between batches; more is
// given back after the batch that needed it.
const keepBuffer = 8 << 20

var errLineEnding = errors.New("the event contains a line ending: it would look like several events")

// checkLines returns how many bytes the bodies of a batch are, one to a line. A body
// with a line ending in it would forge an event: it is left out, and the second result
// says so for each message. That result is nil otherwise.
func checkLines(batch []outputs.Message) (size int, refused *outputs.Partial) {
	for i, m := range batch {
		if bytes.IndexByte(m.Body, '\n') >= 0 || bytes.IndexByte(m.Body, '\r') >= 0 {
			if refused == nil {
				refused = &outputs.Partial{Results: make([]outputs.Result, len(batch))}
			}
			refused.Results[i] = outputs.Result{Status: outputs.Refused, Err: errLineEnding}
			continue
		}
		size += len(m.Body) + 1
	}
	return size, refused
}

// lines joins bodies in a buffer that it reuses.
type lines struct{ buf []byte }

// join returns the text of a batch behind prefix; it is valid until the next
// join. The second result is that of checkLines.
func (l *lines) join(batch []outputs.Message, prefix string) ([]byte, *outputs.Partial) {
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	size, refused := checkLines(batch)
	if size == 0 {
		return nil, refused
	}
	l.buf = append(l.buf[:0], prefix...)
	for i, m := range batch {
		if refused == nil || refused.Results[i].Err == nil {
			l.buf = append(append(l.buf, m.Body...), '\n')
		}
	}
	return l.buf, refused
}

// write writes the text of a batch in pieces of about writePiece, so that the buffer
// need not be as long as the batch. What was refused is left out.
func (l *lines) write(w io.Writer, batch []outputs.Message, refused *outputs.Partial) error {
	l.buf = l.buf[:0]
	for i, m := range batch {
		if refused != nil && refused.Results[i].Err != nil {
			continue
		}
		if len(l.buf)+len(m.Body) >= writePiece {
			if err := l.flush(w); err != nil {
				return err
			}
		}
		l.buf = append(append(l.buf, m.Body...), '\n')
	}
	err := l.flush(w)
	if cap(l.buf) > 2*writePiece {
		l.buf = nil
	}
	return err
}

func (l *lines) flush(w io.Writer) error {
	if len(l.buf) == 0 {
		return nil
	}
	n, err := w.Write(l.buf)
	if err == nil && n < len(l.buf) {
		err = io.ErrShortWrite
	}
	l.buf = l.buf[:0]
	return err
}
