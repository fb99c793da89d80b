package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/ledger"
	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// grace is how long a stop may take: requests in hand are answered and batches
// in hand are finished.
const grace = 20 * time.Second

// namespace is data_stream.namespace of every event.
const namespace = "default"

// process is a running relay:
//
//	receiver --> spool --> relay (one for each output) --> outputs
//	                          admin: health, readiness, metrics
//
// start builds it from left to right, but opens the door last; stop closes the
// door first.
type process struct {
	log      *slog.Logger
	spool    *spool.Spool
	outputs  []outputs.Output
	receiver *receiver.Server
	admin    *admin.Server

	receiverAddr, adminAddr string

	stopRelays context.CancelFunc
	relays     sync.WaitGroup
	servers    sync.WaitGroup
	failed     chan error // the first server that ended by itself
}

// start makes and runs everything that cfg describes. The caller stops it.
func start(cfg *config.Config, log *slog.Logger, stdout io.Writer) (*process, error) {
	p := &process{log: log, failed: make(chan error, 1)}
	if err := p.start(cfg, stdout); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *process) start(cfg *config.Config, stdout io.Writer) error {
	registry := newRegistry()
	var err error
	p.spool, err = spool.Open(spool.Options{
		Dir:       cfg.Spool.Dir,
		MaxSize:   int64(cfg.Spool.MaxSize),
		MinFree:   int64(cfg.Spool.MinFree),
		Retention: cfg.Spool.Retention,
		Log:       p.log,
		Registry:  registry,
	})
	if err != nil {
		return err
	}
	registry.MustRegister(ledger.NewCollector(p.spool))
	if err := p.startRelays(cfg, registry, stdout); err != nil {
		return err
	}
	p.admin = admin.New(admin.Options{Ready: p.spool.Writable, Gatherer: registry, Logger: p.log})
	var lc net.ListenConfig
	adminListener, err := lc.Listen(context.Background(), "tcp", cfg.Admin.Listen)
	if err != nil {
		return fmt.Errorf("open admin.listen: %w", err)
	}
	p.adminAddr = adminListener.Addr().String()
	p.serve(func() error { return p.admin.Serve(adminListener) })

	if p.receiver, err = newReceiver(cfg, store{p.spool}, p.log, registry); err != nil {
		return err
	}
	listener, err := lc.Listen(context.Background(), "tcp", cfg.Receiver.Listen)
	if err != nil {
		return fmt.Errorf("open receiver.listen: %w", err)
	}
	p.receiverAddr = listener.Addr().String()
	p.serve(func() error { return p.receiver.Serve(listener) })
	return nil
}

// serve runs a server until stop shuts it down.
func (p *process) serve(run func() error) {
	p.servers.Go(func() {
		if err := run(); err != nil {
			select {
			case p.failed <- err:
			default:
			}
		}
	})
}

