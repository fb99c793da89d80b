package sender_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/sender"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// endpoint answers with the given statuses, the last one again and again, and
// counts its calls and connections.
func endpoint(t *testing.T, statuses ...int) (url string, calls *atomic.Int64) {
	t.Helper()
	calls = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		user, password, _ := r.BasicAuth()
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || user != "defense" || password != "s3cret" || string(body) != `{"a":1}` ||
			r.Header.Get("Content-Type") != "application/json" || !r.Close {
			t.Errorf("request is %s %v %q", r.Method, r.Header, body)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(statuses[min(n, len(statuses))-1])
		io.WriteString(w, `{"status":"x"}`)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/hook", calls
}

func mustNew(t *testing.T, o sender.Options) *sender.Sender {
	t.Helper()
	o.Username, o.Password = "defense", "s3cret"
	s, err := sender.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestItTriesAgainAsTheVendorDoes(t *testing.T) {
	for name, c := range map[string]struct {
		statuses []int
		want     int // attempts
		accepted bool
	}{
		"at once":           {[]int{200}, 1, true},
		"any 2xx":           {[]int{204}, 1, true},
		"503 twice":         {[]int{503, 503, 200}, 3, true},
		"a client error":    {[]int{401, 200}, 2, true},
		"a redirect":        {[]int{307, 200}, 2, true},
		"five retries":      {[]int{500}, 6, false},
		"the last counts":   {[]int{500, 500, 500, 500, 500, 200}, 6, true},
		"and no more after": {[]int{500, 500, 500, 500, 500, 500, 200}, 6, false},
	} {
		t.Run(name, func(t *testing.T) {
			url, calls := endpoint(t, c.statuses...)
			var waits []time.Duration
			s := mustNew(t, sender.Options{URL: url, Retries: sender.MaxRetries, Speed: 60000,
				Retrying: func(_ sender.Attempt, wait time.Duration) { waits = append(waits, wait) }})
			attempts := s.Send(t.Context(), []byte(`{"a":1}`))
			last := attempts[len(attempts)-1]
			if len(attempts) != c.want || int(calls.Load()) != c.want || last.Accepted() != c.accepted {
				t.Errorf("%d attempts, %d calls, accepted %v: %v", len(attempts), calls.Load(), last.Accepted(), attempts)
			}
			for i, w := range waits {
				if want := time.Duration(i+1) * time.Millisecond; w != want {
					t.Errorf("wait %d is %v, want %v", i+1, w, want)
				}
			}
			if last.Status != 204 && !strings.Contains(last.String(), `{"status":"x"}`) {
				t.Errorf("the answer %q is not told", last)
			}
		})
	}
}

func TestNoAnswerIsTold(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	s := mustNew(t, sender.Options{URL: server.URL, Retries: 1, Speed: 1e9})
	attempts := s.Send(t.Context(), []byte(`{"a":1}`))
	if len(attempts) != 2 || attempts[1].Err == nil || attempts[1].Accepted() {
		t.Errorf("attempts %v, want two with an error", attempts)
	}
}

func TestTheContextEndsAWait(t *testing.T) {
	url, _ := endpoint(t, 500)
	ctx, cancel := context.WithCancelCause(t.Context())
	s := mustNew(t, sender.Options{URL: url, Retries: 5, Retrying: func(sender.Attempt, time.Duration) { cancel(errors.New("enough")) }})
	if attempts := s.Send(ctx, []byte(`{"a":1}`)); len(attempts) != 1 {
		t.Errorf("attempts %v, want one", attempts)
	}
}

func TestURLs(t *testing.T) {
	for _, url := range []string{"", "my.host/hook", "ftp://host/", "https://", "https://user:s3cret@host/hook", "https://user:s3cret@host:port/"} {
		_, err := sender.New(sender.Options{URL: url})
		if err == nil {
			t.Errorf("url %q was taken", url)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}
