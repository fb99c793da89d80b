package receiver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

// shutdown waits until all connections have ended.
func (d *door) shutdown(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// request is a delivery of body with the right login.
func (d *door) request(body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n%s", d.Path, basic(username, password), len(body), body)
}

// bothWays runs a test without TLS and with it.
func bothWays(t *testing.T, test func(t *testing.T, secure bool)) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) { test(t, secure) })
	}
}

func TestUnwrittenAnswerIsTold(t *testing.T) {
	bothWays(t, func(t *testing.T, secure bool) {
		for name, f := range map[string]fault{"fails": failing, "short": partial, "short and mute": mutePartial, "no deadline": closed} {
			for _, duplicate := range []bool{false, true} {
				if f == mutePartial && secure {
					continue // TLS relies on what net.Conn promises
				}
				t.Run(fmt.Sprintf("%s, duplicate=%v", name, duplicate), func(t *testing.T) {
					d, l := openFaulty(t, secure, nil)
					c := keepAlive(t, d)
					d.store.duplicate = duplicate
					d.store.before = func([]byte) error {
						l.fault.Store(int32(f))
						return nil
					}
					if _, err := io.WriteString(c, c.request); err != nil {
						t.Fatal(err)
					}
					if answer, err := http.ReadResponse(c.in, nil); err == nil && answer.StatusCode == http.StatusOK {
						if _, err := io.ReadAll(answer.Body); err == nil {
							t.Error("the answer came in full")
						}
					}
					c.Close()
					d.shutdown(t)
					want := []receiver.Receipt{{ID: fmt.Sprintf("%032x", 2), Sequence: 2, Duplicate: duplicate}}
					if got := d.store.unanswered(); !slices.Equal(got, want) {
						t.Errorf("unanswered %v, want %v", got, want)
					}
					if n := d.metric(t, "siemrelay_receiver_unanswered_total"); n != 1 {
						t.Errorf("%v counted", n)
					}
				})
			}
		}
	})
}

func TestWrittenAnswerIsNotUnanswered(t *testing.T) {
	bothWays(t, func(t *testing.T, secure bool) {
		d := open(t, secure, nil)
		c := keepAlive(t, d)
		for i := range 6 {
			d.store.duplicate = i%2 == 0 // nobody else is sending
			c.again(t)
		}
		c.request = strings.Replace(c.request, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1)
		c.send(t) // reads the interim answer only
		if answer, err := http.ReadResponse(c.in, nil); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("answer %v, %v", answer, err)
		}
		for range 3 {
			d.mustAccept(t)
			d.post(t, `{`)
		}
		idle := keepAlive(t, d)
		c.Close()
		d.shutdown(t)
		idle.Close()
		if got := d.store.unanswered(); len(got) != 0 {
			t.Errorf("told that %v are unanswered", got)
		}
	})
}

// TestPipelinedAnswersAreToldApart would fail if two answers shared a write, or
// a write were taken for the wrong one. Every third request is refused.
func TestPipelinedAnswersAreToldApart(t *testing.T) {
	bothWays(t, func(t *testing.T, secure bool) {
		for fails, stored := range map[int]int{1: 1, 2: 2, 4: 3, 5: 4} {
			d, l := openFaulty(t, secure, nil)
			d.store.before = func(body []byte) error {
				if strings.Contains(string(body), fmt.Sprintf(`"%d"`, fails)) {
					l.fault.Store(int32(failing))
				}
				return nil
			}
			conn := dial(t, d, 20*time.Second)
			var all string
			for i := 1; i <= 5; i++ {
				body := fmt.Sprintf(`{"id":"%d"}`, i)
				if i%3 == 0 {
					body += "{"
				}
				all += d.request(body)
			}
			if _, err := io.WriteString(conn, all); err != nil {
				t.Fatal(err)
			}
			answers, in := 0, bufio.NewReader(conn)
			for {
				answer, err := http.ReadResponse(in, nil)
				if err != nil {
					break
				}
				answers++
				_, _ = io.Copy(io.Discard, answer.Body)
			}
			conn.Close()
			d.shutdown(t)
			lost := d.store.unanswered()
			if answers != fails-1 || len(lost) != 1 || lost[0].Sequence != uint64(stored) || len(d.store.stored()) != stored {
				t.Errorf("answer %d failed to be written: %d came, unanswered %v, %d stored", fails, answers, lost, len(d.store.stored()))
			}
		}
	})
}

