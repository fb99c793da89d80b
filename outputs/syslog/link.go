package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// errPeerEnded says that the receiver closed the connection, or its half of it. What
// follows would be written to nobody.
var errPeerEnded = errors.New("the receiver ended the connection")

// dialer opens connections to one receiver.
type dialer struct {
	target  target
	tls     TLS
	timeout time.Duration
}

// link is one connection, with a goroutine that reads it until it ends. Syslog is a
// one-way protocol, but reading is how the end of the peer is seen, and with TLS 1.3
// its refusal of our certificate.
type link struct {
	net.Conn               // through TLS, if there is TLS
	tcp      *net.TCPConn  // below it
	ended    chan struct{} // closed when there is nothing more to read
	why      error         // why; to be read after ended only
	fresh    bool          // no batch was sent yet
}

// dial connects and starts to read: read is called once, in the link's goroutine,
// and returns when the connection ends, which close sees to.
func (d *dialer) dial(ctx context.Context, read func(io.Reader) error) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	keepAlive := net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}
	nd := net.Dialer{KeepAliveConfig: keepAlive}
	conn, err := nd.DialContext(ctx, "tcp", d.target.hostPort())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", d.target, err)
	}
	l := &link{Conn: conn, tcp: conn.(*net.TCPConn), ended: make(chan struct{}), fresh: true}
	guard(l.tcp, d.timeout)
	if d.target.secure() {
		if l.Conn, err = d.secure(ctx, conn); err != nil {
			conn.Close()
			return nil, fmt.Errorf("connect to %s: %w", d.target, err)
		}
	}
	go func() { // ends with the connection; close waits for it
		l.why = read(l.Conn)
		close(l.ended)
	}()
	return l, nil
}

// secure shakes hands. Certificates are read anew, so that those that were replaced
// are used from the next connection on.
func (d *dialer) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	c, err := tlsConfig(d.tls, d.target.host)
	if err != nil {
		return nil, fileError{err}
	}
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

// discard reads what a receiver of plain syslog says, which is nothing of interest.
func discard(r io.Reader) error {
	_, err := io.Copy(io.Discard, onlyReader{r})
	if err == nil {
		return errPeerEnded
	}
	return err
}

// onlyReader hides other methods of a connection, which io.Copy would use.
type onlyReader struct{ io.Reader }

// alive tells whether the peer still takes what is written.
func (l *link) alive() error {
	select {
	case <-l.ended:
		return l.end()
	default:
	}
	if peerEnded(l.tcp) {
		return errPeerEnded
	}
	return nil
}

// end is the error of a link that has ended.
func (l *link) end() error {
	if l.why == nil || errors.Is(l.why, io.EOF) {
		return errPeerEnded
	}
	return l.why
}

// write writes all of text, or fails when the receiver takes nothing for timeout or
// ctx ends; the connection is of no use then.
func (l *link) write(ctx context.Context, text []byte, timeout time.Duration) error {
	const piece = 64 << 10 // so that the deadline is about progress
	stop := context.AfterFunc(ctx, func() { _ = l.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	for len(text) > 0 {
		if err := l.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if ctx.Err() != nil { // it may have ended before the deadline was set
			return context.Cause(ctx)
		}
		n, err := l.Write(text[:min(len(text), piece)])
		if err != nil {
			return l.because(ctx, err)
		}
		text = text[n:]
	}
	return nil
}

// because names the cause of a write that failed: the end of ctx, or what the
// receiver said before it went, which the reader comes upon about now.
func (l *link) because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	timer := time.NewTimer(refusalTime)
	defer timer.Stop()
	select {
	case <-l.ended:
		return fmt.Errorf("%w (%w)", err, l.end())
	case <-timer.C:
		return err
	}
}

// sleep waits for d, or until the link or ctx ends.
func (l *link) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ended:
	case <-ctx.Done():
	}
	// A busy machine may find more than one: an end counts for more than the time.
	select {
	case <-l.ended:
		return l.end()
	default:
		return context.Cause(ctx)
	}
}

// drop ends the connection without a word and waits for its goroutine. What the
// kernel still has to send it goes on sending: to reset the connection could cost the
// receiver what it has not read yet, and events that come twice are the lesser evil.
func (l *link) drop() {
	_ = l.tcp.Close()
	<-l.ended
}

// close ends the connection in good order.
func (l *link) close() error {
	err := l.Close() // with TLS it says goodbye, for at most 5 s
	_ = l.tcp.Close()
	<-l.ended
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
