package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// connection sends webhooks one after the other, each when the last is answered. One
// goroutine uses it.
type connection struct {
	g       *Generator
	request []byte // head and body
	id      []byte // the part of request that is the record's id

	conn   net.Conn // nil: there is none
	in     *bufio.Reader
	forget func() bool // ends what waits for the end of the context
	until  time.Time   // the deadline that conn has
	answer fasthttp.Response

	acknowledged, duplicates, failed int64
	refused                          map[int]int64
	failure                          error
	latency                          Histogram
	ids                              []byte // lines for Options.Acknowledged
}

func (g *Generator) newConnection() *connection {
	c := &connection{g: g, refused: map[int]int64{}, in: bufio.NewReaderSize(nil, 4<<10)}
	c.request = append(bytes.Clone(g.head), g.body...)
	at := len(g.head) + g.idAt
	c.id = c.request[at : at+len(Placeholder)]
	return c
}

// exchange sends the webhook and reads the answer: its status, and what stands in it,
// which is good until the next one. After an error there is a new connection.
func (c *connection) exchange(ctx context.Context) (status int, answer []byte, err error) {
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return 0, nil, err
		}
	}
	if err := c.extend(ctx); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, nil, err
	}
	if err := c.answer.Read(c.in); err != nil {
		return 0, nil, err
	}
	if c.g.o.NewConnections || c.answer.ConnectionClose() {
		c.close()
	}
	return c.answer.StatusCode(), c.answer.Body(), nil
}

// grace is how long an answer is waited for when the context has ended.
const grace = time.Second

// dial opens the connection. When ctx ends, what goes on over it has grace left.
func (c *connection) dial(ctx context.Context) error {
	c.until = time.Now().Add(c.g.o.Timeout)
	d := net.Dialer{Deadline: c.until}
	conn, err := d.DialContext(ctx, "tcp", c.g.address)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(c.until); err != nil {
		conn.Close()
		return err
	}
	if c.g.o.TLS != nil {
		secure := tls.Client(conn, c.g.o.TLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return err
		}
		conn = secure
	}
	c.forget = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(grace)) }) // it fails only once closed
	c.conn = conn
	c.in.Reset(conn)
	return nil
}

// extend gives the next webhook its time. A deadline costs, so one serves until a
// quarter of it is gone.
func (c *connection) extend(ctx context.Context) error {
	now := time.Now()
	if c.until.Sub(now) > c.g.o.Timeout-c.g.o.Timeout/4 {
		return nil
	}
	c.until = now.Add(c.g.o.Timeout)
	if err := c.conn.SetDeadline(c.until); err != nil {
		return err
	}
	return ctx.Err() // it may have ended before, and set a sooner one
}

func (c *connection) close() {
	if c.conn != nil {
		c.forget()
		c.conn.Close()
		c.conn = nil
	}
}

// acknowledge notes the ids of a webhook that was acknowledged with that answer.
func (c *connection) acknowledge(answer []byte) {
	c.acknowledged++
	if bytes.Contains(answer, []byte(`"duplicate":true`)) {
		c.duplicates++
	}
	if c.g.out == nil {
		return
	}
	event, _, found := bytes.Cut(after(answer, `"id":"`), []byte(`"`))
	if !found || len(event) == 0 {
		event = []byte("-")
	}
	c.ids = append(c.ids, event...)
	c.ids = append(c.ids, ' ')
	c.ids = append(c.ids, c.id...)
	c.ids = append(c.ids, '\n')
}

func after(text []byte, mark string) []byte {
	_, rest, _ := bytes.Cut(text, []byte(mark))
	return rest
}
