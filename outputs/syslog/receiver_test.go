package syslog_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/siemrelay/siemrelay/outputs"
)

// receiver is a syslog receiver on a real port that can be broken, hung and made to
// put off messages. It takes RFC 5424 as an independent parser understands it.
type receiver struct {
	tb      testing.TB
	scheme  string
	secure  *tls.Config // nil: without TLS
	address string

	mu       sync.Mutex
	closers  map[io.Closer]bool // what Break ends
	bodies   [][]byte
	hung     chan struct{} // closed when the receiver may go on; nil if it may
	deferred string        // RELP: the session ends in front of such a message
	status   func(body []byte) string
	problems []string
	running  sync.WaitGroup
}

// newReceiver starts a receiver, which stops when the test ends.
func newReceiver(tb testing.TB, scheme string, secure *tls.Config) *receiver {
	r := &receiver{tb: tb, scheme: scheme, secure: secure, address: "127.0.0.1:0", closers: map[io.Closer]bool{}}
	r.listen()
	tb.Cleanup(func() {
		r.mend()
		r.close()
		r.running.Wait()
		for _, p := range r.problems {
			tb.Error(p)
		}
	})
	return r
}

func (r *receiver) url() string { return r.scheme + "://" + r.address }

func (r *receiver) listen() {
	if r.scheme == "udp" {
		address, err := net.ResolveUDPAddr("udp", r.address)
		r.must(err)
		c, err := net.ListenUDP("udp", address)
		r.must(err)
		r.address = c.LocalAddr().String()
		r.start(c, func() { r.readDatagrams(c) })
		return
	}
	l, err := net.Listen("tcp", r.address)
	r.must(err)
	r.address = l.Addr().String()
	if r.secure != nil {
		l = tls.NewListener(l, r.secure)
	}
	r.start(l, func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.start(c, func() { r.serve(c) })
		}
	})
}

// start runs f in a goroutine, which ends when c is closed.
func (r *receiver) start(c io.Closer, f func()) {
	r.mu.Lock()
	r.closers[c] = true
	r.mu.Unlock()
	r.running.Go(func() {
		f()
		c.Close()
		r.mu.Lock()
		delete(r.closers, c)
		r.mu.Unlock()
	})
}

// close ends every connection and listens no more.
func (r *receiver) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.closers {
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn() // Close would wait for a peer that doesn't read
		}
		c.Close()
	}
}

func (r *receiver) hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hung = make(chan struct{})
}

func (r *receiver) putOff(marker string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deferred = marker
}

// mend ends what hang and putOff began; a receiver that was closed has to listen too.
func (r *receiver) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deferred = ""
	if r.hung != nil {
		close(r.hung)
		r.hung = nil
	}
}

// wait blocks while the receiver hangs.
func (r *receiver) wait() {
	r.mu.Lock()
	hung := r.hung
	r.mu.Unlock()
	if hung != nil {
		<-hung
	}
}

func (r *receiver) readDatagrams(c *net.UDPConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		r.take(buf[:n])
	}
}

func (r *receiver) serve(c net.Conn) {
	in := bufio.NewReaderSize(c, 64<<10)
	if strings.HasPrefix(r.scheme, "relp") {
		r.serveRELP(c, in)
		return
	}
	for {
		r.wait()
		text, err := readFramed(in)
		if err != nil {
			return
		}
		r.wait()
		r.take(text)
	}
}

// readFramed reads a message with either framing of RFC 6587, told apart by the first
// byte, as receivers do.
func readFramed(in *bufio.Reader) ([]byte, error) {
	first, err := in.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] < '0' || first[0] > '9' {
		line, err := in.ReadBytes('\n')
		return bytes.TrimSuffix(line, []byte("\n")), err
	}
	var n int
	if _, err := fmt.Fscanf(in, "%d ", &n); err != nil {
		return nil, err
	}
	text := make([]byte, n)
	_, err = io.ReadFull(in, text)
	return text, err
}

