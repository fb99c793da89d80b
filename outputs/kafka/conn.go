package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/segmentio/kafka-go/protocol"
)

// conn is one connection to a broker, for one request at a time. After an error it
// is closed and can't be used again.
type conn struct {
	address string
	timeout time.Duration
	now     func() time.Time
	pc      *protocol.Conn
	used    time.Time
	until   time.Time // the login ends; zero if it does not
	closed  bool
	// numbered tells whether the broker gives out producer ids.
	numbered bool
}

// slack: a request gives up later than the broker by a slackth of the timeout.
const slack = 4

// brokerTimeout is how long a broker may wait for its replicas, in milliseconds.
func brokerTimeout(timeout time.Duration) int32 {
	return int32(min((timeout - timeout/slack).Milliseconds(), 1<<31-1))
}

// roundTrip sends a request and reads its answer. It never goes on longer than the
// timeout, and not after ctx ended; the connection is then closed, so that a late
// answer has nobody to confuse. The broker may still carry out what it has read.
func (c *conn) roundTrip(ctx context.Context, req protocol.Message) (m protocol.Message, err error) {
	if c.closed {
		return nil, net.ErrClosed
	}
	deadline := time.Now().Add(c.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = c.pc.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.pc.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		// The library's decoder panics on some answers that make no sense.
		if p := recover(); p != nil {
			err = fmt.Errorf("read the broker's answer: %v", p)
		}
		if !stop() {
			err = context.Cause(ctx)
		}
		if err != nil {
			c.close()
		}
	}()
	m, err = c.pc.RoundTrip(req)
	c.used = c.now()
	return m, err
}

func (c *conn) close() {
	if !c.closed {
		c.closed = true
		_ = c.pc.Close()
	}
}

const (
	// quiet is how long a connection may be unused before it is looked at.
	quiet = time.Second
	// listen is how long that takes where all is well.
	listen = time.Millisecond
)

// alive tells whether the connection can be used: whether it is open, its login lasts,
// and the broker, which ends idle connections and may have been restarted, has not hung up since.
func (c *conn) alive() bool {
	if c == nil || c.closed {
		return false
	}
	if !c.until.IsZero() && c.now().After(c.until) {
		c.close()
		return false
	}
	if c.now().Sub(c.used).Abs() < quiet {
		return true
	}
	_ = c.pc.SetReadDeadline(time.Now().Add(listen))
	_, err := c.pc.Peek(1)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return true
	}
	c.close()
	return false
}

// maxText bounds what a broker can write into an error, in bytes.
const maxText = 300

func clip(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	text = text[:maxText]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}
