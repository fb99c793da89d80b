package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/siemrelay/siemrelay/internal/sender"
)

// Options say what is sent where.
type Options struct {
	// URL is http:// or https://. No proxy is asked.
	URL string
	// Username is empty when the endpoint has no login.
	Username, Password string
	// TLS may trust a certificate of one's own; nil is the system's trust.
	TLS *tls.Config
	// Body is sent again and again. The Placeholder, which must stand in it once, is
	// replaced by an id that no other webhook has.
	Body []byte
	// Connections are open at once, at least 1.
	Connections int
	// NewConnections opens one for each webhook, as the vendor does.
	NewConnections bool
	// Rate is how many webhooks a second are due, over all connections; 0 sends the
	// next one when the last is answered. With a rate an answer's time counts from
	// when its webhook was due, not from when a connection was free for it.
	Rate float64
	// Duration ends the run; 0 leaves that to Count and the context.
	Duration time.Duration
	// Count is how many webhooks are sent at most; 0 is no limit.
	Count int64
	// Timeout bounds one webhook, 30 s if it is 0. It may end up to a quarter sooner.
	Timeout time.Duration
	// Acknowledged gets a line for each webhook that was acknowledged, the id of the
	// event ("-" if the answer tells none), a space, and the record's id; may be nil.
	Acknowledged io.Writer
}

// Report is what became of the webhooks of a run.
type Report struct {
	Acknowledged int64         // answered with 2xx
	Duplicates   int64         // of these, taken for a retry of another one
	Refused      map[int]int64 // answered otherwise, by status
	Failed       int64         // not answered: they may have been taken or not
	Failure      error         // of the first that failed
	Took         time.Duration // from the first webhook to the last answer
	Latency      *Histogram    // of all answers
}

// Sent is how many webhooks were sent, or tried to be.
func (r Report) Sent() int64 {
	n := r.Acknowledged + r.Failed
	for _, refused := range r.Refused {
		n += refused
	}
	return n
}

// Generator is one run.
type Generator struct {
	o       Options
	address string
	head    []byte // of each request
	body    []byte
	idAt    int // where the record's id is in body

	next         atomic.Int64
	acknowledged atomic.Int64
	ended        atomic.Bool
	began        time.Time

	mu     sync.Mutex
	out    *bufio.Writer // nil if nobody wants the ids
	outErr error
	report Report
}

// New checks the options. It dials nothing.
func New(o Options) (*Generator, error) {
	u, err := sender.ParseURL(o.URL)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Connections < 1:
		return nil, fmt.Errorf("check options: %d connections, there must be at least 1", o.Connections)
	case bytes.Count(o.Body, []byte(Placeholder)) != 1:
		return nil, fmt.Errorf("check options: the body must have %s in it once", Placeholder)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	g := &Generator{o: o, address: addressOf(u), body: bytes.Clone(o.Body), idAt: bytes.Index(o.Body, []byte(Placeholder))}
	var run [4]byte
	_, _ = rand.Read(run[:]) // it never fails
	hex.Encode(g.body[g.idAt+runAt:], run[:])
	if u.Scheme == "https" {
		g.o.TLS = tlsFor(o.TLS, u.Hostname())
	} else {
		g.o.TLS = nil
	}
	if o.Acknowledged != nil {
		g.out = bufio.NewWriterSize(o.Acknowledged, 256<<10)
	}
	g.head = g.makeHead(u)
	g.report = Report{Refused: map[int]int64{}, Latency: new(Histogram)}
	return g, nil
}

func addressOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func tlsFor(c *tls.Config, host string) *tls.Config {
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c
}

func (g *Generator) makeHead(u *url.URL) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", u.RequestURI(), u.Host, len(g.body))
	if g.o.Username != "" {
		login := base64.StdEncoding.EncodeToString([]byte(g.o.Username + ":" + g.o.Password))
		fmt.Fprintf(&b, "Authorization: Basic %s\r\n", login)
	}
	if g.o.NewConnections {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// Acknowledged is how many webhooks were acknowledged so far.
func (g *Generator) Acknowledged() int64 { return g.acknowledged.Load() }

// Run sends until the run is over or ctx ends, and returns once every webhook that was
// sent has its answer; when ctx ends, those without one have failed. The error says
// that the acknowledged ids could not be written. Run is called once.
func (g *Generator) Run(ctx context.Context) (Report, error) {
	g.began = time.Now()
	if g.o.Duration > 0 {
		timer := time.AfterFunc(g.o.Duration, func() { g.ended.Store(true) })
		defer timer.Stop()
	}
	defer context.AfterFunc(ctx, func() { g.ended.Store(true) })()
	var senders sync.WaitGroup
	for range g.o.Connections {
		c := g.newConnection()
		senders.Go(func() { // until the run is over, or ctx ends
			g.send(ctx, c)
			c.close()
			g.add(c)
		})
	}
	senders.Wait()
	g.report.Took = time.Since(g.began)
	if g.out != nil {
		g.outErr = errors.Join(g.outErr, g.out.Flush())
	}
	if g.outErr != nil {
		return g.report, fmt.Errorf("write acknowledged ids: %w", g.outErr)
	}
	return g.report, nil
}

// send sends one webhook after the other over c.
func (g *Generator) send(ctx context.Context, c *connection) {
	for !g.ended.Load() {
		n := g.next.Add(1) - 1
		if g.o.Count > 0 && n >= g.o.Count {
			return
		}
		due, ok := g.awaitTurn(ctx, n)
		if !ok {
			return
		}
		number(c.id, n)
		status, event, err := c.exchange(ctx)
		took := time.Since(due)
		switch {
		case err != nil:
			c.failed++
			if c.failure == nil {
				c.failure = err
			}
			c.close()
			pause(ctx) // nobody may be there: don't spin
		case status < 200 || status > 299:
			c.refused[status]++
			c.latency.Add(took)
		default:
			c.acknowledge(event)
			c.latency.Add(took)
			g.acknowledged.Add(1)
			g.write(c, false)
		}
	}
}

// awaitTurn waits until the n-th webhook is due, and returns when that was.
func (g *Generator) awaitTurn(ctx context.Context, n int64) (due time.Time, ok bool) {
	if g.o.Rate <= 0 {
		return time.Now(), true
	}
	after := time.Duration(float64(n) / g.o.Rate * float64(time.Second))
	if g.o.Duration > 0 && after >= g.o.Duration {
		return due, false
	}
	due = g.began.Add(after)
	if wait := time.Until(due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return due, false
		}
	}
	return due, true
}

func pause(ctx context.Context) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
}

// write hands the ids that c has collected on once they are many, or in the end.
func (g *Generator) write(c *connection, end bool) {
	const many = 16 << 10
	if g.out == nil || len(c.ids) == 0 || len(c.ids) < many && !end {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := g.out.Write(c.ids); err != nil && g.outErr == nil {
		g.outErr = err
	}
	c.ids = c.ids[:0]
}

// add adds what c has counted to the report.
func (g *Generator) add(c *connection) {
	g.write(c, true)
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &g.report
	r.Acknowledged += c.acknowledged
	r.Duplicates += c.duplicates
	r.Failed += c.failed
	for status, n := range c.refused {
		r.Refused[status] += n
	}
	if r.Failure == nil {
		r.Failure = c.failure
	}
	r.Latency.Merge(&c.latency)
}
