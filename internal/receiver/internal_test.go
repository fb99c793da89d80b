package receiver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

func newServer(t *testing.T, log io.Writer) *Server {
	t.Helper()
	s, err := New(Options{
		Credentials: []Credential{{Username: "u", Password: func() string { return "p" }}},
		Store:       discard{}, Logger: slog.New(slog.NewJSONHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type discard struct{}

func (discard) Append([]byte) (Receipt, error) { return Receipt{ID: "id"}, nil }
func (discard) Unanswered(Receipt)             {}

// TestRefusalTravels would fail if fasthttp changed a byte of the mark, or let a
// client send one.
func TestRefusalTravels(t *testing.T) {
	for o := range outcomes {
		for _, method := range []string{http.MethodPost, http.MethodHead} {
			var h fasthttp.RequestHeader
			h.SetMethod(method)
			h.SetContentLength(99)
			h.Set("Expect", "100-continue")
			markRefused(&h, o)
			got, refused := refusal(&h)
			if got != o || !refused || wasHead(&h) != (method == http.MethodHead) || h.ContentLength() != 0 || len(h.Peek("Expect")) != 0 {
				t.Errorf("outcome %d of %s came out as %d, %v:\n%s", o, method, got, refused, &h)
			}
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, "PUT"} {
		var h fasthttp.RequestHeader
		h.SetMethod(method)
		if _, refused := refusal(&h); refused {
			t.Errorf("%s counts as refused", method)
		}
	}
}

// TestForsakenOnce: a connection that ends before its answer was written.
func TestForsakenOnce(t *testing.T) {
	s := newServer(t, io.Discard)
	for name, end := range map[string]func(c *conn){
		"closed":       func(c *conn) { c.Close(); c.Close() },
		"panic":        func(c *conn) { s.track(c, 1); s.run(c, func() { panic("below the hooks") }) },
		"just returns": func(c *conn) { s.track(c, 1); s.run(c, func() {}) },
	} {
		client, server := net.Pipe()
		var told []Receipt
		c := s.newConn(server)
		c.unanswered = func(r Receipt) { told = append(told, r) }
		c.owe(Receipt{ID: "id", Sequence: 7})
		end(c)
		client.Close()
		if len(told) != 1 || told[0].Sequence != 7 {
			t.Errorf("%s: told %v", name, told)
		}
	}
}

func TestAnswersAreComplete(t *testing.T) {
	labels := map[string]bool{}
	for o, a := range answers() {
		if outcome(o) == undecided {
			continue
		}
		if a.code == 0 {
			t.Errorf("outcome %d has no answer", o)
		}
		if outcome(o) == accepted {
			continue
		}
		if a.label == "" || labels[a.label] {
			t.Errorf("outcome %d: label %q is empty or not its own", o, a.label)
		}
		labels[a.label] = true
		var body struct{ Status, Reason string }
		if err := json.Unmarshal(a.body, &body); err != nil || body.Status != "rejected" || body.Reason != a.text {
			t.Errorf("outcome %d: body %s, %v", o, a.body, err)
		}
		if (a.code == 503 || a.code == 429) != (a.header[0] == "Retry-After") {
			t.Errorf("outcome %d: header %v", o, a.header)
		}
	}
}

// TestPanicBelowTheHooks: one in answering an error, one in fasthttp itself.
func TestPanicBelowTheHooks(t *testing.T) {
	var log strings.Builder
	s := newServer(t, &log)
	s.metrics.codes[malformed] = nil // readFailed will trip over it
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := s.newConn(server)
		s.track(c, 1)
		s.run(c, func() { s.serve(c) })
	}()
	if _, err := io.WriteString(client, "nonsense\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") {
		t.Errorf("answer %q, %v", answer, err)
	}
	<-done

	_, server = net.Pipe()
	broken := s.newConn(panicking{server})
	s.track(broken, 1)
	s.run(broken, func() { s.serve(broken) })
	for _, doing := range []string{"answer unreadable request", "serve connection"} {
		if !strings.Contains(log.String(), doing) {
			t.Errorf("no %q in the log:\n%s", doing, log.String())
		}
	}
	if s.open() != 0 {
		t.Errorf("%d connections are counted as open", s.open())
	}
}

type panicking struct{ net.Conn }

func (panicking) Read([]byte) (int, error) { panic("read broke") }

func TestBudgetIsSharedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{total: 100, wait: time.Second}
		if !b.take(60) || !b.take(40) {
			t.Fatal("what fits is not granted")
		}
		start := time.Now()
		if b.take(1) || time.Since(start) != time.Second {
			t.Errorf("more than there is was granted or refused after %s", time.Since(start))
		}
		var order []int64
		granted := make(chan int64, 3)
		for _, n := range []int64{70, 20, 10} {
			go func() {
				if b.take(n) {
					granted <- n
				}
			}()
			synctest.Wait()
		}
		b.give(60) // 70 is first, and does not fit: nobody overtakes it
		synctest.Wait()
		if len(granted) != 0 {
			t.Errorf("%d was granted before its turn", <-granted)
		}
		b.give(40)
		synctest.Wait()
		for len(granted) > 0 {
			order = append(order, <-granted)
		}
		if len(order) != 3 || b.inUse() != 100 {
			t.Errorf("granted %v, %d in use", order, b.inUse())
		}
	})
}

func TestBudgetWithdrawalLetsTheNextPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{total: 100, wait: time.Second}
		b.take(50)
		first, second := make(chan bool, 1), make(chan bool, 1)
		go func() { first <- b.take(80) }()
		synctest.Wait()
		time.Sleep(500 * time.Millisecond)
		go func() { second <- b.take(50) }()
		if <-first {
			t.Error("80 of 50 were granted")
		}
		if !<-second {
			t.Error("the one behind did not get its turn")
		}
	})
}

