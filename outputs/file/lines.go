package file

import (
	"bytes"
	"errors"

	"github.com/siemrelay/siemrelay/outputs"
)

// keepBuffer is how many bytes of buffer are kept between batches; more is
// given back after the batch that needed it.
const keepBuffer = 8 << 20

var errLineEnding = errors.New("the event contains a line ending: it would look like several events")

// lines joins the bodies of a batch, one to a line, in a buffer that it reuses.
type lines struct{ buf []byte }

// join returns the text of a batch behind prefix; it is valid until the next
// join. A body with a line ending in it would forge an event: it is left out,
// and the second result says so for each message. That result is nil otherwise.
func (l *lines) join(batch []outputs.Message, prefix string) ([]byte, *outputs.Partial) {
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	var refused *outputs.Partial
	buf := l.buf[:0]
	buf = append(buf, prefix...)
	for i, m := range batch {
		if bytes.IndexByte(m.Body, '\n') >= 0 || bytes.IndexByte(m.Body, '\r') >= 0 {
			if refused == nil {
				refused = &outputs.Partial{Results: make([]outputs.Result, len(batch))}
			}
			refused.Results[i] = outputs.Result{Status: outputs.Refused, Err: errLineEnding}
			continue
		}
		buf = append(buf, m.Body...)
		buf = append(buf, '\n')
	}
	l.buf = buf
	if len(buf) == len(prefix) {
		return nil, refused
	}
	return buf, refused
}
