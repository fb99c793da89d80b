// Package admin is the listener for the person and the machines that operate
// siemrelay: health, readiness, metrics, and the API that the commands use, with
// its client.
//
// It guarantees that only who may read the spool's folder sees a body or changes
// anything (see guard), and that an operation answers the same over HTTP as when
// it is called. It refuses to know what is healthy and how anything is mended: it
// asks the functions and the Operations that it is given. It is never on the
// address that webhooks come in on.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Paths for machines, GET and HEAD only. Those of the API are in api.go.
const (
	HealthyPath = "/-/healthy"
	ReadyPath   = "/-/ready"
	MetricsPath = "/metrics"
)

// Options are what the listener shows.
type Options struct {
	// Ready returns nil while new webhooks would be accepted, else why not.
	Ready    func() error
	Gatherer prometheus.Gatherer
	Logger   *slog.Logger
	// Operations are behind the API; nil: there is none.
	Operations Operations
	// AccessDir is the spool's folder, whose lock the process has. While the server
	// runs, the files that ReadAccess reads are there.
	AccessDir string
}

// Server is the admin listener.
type Server struct {
	http      *http.Server
	log       *slog.Logger
	accessDir string // empty: there is no API
	token     string
}

// New makes a server; it listens to nothing yet.
func New(o Options) *Server {
	mux := http.NewServeMux()
	// A process that can answer can also recover: a full disk or an output that
	// is down is no reason to be restarted.
	mux.HandleFunc("GET "+HealthyPath, func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "healthy") })
	mux.HandleFunc("GET "+ReadyPath, func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	mux.Handle("GET "+MetricsPath, promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // what can be told is told
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelError),
	}))
	s := &Server{log: o.Logger}
	if o.Operations != nil {
		s.accessDir, s.token = o.AccessDir, newToken()
		mux.Handle(apiPrefix, (&api{o.Operations, s.token, o.Logger}).handler())
	}
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// Serve answers requests on ln until Shutdown, then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	if s.accessDir != "" {
		// A full disk must not end a process that would recover from it.
		if err := writeAccess(s.accessDir, Access{ln.Addr().String(), s.token}); err != nil {
			s.log.Error("commands can't reach this process until its next start", "error", err)
		}
	}
	if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin requests: %w", err)
	}
	return nil
}

// Shutdown stops the server, at the latest when ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	var errs []error
	if s.accessDir != "" {
		errs = append(errs, removeAccess(s.accessDir))
	}
	if err := s.http.Shutdown(ctx); err != nil {
		errs = append(errs, err, s.http.Close())
	}
	return errors.Join(errs...)
}

// Check asks the admin listener at address (host:port) whether the process is
// healthy, and returns nil if it says so.
func Check(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+HealthyPath, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %q for health: %w", address, err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // never through a proxy
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("ask %s for health: %w", address, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("ask %s for health: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s for health: status %d: %s", address, resp.StatusCode, text)
	}
	return nil
}
