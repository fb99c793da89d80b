package load_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint acknowledges every webhook under the id "event-" and the record's id, and
// keeps what came.
type endpoint struct {
	*httptest.Server
	mu          sync.Mutex
	came        map[string]int // by record id
	connections map[string]bool
	problems    []string
}

func newEndpoint(t *testing.T, secure bool) *endpoint {
	t.Helper()
	e := &endpoint{came: map[string]int{}, connections: map[string]bool{}}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(e.handle))
	if secure {
		e.StartTLS()
	} else {
		e.Start()
	}
	t.Cleanup(func() {
		e.Close()
		for _, p := range e.problems[:min(len(e.problems), 5)] {
			t.Error(p)
		}
	})
	return e
}

func (e *endpoint) handle(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.connections[r.RemoteAddr] = true
	body, err := io.ReadAll(r.Body)
	var said struct{ ID, Description string }
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	user, password, _ := r.BasicAuth()
	if err != nil || len(body) != 1400 || r.Method != http.MethodPost || r.URL.String() != "/hook?a=b" ||
		r.Header.Get("Content-Type") != "application/json" || user != "defense" || password != "s3cret" {
		e.problems = append(e.problems, fmt.Sprintf("came %s %s %v %q, %v", r.Method, r.URL, r.Header, body, err))
	}
	e.came[said.ID]++
	fmt.Fprintf(w, `{"status":"accepted","id":"event-%s","duplicate":%v}`, said.ID, strings.HasSuffix(said.ID, "7"))
}

func (e *endpoint) options() load.Options {
	return load.Options{
		URL: e.URL + "/hook?a=b", Username: "defense", Password: "s3cret", Body: load.Webhook(1400), Connections: 4, Count: 500,
		TLS: &tls.Config{InsecureSkipVerify: true},
	}
}

func run(t *testing.T, ctx context.Context, o load.Options) load.Report {
	t.Helper()
	g, err := load.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(ctx)
	if err != nil {
		t.Error(err)
	}
	if g.Acknowledged() != r.Acknowledged {
		t.Errorf("%d are acknowledged, as the report says, and %d", r.Acknowledged, g.Acknowledged())
	}
	return r
}

// Every webhook is a record of its own, is sent once, and is told under the id that
// it was acknowledged with.
func TestWhatIsSentIsToldOneByOne(t *testing.T) {
	for _, c := range []struct {
		name         string
		secure, anew bool
	}{{"http", false, false}, {"https", true, false}, {"http anew", false, true}, {"https anew", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			e := newEndpoint(t, c.secure)
			o := e.options()
			o.NewConnections = c.anew
			var acknowledged bytes.Buffer
			o.Acknowledged = &acknowledged
			r := run(t, t.Context(), o)
			if r.Acknowledged != 500 || r.Sent() != 500 || r.Latency.Total() != 500 || r.Duplicates != 31 {
				t.Errorf("report is %+v, want 500 of 500", r)
			}
			lines := strings.Split(strings.TrimSpace(acknowledged.String()), "\n")
			if len(lines) != 500 || len(e.came) != 500 {
				t.Errorf("%d lines, %d records came, want 500", len(lines), len(e.came))
			}
			for _, line := range lines {
				event, record, _ := strings.Cut(line, " ")
				if event != "event-"+record || e.came[record] != 1 {
					t.Fatalf("line %q: its record came %d times", line, e.came[record])
				}
			}
			if want := map[bool]int{false: 4, true: 500}[c.anew]; len(e.connections) != want {
				t.Errorf("%d connections, want %d", len(e.connections), want)
			}
		})
	}
}

func TestTwoRunsHaveNoRecordInCommon(t *testing.T) {
	e := newEndpoint(t, false)
	run(t, t.Context(), e.options())
	run(t, t.Context(), e.options())
	if len(e.came) != 1000 {
		t.Errorf("%d records came, want 1000", len(e.came))
	}
}

