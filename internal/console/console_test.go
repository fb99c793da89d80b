package console_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// noon is a moment for tests that need none.
func noon() time.Time { return time.Date(2026, 6, 19, 12, 0, 0, 0, time.UTC) }

// open makes a console on f.
func open(t *testing.T, f *fake) *console.Console {
	t.Helper()
	c, err := console.New(console.Options{
		Operations: f, Explorer: f, Logger: quiet, Version: "1.4.0", Now: f.now,
		Intake: console.Intake{URL: "https://siemrelay.example.com:8443/webhooks/defense", Username: "defense", PasswordFile: "/etc/siemrelay/webhook-password"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var (
	operator = admin.Caller{Role: admin.Operator}
	viewer   = admin.Caller{Name: "eve", Role: admin.Viewer, Session: true}
)

// ask sends a request as who.
func ask(h http.Handler, who admin.Caller, method, target string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(admin.WithCaller(r.Context(), who)))
	return w
}

// get asks for a page as an operator.
func get(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	return ask(h, operator, http.MethodGet, target, nil, headers...)
}

func TestEveryPageIsThere(t *testing.T) {
	f := newScene(noon)
	c := open(t, f)
	for target, words := range map[string][]string{
		"/":                             {"Open threats", "Events by severity", "connection refused", "Latest events"},
		"/threats":                      {"SQL injection in the login form", "Priya Shah", "1–50 of 221"},
		"/threats?risk=critical":        {"Many failed logins"},
		"/tickets":                      {"Question about my latest scan results", "TES-TIN-G1200"},
		"/events":                       {"threat-reopened", "Older"},
		"/outputs":                      {"connection refused", "4\u202f182", "Replay…", "Cancel the replay…"},
		"/dead-letters":                 {"mapper_parsing_exception", "Drop all 2…"},
		"/rejected":                     {"malformed", "203.0.113.9:51822"},
		"/test":                         {"Send a test event"},
		"/outputs/replay?output=kibana": {"Accepted since", "Overwrite"},
		"/dead-letters?letter=2":        {"immense term", "What would be sent now"},
		"/rejected?body=2":              {"not an object", "bytes that are no UTF-8"},
	} {
		w := get(c, target)
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", target, w.Code)
		}
		for _, word := range words {
			if !strings.Contains(w.Body.String(), word) {
				t.Errorf("%s lacks %q", target, word)
			}
		}
	}
}
