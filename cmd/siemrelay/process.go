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
	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/console"
	"github.com/siemrelay/siemrelay/internal/ledger"
	"github.com/siemrelay/siemrelay/internal/operations"
	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/outputs"
)

// grace is how long a stop may take: requests in hand are answered and batches
// in hand are finished.
const grace = 20 * time.Second

// process is a running relay:
//
//	receiver --> inlet --> spool --> relay (one for each output) --> outputs
//	                          admin: health, readiness, metrics, and the API
//
// start builds it from left to right, but opens the door last; stop closes the
// door first.
type process struct {
	log       *slog.Logger
	newOutput func(config.Output, outputOptions) (outputs.Output, error)
	*stores   // nil until they are open
	outputs   []outputs.Output
	relays    map[string]*relay.Relay // by output
	ready     *readiness
	receiver  *receiver.Server
	// doorCertificate is nil over plain HTTP.
	doorCertificate *certificate.Pair
	tester          *tester // set before ready.open
	admin           *admin.Server
	console         *console.Console

	receiverAddr, adminAddr string

	stopRelays context.CancelFunc
	running    sync.WaitGroup // the relays
	servers    sync.WaitGroup
	failed     chan error // the first server that ended by itself
}

// start makes and runs everything that cfg describes. The caller stops it.
func start(cfg *config.Config, log *slog.Logger, stdout io.Writer) (*process, error) {
	p := newProcess(log)
	if err := p.start(cfg, stdout); err != nil {
		return nil, errors.Join(startFailure(err), p.stop())
	}
	return p, nil
}

func newProcess(log *slog.Logger) *process {
	return &process{log: log, newOutput: openOutput, relays: map[string]*relay.Relay{}, failed: make(chan error, 1)}
}

func (p *process) start(cfg *config.Config, stdout io.Writer) error {
	mapping, err := loadMapping(cfg)
	if err != nil {
		return err
	}
	registry := newRegistry()
	if p.stores, err = openStores(cfg, storeOptions{log: p.log, registry: registry}); err != nil {
		return err
	}
	p.ready = &readiness{writable: p.spool.Writable, needed: p.spool.Needed, most: int64(cfg.Spool.MaxSize)}
	registry.MustRegister(ledger.NewCollector(p.spool, p.letters), newBacklog(p.stores), p.ready.collector())
	if err := p.startRelays(cfg, relayOptions{mapping: mapping, registry: registry, stdout: stdout}); err != nil {
		return err
	}
	desk, err := newDesk(cfg, p.stores, deskOptions{
		mapping: mapping, log: p.log, relays: p.relays,
		live: &operations.Live{
			Started: time.Now(), Ready: p.ready.refusal, Warnings: p.ready.warnings,
			Receiver: func() admin.ReceiverStats { return received(registry) },
			SendTest: p.sendTest,
		},
	})
	if err != nil {
		return err
	}
	if p.receiver, err = p.newReceiver(cfg, newInlet(p.spool, mapping, newFeeds(cfg.Companies, registry)), registry); err != nil {
		return err
	}
	return p.listen(cfg, desk, registry)
}

// listen opens the admin listener and, last, the door.
func (p *process) listen(cfg *config.Config, desk *operations.Desk, registry *prometheus.Registry) (err error) {
	var lc net.ListenConfig
	adminListener, err := lc.Listen(context.Background(), "tcp", cfg.Admin.Listen)
	if err != nil {
		return listenFailure("admin.listen", err)
	}
	listener, err := lc.Listen(context.Background(), "tcp", cfg.Receiver.Listen)
	if err != nil {
		return errors.Join(listenFailure("receiver.listen", err), adminListener.Close())
	}
	p.adminAddr, p.receiverAddr = adminListener.Addr().String(), listener.Addr().String()
	if err := p.newAdmin(cfg, desk, registry); err != nil {
		return errors.Join(err, adminListener.Close(), listener.Close())
	}
	p.admin.Announce(adminListener.Addr())
	p.serve(func() error { return p.admin.Serve(adminListener) })
	p.tester = &tester{receiver: cfg.Receiver, address: p.receiverAddr, served: p.doorCertificate, now: time.Now}
	p.ready.open.Store(true)
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
	if p.ready != nil {
		p.ready.open.Store(false)
	}
	if p.receiver != nil {
		errs = append(errs, named("stop the receiver", p.receiver.Shutdown(ctx)))
	}
	if p.stopRelays != nil {
		p.stopRelays()
		p.running.Wait()
	}
	for _, out := range p.outputs {
		errs = append(errs, named("close an output", out.Close()))
	}
	if p.admin != nil {
		errs = append(errs, named("stop the admin listener", p.admin.Shutdown(ctx)))
	}
	if p.console != nil {
		p.console.Close()
	}
	if p.stores != nil {
		errs = append(errs, p.close())
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