// What is not accepted is counted by what became of it, and not sent again.
func TestWhatIsNotAccepted(t *testing.T) {
	var mu sync.Mutex
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		n++
		switch n % 4 {
		case 0:
			w.WriteHeader(http.StatusNoContent) // accepted, without an id
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusUnauthorized)
		case 3:
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	var acknowledged bytes.Buffer
	r := run(t, t.Context(), load.Options{URL: server.URL, Body: load.Webhook(0), Connections: 3, Count: 40, Acknowledged: &acknowledged})
	if r.Acknowledged != 10 || r.Refused[503] != 10 || r.Refused[401] != 10 || r.Failed != 10 || r.Failure == nil || r.Sent() != 40 || n != 40 {
		t.Errorf("report is %+v of %d that came, want ten of each and 40", r, n)
	}
	if got := strings.Count(acknowledged.String(), "- load-"); got != 10 {
		t.Errorf("acknowledged are %q, want 10 without an event id", &acknowledged)
	}
}

func TestNobodyIsThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	r := run(t, t.Context(), load.Options{URL: server.URL, Body: load.Webhook(0), Connections: 2, Count: 6})
	if r.Failed != 6 || r.Sent() != 6 || r.Failure == nil || r.Latency.Total() != 0 {
		t.Errorf("report is %+v, want 6 failed", r)
	}
}

// With a rate a webhook is due whether or not a connection is free for it, and what
// it waits for one counts.
func TestRate(t *testing.T) {
	const stall = 200 * time.Millisecond
	var stalled atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if !stalled.Swap(true) {
			<-time.After(stall)
		}
	}))
	defer server.Close()
	r := run(t, t.Context(), load.Options{URL: server.URL, Body: load.Webhook(0), Connections: 1, Count: 100, Rate: 1000})
	if r.Took < 99*time.Millisecond || r.Acknowledged != 100 {
		t.Errorf("100 webhooks at 1000 a second took %v: %+v", r.Took, r)
	}
	// The last one was due 100 ms before the first was answered.
	if least := r.Latency.Quantile(0); least < stall-100*time.Millisecond {
		t.Errorf("the shortest took %v: the wait for a connection does not count", least)
	}

	r = run(t, t.Context(), load.Options{URL: server.URL, Body: load.Webhook(0), Connections: 1, Duration: 50 * time.Millisecond, Rate: 100})
	if r.Sent() > 5 {
		t.Errorf("%d webhooks in 50 ms at 100 a second, want 5 at most", r.Sent())
	}
}

func TestTheRunEnds(t *testing.T) {
	e := newEndpoint(t, false)
	o := e.options()
	o.Count, o.Duration = 0, 50*time.Millisecond
	if r := run(t, t.Context(), o); r.Failed != 0 || r.Sent() == 0 || r.Took < o.Duration {
		t.Errorf("report is %+v, want all answered in 50 ms and a little", r)
	}
}

// Whoever does not answer is not waited for once the context has ended, or for
// longer than the timeout.
func TestAnAnswerThatDoesNotCome(t *testing.T) {
	arrived, release := make(chan struct{}, 9), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	o := load.Options{URL: server.URL, Body: load.Webhook(0), Connections: 1, Timeout: time.Hour}
	if r := run(t, ctx, o); r.Failed != 1 || r.Sent() != 1 {
		t.Errorf("report is %+v, want one failed", r)
	}
	o.Timeout, o.Count = 50*time.Millisecond, 1
	if r := run(t, t.Context(), o); r.Failed != 1 || r.Sent() != 1 {
		t.Errorf("report is %+v, want one failed", r)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestIdsThatCannotBeWrittenAreAnError(t *testing.T) {
	e := newEndpoint(t, false)
	o := e.options()
	o.Acknowledged = full{}
	g, err := load.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error is %v, want that of the disk", err)
	}
}

func TestOptions(t *testing.T) {
	good := load.Options{URL: "http://127.0.0.1/", Body: load.Webhook(0), Connections: 1}
	if _, err := load.New(good); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*load.Options){
		"url":             func(o *load.Options) { o.URL = "https://user:s3cret@host/" },
		"no connection":   func(o *load.Options) { o.Connections = 0 },
		"no placeholder":  func(o *load.Options) { o.Body = []byte(`{}`) },
		"two placeholder": func(o *load.Options) { o.Body = append(o.Body, o.Body...) },
	} {
		o := good
		spoil(&o)
		if _, err := load.New(o); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestWebhookHasItsSize(t *testing.T) {
	for _, size := range []int{load.MinSize(), 1400, 100_000} {
		body := load.Webhook(size)
		if len(body) != size || !json.Valid(body) {
			t.Errorf("body of %d bytes: %d, valid %v", size, len(body), json.Valid(body))
		}
	}
}
