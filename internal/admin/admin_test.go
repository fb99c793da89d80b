package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a server and returns its address; ready is what it says of readiness.
func start(t *testing.T, ready func() error) string {
	t.Helper()
	return serve(t, admin.Options{Ready: ready})
}

// serve runs a server with these options and returns its address.
func serve(t *testing.T, o admin.Options) string {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", o)
}

func serveOn(t *testing.T, listen string, o admin.Options) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "test_total", Help: "A test."})
	reg.MustRegister(c)
	o.Gatherer, o.Registry = reg, reg
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	s, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	s.Announce(ln.Addr())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func ask(t *testing.T, method, address, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAnswers(t *testing.T) {
	var notReady error
	address := start(t, func() error { return notReady })
	check := func(method, path string, status int, text string) {
		t.Helper()
		got, body := ask(t, method, address, path)
		if got != status || !strings.Contains(body, text) {
			t.Errorf("%s %s: %d %q, want %d with %q", method, path, got, body, status, text)
		}
	}
	check("GET", "/-/ready", 200, "ready")
	check("GET", "/metrics", 200, "test_total 0")
	check("HEAD", "/-/healthy", 200, "")
	check("POST", "/-/healthy", 405, "")
	check("GET", "/", 404, "")
	notReady = errors.New("spool is full")
	check("GET", "/-/ready", 503, "not ready: spool is full")
	check("GET", "/-/healthy", 200, "healthy")
}

func TestCheck(t *testing.T) {
	address := start(t, func() error { return errors.New("full") })
	if err := admin.Check(t.Context(), address); err != nil {
		t.Errorf("a process that is not ready is healthy all the same: %v", err)
	}
	sick, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Prometheus Server is Healthy.") // which has the same path
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(sick) }()
	if err := admin.Check(t.Context(), sick.Addr().String()); err == nil || !strings.Contains(err.Error(), "something else than siemrelay answers there, with status 200") {
		t.Errorf("check of something else said %v, want an error that says so", err)
	}
	server.Close()
	<-done
	if err := admin.Check(t.Context(), sick.Addr().String()); err == nil {
		t.Error("check of a closed port said nothing")
	}
}