// TestWriteTimeoutIsUnanswered has a peer that sends and never reads.
func TestWriteTimeoutIsUnanswered(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	l := &pipes{Listener: listen(t), conns: make(chan net.Conn, 1)}
	l.conns <- far
	d := openOn(t, l, false, func(o *receiver.Options) { o.WriteTimeout = 50 * time.Millisecond })
	if _, err := io.WriteString(near, d.request(`{}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the answer is given up", func() bool { return len(d.store.unanswered()) == 1 })
	d.shutdown(t)
	if n := len(d.store.unanswered()); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestEveryWriteHasADeadline: that of a "100 Continue", of an answer, and of what fasthttp
// refuses by itself. How far away it is, TestDeadlinesAreNeverEarly tells.
func TestEveryWriteHasADeadline(t *testing.T) {
	d, l := openFaulty(t, false, nil)
	c := keepAlive(t, d)
	for range 2 {
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", d.Path, basic(username, password)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{http.StatusContinue, http.StatusOK} {
			if answer, err := http.ReadResponse(c.in, nil); err != nil || answer.StatusCode != want {
				t.Fatalf("answer %v, %v; want %d", answer, err, want)
			} else if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.send(t, "POST $PATH HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 2\r\n\r\n{}") // 401
	d.send(t, "nonsense\r\n\r\n")
	if l.stale.Load() {
		t.Error("a write had no deadline")
	}
}

// TestPanicAfterAppendIsUnanswered: stored, and then something else than the 200
// is answered. It also must not be counted as both.
func TestPanicAfterAppendIsUnanswered(t *testing.T) {
	var broken atomic.Bool
	d := open(t, false, func(o *receiver.Options) {
		o.Now = func() time.Time {
			if broken.Load() {
				panic("clock broke")
			}
			return time.Now()
		}
	})
	d.mustAccept(t)
	broken.Store(true)
	got := d.post(t, `{}`)
	broken.Store(false)
	if len(got.Statuses) != 1 || got.Statuses[0] != http.StatusServiceUnavailable {
		t.Errorf("answers %v", got.Statuses)
	}
	d.shutdown(t)
	if lost := d.store.unanswered(); len(lost) != 1 || lost[0].Sequence != 2 {
		t.Errorf("unanswered %v", lost)
	}
	for name, want := range map[string]float64{"accepted_total": 1, "duplicates_total": 0, "unanswered_total": 1} {
		if n := d.metric(t, "siemrelay_receiver_"+name); n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
}

// TestCutByShutdownIsUnanswered: the time is over before the store returns.
func TestCutByShutdownIsUnanswered(t *testing.T) {
	d := open(t, false, nil)
	c := keepAlive(t, d)
	entered, release := make(chan struct{}), make(chan struct{})
	d.store.before = func([]byte) error {
		close(entered)
		<-release
		return nil
	}
	if _, err := io.WriteString(c, c.request); err != nil {
		t.Fatal(err)
	}
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := d.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	close(release)
	d.shutdown(t)
	if lost := d.store.unanswered(); len(lost) != 1 || lost[0].Sequence != 2 {
		t.Errorf("unanswered %v", lost)
	}
}

// panickyStore panics when it is told of an unanswered event.
type panickyStore struct{ *recorder }

func (s panickyStore) Unanswered(r receiver.Receipt) {
	s.recorder.Unanswered(r)
	panic("store broke")
}

func TestPanicOfTheStoreThatIsTold(t *testing.T) {
	store := panickyStore{&recorder{}}
	d, l := openFaulty(t, false, func(o *receiver.Options) { o.Store = store })
	l.fault.Store(int32(failing))
	if got := d.post(t, `{}`); got.Class() != "closed" {
		t.Errorf("answers %v", got.Statuses)
	}
	l.fault.Store(int32(none))
	d.mustAccept(t)
	if n := len(store.unanswered()); n != 1 || d.log.count("store broke") != 1 {
		t.Errorf("told %d times; the log:\n%s", n, d.log)
	}
}