// TestLargeBodiesOverTheBudget are refused with 503, small ones are not.
func TestLargeBodiesOverTheBudget(t *testing.T) {
	s := newServer(t, io.Discard)
	s.bodies.budget.wait = time.Millisecond
	s.bodies.budget.take(s.bodies.budget.total)
	for size, want := range map[int]outcome{smallBody: accepted, smallBody + 1: tooBusy} {
		for _, declared := range []bool{true, false} {
			var ctx fasthttp.RequestCtx
			body := `{"a":"` + strings.Repeat("x", size-8) + `"}`
			length := -1
			if declared {
				length = size
			}
			ctx.Request.SetBodyStream(strings.NewReader(body), length)
			ctx.Request.Header.SetContentLength(length)
			if _, got := s.checkBody(&ctx); got != want {
				t.Errorf("%d bytes, declared %v: outcome %d, want %d", size, declared, got, want)
			}
		}
	}
}

// TestBodiesWithinBounds reads from a stream that never ends.
func TestBodiesWithinBounds(t *testing.T) {
	s := newServer(t, io.Discard)
	for name, stream := range map[string]io.Reader{"plain": endless('x'), "empty gzip members": &repeated{text: emptyMember(t)}} {
		var ctx fasthttp.RequestCtx
		ctx.Request.SetBodyStream(stream, -1)
		if name != "plain" {
			ctx.Request.Header.Set("Content-Encoding", "gzip")
		}
		if _, got := s.checkBody(&ctx); got != tooLarge {
			t.Errorf("%s: outcome %d", name, got)
		}
	}
	if n := s.bodies.budget.inUse(); n != 0 {
		t.Errorf("%d bytes are still reserved", n)
	}
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// repeated repeats text for ever.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at]
		r.at = (r.at + 1) % len(r.text)
	}
	return len(p), nil
}

func TestOutageSaysWhatFailed(t *testing.T) {
	var log strings.Builder
	o := outage{logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, err := range []error{nil, errors.New("disk full"), errors.New("disk full"), nil, nil, errors.New("disk broken")} {
		o.report(err)
	}
	for text, want := range map[string]int{"disk full": 1, "disk broken": 1, "storing webhooks again": 1, "refused=2": 1} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%q stands %d times in the log, want %d:\n%s", text, got, want, log.String())
		}
	}
}

func TestRequestLineEnding(t *testing.T) {
	for _, c := range []struct {
		reads []string
		bad   bool
	}{
		{[]string{"POST / HTTP/1.1\r\n"}, false},
		{[]string{"POST / HTTP/1.1\n"}, true},
		{[]string{"POST / HT", "TP/1.1\r\nHost: h\nx"}, false}, // the fields are wellFramed's
		{[]string{"POST / HT", "TP/1.1\nHost: h\r\n"}, true},
		{[]string{"POST / HTTP/1.1\r", "\n"}, false},
		{[]string{"POST / HTTP/1.1", "\n"}, true},
		{[]string{"\r\n", "\r\nPOST / HTTP/1.1\n"}, true},
		{[]string{"\r\n\r\nPOST / HTTP/1.1\r\n"}, false},
	} {
		var l requestLine
		bad := false
		for _, r := range c.reads {
			if l.phase != lineDone {
				bad = bad || l.watch([]byte(r)) != nil
			}
		}
		if bad != c.bad {
			t.Errorf("%q: refused %v, want %v", c.reads, bad, c.bad)
		}
	}
}

func emptyMember(t *testing.T) string {
	t.Helper()
	// Ten bytes of header, an empty final block, a checksum and a length of 0.
	return fmt.Sprintf("\x1f\x8b\x08%s\xff\x03\x00%s", strings.Repeat("\x00", 6), strings.Repeat("\x00", 8))
}
