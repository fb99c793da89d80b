// Package admin is the listener for the people and the machines that operate
// siemrelay: health, readiness, metrics, the API that the commands use, with its
// client, and the console, to which it is the gate.
//
// It guarantees that a request gets no further than its caller may go (see gate.go),
// and that an operation answers the same over HTTP as when it is called. It refuses to
// know what is healthy, how anything is mended and how a page looks: it asks the
// functions, the Operations and the Console that it is given. It is never on the
// address that webhooks come in on.
package admin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/siemrelay/siemrelay/internal/certificate"
)

// Paths for machines, GET and HEAD only. Those of the API are in api.go.
const (
	HealthyPath = "/-/healthy"
	ReadyPath   = "/-/ready"
	MetricsPath = "/metrics"
)

// Options are what the listener shows, and to whom.
type Options struct {
	// Ready returns nil while new webhooks would be accepted, else why not.
	Ready    func() error
	Gatherer prometheus.Gatherer
	Registry prometheus.Registerer // for metrics of its own; nil: they are not shown
	Logger   *slog.Logger
	Now      func() time.Time // wall clock; nil: time.Now
	// Operations are behind the API; nil: there is none.
	Operations Operations
	// Explorer is behind it too; nil: there are no events to look at.
	Explorer Explorer
	// Console is the pages for people; nil: there are none.
	Console Console
	// AccessDir is the spool's folder, whose lock the process has. While the server
	// runs, the files that ReadAccess reads are there.
	AccessDir string

	// CertFile and KeyFile are PEM files; empty: plain HTTP.
	CertFile, KeyFile string
	// Users are who may log in. Without them whoever reaches the listener may do
	// everything, so then it must be on a loopback address.
	Users []User
	// Listen is the host:port that the listener has in the configuration; Hosts are further
	// names for it.
	Listen string
	Hosts  []string
}

// Server is the admin listener.
type Server struct {
	http        *http.Server
	mux         *http.ServeMux
	console     Console // may be nil
	log         *slog.Logger
	certificate *certificate.Pair // nil: plain HTTP
	hosts       hosts
	origins     *http.CrossOriginProtection
	users       *users // nil: nobody has to log in
	sessions    *sessions
	announced   *announcement

	streams  chan struct{}   // has one element for each stream
	stopping context.Context // done when Shutdown begins
	stop     context.CancelFunc
}

// New makes a server; it listens to nothing yet.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		mux: http.NewServeMux(), console: o.Console, log: o.Logger,
		origins: http.NewCrossOriginProtection(), sessions: newSessions(o.Now), streams: make(chan struct{}, maxStreams),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.announced = &announcement{log: o.Logger, stopping: s.stopping}
	var err error
	if s.users, err = newUsers(o); err != nil {
		return nil, err
	}
	if o.CertFile != "" {
		s.certificate, err = certificate.Load(certificate.Options{
			CertFile: o.CertFile, KeyFile: o.KeyFile, Listener: "admin", Protocols: []string{"h2", "http/1.1"},
			Changed: s.announced.tellCertificate, Logger: o.Logger, Registry: o.Registry, Now: o.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("serve the console: %w", err)
		}
	}
	s.hosts = hosts{listen: hostOf(o.Listen), further: o.Hosts, served: s.certificate}
	s.route(o)
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	if s.certificate != nil {
		s.http.TLSConfig = s.certificate.Config()
	}
	return s, nil
}

// route says what answers at which path, to a caller that has passed the gate.
func (s *Server) route(o Options) {
	on := func(path string, h http.HandlerFunc) {
		s.mux.HandleFunc(path, Only(http.MethodGet, h, func(w http.ResponseWriter, _ *http.Request, _ string) {
			say(w, http.StatusMethodNotAllowed, "the method must be GET or HEAD")
		}))
	}
	// A process that can answer can also recover: a full disk or an output that
	// is down is no reason to be restarted.
	on(HealthyPath, func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "healthy") })
	on(ReadyPath, func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	on(MetricsPath, promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // what can be told is told
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelError),
	}).ServeHTTP)
	s.mux.HandleFunc(LoginPath, s.loginForm)
	s.mux.HandleFunc(LogoutPath, s.logOut)
	if o.Operations != nil {
		s.announced.dir, s.announced.token = o.AccessDir, newToken()
		s.mux.Handle(apiPrefix, (&api{ops: o.Operations, explorer: o.Explorer, log: o.Logger}).handler())
	}
	if s.console != nil {
		s.mux.Handle("/", s.console)
	}
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Server", serverName)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// Announce writes for the commands where the server listens: addr is that of the
// listener that Serve is about to get, whose queue holds what comes until then.
func (s *Server) Announce(addr net.Addr) { s.announced.tellAddress(addr, s.Leaf()) }

// Serve answers requests on ln, a plain TCP listener also if there is a certificate,
// until Shutdown, then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	ln = limit(ln)
	var err error
	if s.certificate != nil {
		err = s.http.ServeTLS(ln, "", "")
	} else {
		err = s.http.Serve(ln)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin requests: %w", err)
	}
	return nil
}

// Leaf is the certificate in use, nil over plain HTTP.
func (s *Server) Leaf() *x509.Certificate {
	if s.certificate == nil {
		return nil
	}
	return s.certificate.Leaf()
}

// Shutdown stops the server, at the latest when ctx is done. Streams end at once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	s.sessions.finishAll()
	errs := []error{s.announced.withdraw()}
	if err := s.http.Shutdown(ctx); err != nil {
		errs = append(errs, err, s.http.Close())
	}
	return errors.Join(errs...)
}