func (p *process) startRelays(cfg *config.Config, registry prometheus.Registerer, stdout io.Writer) error {
	mapping, err := builtinMapping(cfg.LinkHosts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stopRelays = cancel
	metrics := relay.NewMetrics(registry)
	var relays []*relay.Relay
	for _, c := range cfg.Outputs {
		log := p.log.With("output", c.Name)
		out, err := openOutput(c, outputOptions{stdout: stdout, log: log})
		if err != nil {
			return err
		}
		p.outputs = append(p.outputs, out)
		r, err := newRelay(c, relay.Options{Output: out, Mapping: mapping, Logger: log, Metrics: metrics}, p.spool)
		if err != nil {
			return err
		}
		relays = append(relays, r)
	}
	p.warnOfOrphans(cfg)
	for i, r := range relays {
		p.relays.Go(func() {
			if err := r.Run(ctx); err != nil {
				p.log.Error("output stopped", "output", cfg.Outputs[i].Name, "error", err)
			}
		})
	}
	return nil
}

// newRelay completes o by what the configuration and the spool say.
func newRelay(c config.Output, o relay.Options, s *spool.Spool) (*relay.Relay, error) {
	encode, err := normalize.NewEncoder(c.Format, normalize.EncoderOptions{
		AgentVersion: version, Namespace: namespace, EventOriginal: c.EventOriginal,
	})
	if err != nil {
		return nil, err
	}
	from := spool.FromNow
	if c.Start == "oldest" {
		from = spool.FromOldest
	}
	cursor, err := s.Cursor(c.Name, from)
	if err != nil {
		return nil, err
	}
	o.Name, o.Source, o.Encode, o.Namespace = c.Name, &source{cursor: cursor}, encode, namespace
	o.Batch = relay.Batch{MaxEvents: c.Batch.MaxEvents, MaxBytes: int(c.Batch.MaxBytes), MaxWait: c.Batch.MaxWait}
	o.Retry = relay.Retry{Min: c.Retry.Min, Max: c.Retry.Max}
	return relay.New(o)
}

// source shows a spool's cursor as a relay wants it.
type source struct {
	cursor   *spool.Cursor
	returned []uint64 // sequences that no commit has passed
}

func (s *source) Ready() <-chan struct{} { return s.cursor.Ready() }

func (s *source) Next() (normalize.Raw, bool, error) {
	r, ok, err := s.cursor.Next()
	if ok {
		s.returned = append(s.returned, r.Sequence)
	}
	return normalize.Raw{ID: r.ID, Sequence: r.Sequence, Accepted: r.Accepted, Body: r.Body}, ok, err
}

func (s *source) Commit(next uint64) error {
	n := 0
	for n < len(s.returned) && s.returned[n] < next {
		n++
	}
	if err := s.cursor.Commit(next, spool.Outcome{Delivered: uint64(n)}); err != nil {
		return err
	}
	s.returned = s.returned[n:]
	return nil
}

// warnOfOrphans names the cursors whose output is not configured: they keep
// their backlog, and the spool can't let go of it.
func (p *process) warnOfOrphans(cfg *config.Config) {
	configured := map[string]bool{}
	for _, c := range cfg.Outputs {
		configured[c.Name] = true
	}
	for _, name := range p.spool.Cursors() {
		if !configured[name] {
			p.log.Warn("an output has left the configuration; its events are kept until it is back", "output", name)
		}
	}
}

// store shows a spool as the receiver wants it.
type store struct{ *spool.Spool }

func (s store) Append(body []byte) (receiver.Receipt, error) {
	id, err := s.Spool.Append(body)
	return receiver.Receipt{ID: id}, err
}

func (store) Unanswered(receiver.Receipt) {}

func newReceiver(cfg *config.Config, store receiver.Store, log *slog.Logger, registry prometheus.Registerer) (*receiver.Server, error) {
	c := cfg.Receiver
	o := receiver.Options{
		Path:           c.Path,
		InsecureNoAuth: c.InsecureNoAuth,
		Allow:          c.Allow,
		MaxBody:        int64(c.MaxBody),
		MaxConnections: c.MaxConnections,
		ReadTimeout:    c.ReadTimeout,
		WriteTimeout:   c.WriteTimeout,
		IdleTimeout:    c.IdleTimeout,
		Store:          store,
		Logger:         log,
		Registry:       registry,
	}
	for _, login := range c.BasicAuth {
		o.Credentials = append(o.Credentials, receiver.Credential{Username: login.Username, Password: login.Password.Value})
	}
	if !c.InsecureHTTP {
		var err error
		o.Certificate, err = receiver.LoadCertificate(receiver.CertificateOptions{
			CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile, Logger: log, Registry: registry,
		})
		if err != nil {
			return nil, err
		}
	}
	return receiver.New(o)
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "siemrelay_build_info", Help: "Always 1; the labels tell the version.",
	}, []string{"version", "goversion"})
	info.WithLabelValues(version, runtime.Version()).Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// stop closes the door, lets the relays finish the batch in hand, and lets go of
// the rest, within the grace time. It also stops what start left half done.
func (p *process) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var errs []error
	if p.receiver != nil {
		errs = append(errs, named("stop the receiver", p.receiver.Shutdown(ctx)))
	}
	if p.stopRelays != nil {
		p.stopRelays()
		p.relays.Wait()
	}
	for _, out := range p.outputs {
		errs = append(errs, named("close an output", out.Close()))
	}
	if p.spool != nil {
		errs = append(errs, named("close the spool", p.spool.Close()))
	}
	if p.admin != nil {
		errs = append(errs, named("stop the admin listener", p.admin.Shutdown(ctx)))
	}
	p.servers.Wait()
	return errors.Join(errs...)
}

// stopInTime gives up a stop that takes longer than limit, which a disk that no
// longer answers can make it: a commit can't be called back.
func (p *process) stopInTime(limit time.Duration) error {
	stopped := make(chan error, 1)
	go func() { stopped <- p.stop() }() // if it never ends, the process does
	select {
	case err := <-stopped:
		return err
	case <-time.After(limit):
		return fmt.Errorf("stop within %v: the disk does not answer; what was accepted is safe", limit)
	}
}

func named(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
