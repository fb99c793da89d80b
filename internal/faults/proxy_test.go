package faults_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// shape is what a connection through a proxy suffers. The zero shape is no harm.
type shape struct {
	latency time.Duration // of each piece, in both directions
	slice   int           // at most so many bytes go on at once; 0: all
	reset   int           // after about so many bytes the connection is reset; 0: never
}

// proxy forwards TCP connections.
type proxy struct {
	address string
	to      string
	shape   shape

	mu     sync.Mutex
	resets int
}

// newProxy listens on the address until the test or the returned function ends it.
func newProxy(t *testing.T, listen, to string, s shape) (p *proxy, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	p = &proxy{address: l.Addr().String(), to: to, shape: s}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(ctx, c.(*net.TCPConn)) }) // ends with the connection, or stop
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		l.Close()
		running.Wait()
	})
	t.Cleanup(stop)
	return p, stop
}

func (p *proxy) serve(ctx context.Context, in *net.TCPConn) {
	defer in.Close()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.to)
	if err != nil {
		return
	}
	out := c.(*net.TCPConn)
	defer out.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() {
		in.Close()
		out.Close()
	})()
	left := -1
	if p.shape.reset > 0 {
		left = p.shape.reset/2 + rand.IntN(p.shape.reset)
	}
	var both sync.WaitGroup
	both.Go(func() { // ends with the connection
		defer cancel()
		if p.pipe(out, in, left) {
			_ = in.SetLinger(0)
			_ = out.SetLinger(0)
		}
	})
	both.Go(func() {
		defer cancel()
		p.pipe(in, out, -1)
	})
	both.Wait()
	cancel()
}

// pipe copies until an end, or so many bytes; the result tells whether it was that.
func (p *proxy) pipe(to io.Writer, from io.Reader, left int) (reset bool) {
	size := p.shape.slice
	if size == 0 {
		size = 64 << 10
	}
	buffer := make([]byte, size)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			<-time.After(p.shape.latency)
			if left >= 0 && n >= left {
				p.mu.Lock()
				p.resets++
				p.mu.Unlock()
				return true
			}
			if left >= 0 {
				left -= n
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return false
			}
		}
		if err != nil {
			return false
		}
	}
}

// TestPoorConnections (F34): the connections to Elasticsearch and to a syslog receiver
// are slow, let only few bytes through at a time, or are reset in the midst of a
// request. Elasticsearch has each event once all the same.
func TestPoorConnections(t *testing.T) {
	t.Parallel() // it waits, most of the time
	for _, c := range []struct {
		name         string
		search, siem shape
	}{
		// What a proxy has taken and not passed on is lost with it, over plain TCP; so
		// only Elasticsearch's connections are reset.
		{"latency", shape{latency: 50 * time.Millisecond}, shape{latency: 50 * time.Millisecond}},
		{"slices", shape{slice: 100}, shape{slice: 7}},
		{"resets", shape{reset: 200_000}, shape{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReceivers(t)
			search, _ := newProxy(t, "127.0.0.1:0", r.searchAddress(), c.search)
			siem, _ := newProxy(t, "127.0.0.1:0", r.siem.address, c.siem)
			w := newWorld(t, endtoend.Setup{Outputs: twoFiles()[:1], More: r.outputs(search.address, siem.address)},
				endtoend.LoadOptions{Connections: 4, Records: 5, BodySize: 300})
			w.start()
			for _, o := range remote {
				w.delivers(o, 300)
			}
			if c.search.reset > 0 {
				w.Eventually("connections are reset", func() bool {
					search.mu.Lock()
					defer search.mu.Unlock()
					return search.resets >= 5
				})
			}
			w.load.Stop()
			r.check(w.finish(remote...))
			t.Logf("%d connections were reset", search.resets)
		})
	}
}