func (r *receiver) serveRELP(c net.Conn, in *bufio.Reader) {
	for {
		number, command, data, err := readRELP(in)
		if err != nil {
			return
		}
		r.wait()
		reply := "200 OK"
		switch command {
		case "open":
			reply = "200 OK\nrelp_version=0\nrelp_software=test\ncommands=syslog,eventlog"
		case "close":
			reply = ""
		case "syslog":
			r.mu.Lock()
			deferred, status := r.deferred, r.status
			r.mu.Unlock()
			if deferred != "" && bytes.Contains(data, []byte(deferred)) {
				return
			}
			if status != nil {
				reply = status(data)
			}
			if strings.HasPrefix(reply, "200") {
				r.take(data)
			}
		default:
			r.problem("unknown RELP command %q", command)
		}
		if _, err := io.WriteString(c, relpReply(number, reply)); err != nil || command == "close" {
			return
		}
	}
}

func relpReply(number int, text string) string {
	if text == "" {
		return fmt.Sprintf("%d rsp 0\n", number)
	}
	return fmt.Sprintf("%d rsp %d %s\n", number, len(text), text)
}

// readRELP reads a frame, strictly.
func readRELP(in *bufio.Reader) (number int, command string, data []byte, err error) {
	var length int
	if _, err := fmt.Fscanf(in, "%d %s %d", &number, &command, &length); err != nil {
		return 0, "", nil, err
	}
	data = make([]byte, length+1)
	if length > 0 {
		data = make([]byte, length+2)
	}
	if _, err := io.ReadFull(in, data); err != nil {
		return 0, "", nil, err
	}
	if length > 0 && data[0] != ' ' || data[len(data)-1] != '\n' {
		return 0, "", nil, errors.New("a frame without its end")
	}
	if length == 0 {
		return number, command, nil, nil
	}
	return number, command, data[1 : len(data)-1], nil
}

// take parses a message and keeps its body.
func (r *receiver) take(text []byte) {
	message, err := rfc5424.NewParser().Parse(text)
	if err != nil {
		r.problem("parse %.200q: %v", text, err)
		return
	}
	body := ""
	if m := message.(*rfc5424.SyslogMessage).Message; m != nil {
		body = *m
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, []byte(body))
}

func (r *receiver) received() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.bodies...)
}

func (r *receiver) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

func (r *receiver) must(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

// patience is how long a receiver's goroutine may take to come upon what its kernel
// has. It is far above what it takes.
const patience = 10 * time.Second

// tracker is an output under test that knows what the suite can't: that JSON may come
// with other escapes than it went, and that what is safe with the receiver's kernel
// is read a moment later.
type tracker struct {
	outputs.Output
	receiver *receiver
	chunk    int // messages in one Send, 0 for any

	mu     sync.Mutex
	sent   map[string][]byte // by meaning
	wanted int               // how many different bodies were called safe
	safe   map[string]bool
}

func (t *tracker) Send(ctx context.Context, batch []outputs.Message) error {
	t.mu.Lock()
	for _, m := range batch {
		t.sent[meaning(m.Body)] = bytes.Clone(m.Body)
	}
	t.mu.Unlock()
	for rest := batch; len(rest) > 0; {
		n := len(rest)
		if t.chunk > 0 {
			n = min(n, t.chunk)
		}
		err := t.Output.Send(ctx, rest[:n])
		t.note(rest[:n], err)
		if err != nil {
			return err
		}
		rest = rest[n:]
		if len(rest) > 0 {
			t.await()
		}
	}
	return nil
}

func (t *tracker) note(batch []outputs.Message, err error) {
	var p *outputs.Partial
	if err != nil && !errors.As(err, &p) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, m := range batch {
		if p == nil || p.Results[i].Status == outputs.Done {
			t.safe[meaning(m.Body)] = true
		}
	}
}

// received returns what the receiver has, each body as it was sent.
func (t *tracker) received() [][]byte {
	t.await()
	t.mu.Lock()
	defer t.mu.Unlock()
	bodies := t.receiver.received()
	for i, b := range bodies {
		if sent, ok := t.sent[meaning(b)]; ok {
			bodies[i] = sent
		}
	}
	return bodies
}

// await waits until the receiver has read what was called safe.
func (t *tracker) await() {
	deadline := time.Now().Add(patience)
	for !t.complete() && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // a poll
	}
}

func (t *tracker) complete() bool {
	have := map[string]bool{}
	for _, b := range t.receiver.received() {
		have[meaning(b)] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for m := range t.safe {
		if !have[m] {
			return false
		}
	}
	return true
}

// meaning is equal for texts that are the same JSON.
func meaning(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	same, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(same)
}
