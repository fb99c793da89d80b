package syslog

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// encoder writes messages as they go over the wire. It keeps buffers, so one
// goroutine at a time uses it.
type encoder struct {
	header  header
	limit   int
	framing framing
	cutter  cutter
	clean   []byte
	message []byte
}

// framing is how a stream tells where a message ends.
type framing uint8

const (
	unframed framing = iota // a datagram or RELP, which have their own
	octetCounting
	newline
	// byEvent is octet counting for JSON and newline for the rest, as receivers of
	// CEF over TCP expect.
	byEvent
)

func framingOf(c Config, t target) framing {
	switch {
	case t.scheme == "udp" || t.relp():
		return unframed
	case c.Framing == "newline":
		return newline
	case c.Framing == "octet-counting" || t.scheme == "tls":
		return octetCounting
	}
	return byEvent
}

func limitOf(c Config, t target) int {
	switch {
	case c.MaxMessageSize > 0:
		return int(c.MaxMessageSize)
	case t.scheme == "udp":
		return udpMessage
	}
	return streamMessage
}

func newEncoder(c Config, t target, o Options) *encoder {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Hostname == "" {
		o.Hostname, _ = os.Hostname() // none is "-" in the header
	}
	return &encoder{header: newHeader(c, o.Hostname, o.Zone), limit: limitOf(c, t), framing: framingOf(c, t)}
}

// append writes m, framed.
func (e *encoder) append(dst []byte, m *outputs.Message) []byte {
	text := e.encode(m)
	f := e.framing
	if f == byEvent {
		f = newline
		if isJSON(m.Body) {
			f = octetCounting
		}
	}
	if f == octetCounting {
		dst = append(strconv.AppendInt(dst, int64(len(text)), 10), ' ')
	}
	dst = append(dst, text...)
	if f == newline {
		dst = append(dst, '\n')
	}
	return dst
}

// encode returns the message without framing: at most limit bytes, valid until the
// next call.
func (e *encoder) encode(m *outputs.Message) []byte {
	json := isJSON(m.Body)
	body := m.Body
	if dirty(body) < len(body) {
		e.clean = appendClean(e.clean[:0], body, json)
		body = e.clean
	}
	tag := !bytes.HasPrefix(body, []byte("CEF:"))
	e.message = e.header.append(e.message[:0], m, false, tag)
	if len(e.message)+len(body) <= e.limit {
		e.message = append(e.message, body...)
		return e.message
	}
	e.message = e.header.append(e.message[:0], m, true, tag)
	e.message = e.cutter.append(e.message, body, e.limit-len(e.message))
	return e.message
}

// isJSON tells JSON from CEF and other text: an event in JSON is an object.
func isJSON(body []byte) bool { return len(body) > 0 && body[0] == '{' }
