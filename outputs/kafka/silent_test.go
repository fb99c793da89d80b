package kafka_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// deaf accepts connections and never says a word.
func deaf(t *testing.T) (address string, accepted func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range open {
			_ = c.Close()
		}
	})
	return l.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(open)
	}
}

// TestDeafBroker: one that accepts and never answers costs a timeout, and nothing stays
// behind. The next one of the list is asked.
func TestDeafBroker(t *testing.T) {
	address, accepted := deaf(t)
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			c := kafka.Default()
			c.Brokers, c.Topic, c.Timeout = []string{address}, topic, 100*time.Millisecond
			c.TLS.Enabled = encrypted
			out, err := kafka.New(c, kafka.Options{})
			if err != nil {
				t.Fatal(err)
			}
			before := accepted()
			err = out.Send(t.Context(), messages(1, 10))
			if err == nil || !outputs.IsTransient(err) {
				t.Errorf("Send returned %v", err)
			}
			if accepted() == before {
				t.Errorf("the broker saw no connection")
			}
			if err := out.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	f := newFake(t, nil)
	c := f.config()
	c.Brokers, c.Timeout = append([]string{address}, c.Brokers...), 300*time.Millisecond
	send(t, open(t, c, kafka.Options{}), messages(1, 10))
}

// gate is in front of a cluster. While it is closed, a connection goes deaf as soon as it
// gets a large request, as one with events is: what clients write is read and dropped.
type gate struct {
	closed atomic.Bool
	mu     sync.Mutex
	conns  []net.Conn
}

// hangUp closes all connections.
func (g *gate) hangUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

func (g *gate) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	return gateListener{l, g}, err
}

type gateListener struct {
	net.Listener
	gate *gate
}

func (l gateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.gate.mu.Lock()
		l.gate.conns = append(l.gate.conns, c)
		l.gate.mu.Unlock()
	}
	return &gateConn{Conn: c, gate: l.gate}, err
}

type gateConn struct {
	net.Conn
	gate *gate
	deaf bool
}

func (c *gateConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		c.deaf = c.deaf || c.gate.closed.Load() && n > 2000
		if err != nil || !c.deaf {
			return n, err
		}
	}
}

// TestSilenceIsCheap: brokers that stop answering for long take no memory.
func TestSilenceIsCheap(t *testing.T) {
	var g gate
	f := newFake(t, nil, kfake.ListenFn(g.listen))
	c := f.config()
	c.Timeout = 100 * time.Millisecond
	out := open(t, c, kafka.Options{})
	batch := messages(1, 1000)
	for i := range batch {
		batch[i].Body = large(4000)
	}
	send(t, out, messages(1001, 1))
	g.closed.Store(true)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	_ = out.Send(t.Context(), batch)
	before, goroutines := heap(), runtime.NumGoroutine()
	for range 10 {
		if err := out.Send(t.Context(), batch); err == nil || !strings.Contains(err.Error(), "produce to broker") {
			t.Fatalf("Send returned %v", err)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 20<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if grown := runtime.NumGoroutine() - goroutines; grown > 20 {
		t.Errorf("%d more goroutines", grown)
	}
	g.closed.Store(false)
	deliver(t, out, batch)
	inOrder(t, f.records(), append(messages(1001, 1), batch...))
}

// TestStopping: a Send that waits for a broker ends with its context.
func TestStopping(t *testing.T) {
	f := newFake(t, nil)
	out := open(t, f.config(), kafka.Options{})
	send(t, out, messages(1, 10))
	f.during(silent)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	if err := out.Send(ctx, messages(11, 10)); err == nil || !outputs.IsTransient(err) {
		t.Errorf("Send returned %v", err)
	}
	if took := time.Since(start); took > 4*time.Second { // the timeout is 5 s
		t.Errorf("it took %v", took)
	}
}

// TestIdleConnections: brokers end idle connections, which is noticed before one is used.
func TestIdleConnections(t *testing.T) {
	var g gate
	f := newFake(t, nil, kfake.ListenFn(g.listen))
	now := time.Now()
	out := open(t, f.config(), kafka.Options{Now: func() time.Time { return now }})
	for i := range 5 {
		send(t, out, messages(1+10*i, 10))
		now = now.Add(2 * time.Second)
		if i%2 == 0 {
			g.hangUp()
		}
	}
	inOrder(t, f.records(), messages(1, 50))
}
