package console_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// stream is a page that listens to the live stream of a console.
type stream struct {
	header http.Header
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	status int
	text   bytes.Buffer
}

func (s *stream) Header() http.Header { return s.header }
func (s *stream) Flush()              {}

func (s *stream) WriteHeader(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// take returns what came since the last time.
func (s *stream) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.text.Reset()
	return s.text.String()
}

func listen(h http.Handler) *stream {
	ctx, cancel := context.WithCancel(admin.WithCaller(context.Background(), viewer))
	s := &stream{header: http.Header{}, cancel: cancel, done: make(chan struct{}), status: http.StatusOK}
	go func() { // until the stream ends
		defer close(s.done)
		h.ServeHTTP(s, httptest.NewRequest(http.MethodGet, "/live", http.NoBody).WithContext(ctx))
	}()
	return s
}

// pass lets time go by in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestTheStreamTellsNewsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newScene(noon)
		c := open(t, f)
		defer c.Close()
		s := listen(c)
		defer s.cancel()
		pass(100 * time.Millisecond)
		if got := s.take(); !strings.HasPrefix(got, "retry: ") || !strings.Contains(got, "event: news\ndata: {\"sequence\":") || s.header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("it began with %q, %v", got, s.header)
		}
		pass(5 * time.Second)
		if got := s.take(); got != "" {
			t.Errorf("without news it said %q", got)
		}
		f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "new", Title: "new"}})
		pass(1100 * time.Millisecond)
		if got := s.take(); strings.Count(got, "event: news") != 1 {
			t.Errorf("a new event was told as %q", got)
		}
		f.mu.Lock()
		f.status.Ready = false
		f.mu.Unlock()
		pass(1100 * time.Millisecond)
		if got := s.take(); strings.Count(got, "event: news") != 1 {
			t.Errorf("another status was told as %q", got)
		}
		pass(30 * time.Second)
		if got := s.take(); strings.Count(got, "event: beat") != 2 || strings.Contains(got, "news") {
			t.Errorf("in 30 quiet seconds it said %q", got)
		}
	})
}

// Nothing is asked for while nobody listens.
func TestTheFeedRestsWhileNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newScene(noon)
		c := open(t, f)
		defer c.Close()
		pass(time.Minute)
		if said := f.said(""); len(said) != 0 {
			t.Errorf("without a stream it asked %v", said)
		}
		a, b := listen(c), listen(c)
		pass(10500 * time.Millisecond)
		if n := len(f.said("Status")); n < 10 || n > 12 {
			t.Errorf("with two streams it asked %d times in 10 seconds", n)
		}
		a.cancel()
		b.cancel()
		<-a.done
		<-b.done
		pass(2 * time.Second)
		f.said("")
		pass(time.Minute)
		if said := f.said(""); len(said) != 0 {
			t.Errorf("after the last stream it asked %v", said)
		}
		// Who comes back is told where things are, though nothing has changed.
		c2 := listen(c)
		defer c2.cancel()
		pass(100 * time.Millisecond)
		if got := c2.take(); !strings.Contains(got, "event: news") {
			t.Errorf("who comes back hears %q", got)
		}
	})
}

func TestTheFeedOutlivesAnOutageOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newScene(noon)
		c := open(t, f)
		defer c.Close()
		s := listen(c)
		defer s.cancel()
		pass(time.Second)
		s.take()
		f.mu.Lock()
		f.err = errors.New("broken")
		f.mu.Unlock()
		pass(5 * time.Second)
		if got := s.take(); strings.Count(got, "event: news") != 1 || !strings.Contains(got, `{"sequence":0,"status":"unknown"}`) {
			t.Errorf("an outage was told as %q", got)
		}
		f.mu.Lock()
		f.err = nil
		f.mu.Unlock()
		pass(2 * time.Second)
		if got := s.take(); strings.Count(got, "event: news") != 1 {
			t.Errorf("its end was told as %q", got)
		}
	})
}

func TestStreamsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newScene(noon))
		defer c.Close()
		var all []*stream
		for range 64 {
			all = append(all, listen(c))
		}
		synctest.Wait()
		more := listen(c)
		<-more.done
		if more.status != http.StatusServiceUnavailable || more.header.Get("Retry-After") == "" {
			t.Errorf("one too many got status %d", more.status)
		}
		all[0].cancel()
		<-all[0].done
		again := listen(c)
		synctest.Wait()
		if again.status != http.StatusOK {
			t.Errorf("after one had gone the next got status %d", again.status)
		}
	})
}

func TestCloseEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newScene(noon))
		s := listen(c)
		synctest.Wait()
		c.Close()
		<-s.done
		after := listen(c)
		<-after.done
		if after.status != http.StatusServiceUnavailable {
			t.Errorf("after the end a stream got status %d", after.status)
		}
		if w := get(c, "/outputs"); w.Code != http.StatusOK {
			t.Errorf("after the end a page has status %d", w.Code)
		}
		c.Close() // twice does nothing
	})
}

// The listener's time limits are for requests that end; a stream outlives them.
func TestTheStreamOutlivesTheListenersLimits(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	s := httptest.NewUnstartedServer(c)
	s.Config.ReadTimeout, s.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	s.Start()
	defer s.Close()
	defer c.Close()
	r, err := http.Get(s.URL + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	until := func(word string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), word) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", word, lines.Err())
	}
	until("sequence")
	<-time.After(500 * time.Millisecond) // past both limits
	f.add(fakeEvent{EventSummary: admin.EventSummary{Kind: "threat", Record: "late", Title: "late"}})
	until("sequence")
}
