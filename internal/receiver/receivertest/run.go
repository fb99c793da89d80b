package receivertest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultTimeout is how long an answer is waited for.
const DefaultTimeout = 20 * time.Second

// Target is the receiver that deliveries go to.
type Target struct {
	Address  string      // host:port
	TLS      *tls.Config // nil: plain HTTP
	Host     string      // for the Host field
	Path     string
	Username string
	Password string
	Timeout  time.Duration // 0: DefaultTimeout
}

// Delivery is what came back on the connection of one delivery.
type Delivery struct {
	Statuses []int         // the final answers, in order
	Interim  []int         // 100 and the like
	Header   http.Header   // of the first final answer
	Body     string        // of the first final answer
	Closed   bool          // the server closed the connection
	Garbled  bool          // bytes came that are no answer
	Elapsed  time.Duration // to the first final answer, or to the end
}

// Class is "2xx" and so on, by the first answer, or "closed" if there was none.
func (d Delivery) Class() string {
	if len(d.Statuses) == 0 {
		return "closed"
	}
	return fmt.Sprintf("%dxx", d.Statuses[0]/100)
}

// Problem says what is wrong with the answers, by what the case expects of
// them; it is empty if nothing is. Max_ms, delivered and the checks at the
// outputs are the caller's, who knows the machine and the outputs.
func (c *Case) Problem(d Delivery) string {
	if len(c.ExpectStatuses) > 0 && !slices.Equal(d.Statuses, c.ExpectStatuses) {
		return fmt.Sprintf("answers %d, want %d", d.Statuses, c.ExpectStatuses)
	}
	if !slices.Contains(strings.Split(c.ExpectStatusClass, "|"), d.Class()) {
		return fmt.Sprintf("answer %s, want %s", d.Class(), c.ExpectStatusClass)
	}
	if c.Check.Smuggled != nil && len(c.ExpectStatuses) == 0 && len(d.Statuses) > 1 {
		return fmt.Sprintf("answers %d: something behind the request was executed", d.Statuses)
	}
	if d.Garbled {
		return "there are bytes that are no answer"
	}
	if c.Check.Closed && !d.Closed {
		return "the connection was not closed"
	}
	return ""
}

// Run sends the case as often as it says and returns what each delivery got.
// An error means that the receiver could not be reached.
func (c *Case) Run(ctx context.Context, t Target) ([]Delivery, error) {
	requests, err := c.Requests(t)
	if err != nil {
		return nil, err
	}
	repeated := slices.Repeat(requests, max(c.Repeat, 1))
	if c.Parallel <= 1 {
		var all []Delivery
		for _, r := range repeated {
			d, err := c.deliver(ctx, t, r)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
		return all, nil
	}
	repeated = slices.Repeat(repeated, c.Parallel)
	all, errs := make([]Delivery, len(repeated)), make([]error, len(repeated))
	var wg sync.WaitGroup
	for i, r := range repeated {
		wg.Go(func() { all[i], errs[i] = c.deliver(ctx, t, r) })
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

// deliver sends one request on a connection of its own.
func (c *Case) deliver(ctx context.Context, t Target, request []byte) (Delivery, error) {
	conn, err := t.dial(ctx)
	if err != nil {
		return Delivery{}, err
	}
	defer conn.Close()
	start := time.Now()
	var writer sync.WaitGroup
	defer writer.Wait()
	defer conn.Close() // before Wait: the server may not read all of it
	writer.Go(func() {
		// A refusing server may stop reading: the answer is what counts.
		_, err := conn.Write(request)
		if err == nil && c.HalfClose {
			closeWrite(conn)
		}
	})
	d := c.readAnswers(conn)
	if d.Elapsed == 0 {
		d.Elapsed = time.Since(start)
	}
	return d, nil
}

func (t Target) dial(ctx context.Context) (net.Conn, error) {
	timeout := t.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to receiver: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		conn.Close()
		return nil, err
	}
	if t.TLS == nil {
		return conn, nil
	}
	secure := tls.Client(conn, t.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to receiver over TLS: %w", err)
	}
	return secure, nil
}

// readAnswers reads to the end of the connection. After the first final answer
// the client's side is ended, so that the server ends its own.
func (c *Case) readAnswers(conn net.Conn) Delivery {
	var d Delivery
	start := time.Now()
	in := bufio.NewReader(conn)
	request := &http.Request{Method: http.MethodPost}
	if c.Method == http.MethodHead || c.Raw != nil && strings.HasPrefix(*c.Raw, "HEAD ") {
		request.Method = http.MethodHead
	}
	for {
		if _, err := in.Peek(1); err != nil {
			var timeout net.Error
			d.Closed = !errors.As(err, &timeout) || !timeout.Timeout()
			return d
		}
		answer, err := http.ReadResponse(in, request)
		if err != nil {
			d.Garbled = true
			return d
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		d.Garbled = d.Garbled || err != nil
		if answer.StatusCode < 200 {
			d.Interim = append(d.Interim, answer.StatusCode)
			continue
		}
		d.Statuses = append(d.Statuses, answer.StatusCode)
		if len(d.Statuses) == 1 {
			d.Elapsed, d.Header, d.Body = time.Since(start), answer.Header, string(body)
			closeWrite(conn)
		}
	}
}

func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the server may have closed first
	}
}
