package main

import (
	"context"
	"io"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/normalize"
)

// namespace is data_stream.namespace of every event whose company has none, and whose
// output has none either.
const namespace = "default"

// relayOptions are what all relays share.
type relayOptions struct {
	mapping  *normalize.Mapping
	registry prometheus.Registerer
	stdout   io.Writer
}

// startRelays makes every output and its relay, and runs them once all are made.
func (p *process) startRelays(cfg *config.Config, o relayOptions) error {
	ctx, cancel := context.WithCancel(context.Background())
	p.stopRelays = cancel
	metrics := relay.NewMetrics(o.registry)
	for _, c := range cfg.Outputs {
		log := p.log.With("output", c.Name)
		out, err := p.newOutput(c, outputOptions{stdout: o.stdout, log: log, registry: o.registry, dataDir: cfg.Spool.Dir, companies: cfg.Companies})
		if err != nil {
			return settingsFailure(err)
		}
		p.outputs = append(p.outputs, out)
		r, err := p.newRelay(c, relay.Options{Output: out, Mapping: o.mapping, Logger: log, Metrics: metrics})
		if err != nil {
			return err
		}
		p.relays[c.Name] = r
	}
	p.warnOfOrphans()
	for name, r := range p.relays {
		p.running.Go(func() {
			if err := r.Run(ctx); err != nil {
				p.log.Error("output stopped", "output", name, "error", err)
			}
		})
	}
	return nil
}

// newRelay completes o by what the configuration and the stores say.
func (p *process) newRelay(c config.Output, o relay.Options) (*relay.Relay, error) {
	var err error
	if o.Encode, err = newEncoder(c); err != nil {
		return nil, err
	}
	if c.When != "" {
		if o.Filter, err = relay.ParseFilter(c.When); err != nil {
			return nil, err
		}
	}
	from := spool.FromNow
	if c.Start == "oldest" {
		from = spool.FromOldest
	}
	cursor, err := p.spool.Cursor(c.Name, from)
	if err != nil {
		return nil, err
	}
	if err := p.begin(c.Name); err != nil {
		return nil, err
	}
	o.Name, o.Namespace, o.State = c.Name, namespaceOf(c), stateOf(c)
	o.Lanes, o.Letters = p.lanes(c.Name, cursor, o.Logger), lettersOf{c.Name, p.letters}
	o.Batch = relay.Batch{MaxEvents: c.Batch.MaxEvents, MaxBytes: int(c.Batch.MaxBytes), MaxWait: c.Batch.MaxWait}
	o.Retry = relay.Retry{Min: c.Retry.Min, Max: c.Retry.Max}
	return relay.New(o)
}

func newEncoder(c config.Output) (normalize.Encoder, error) {
	return normalize.NewEncoder(c.Format, normalize.EncoderOptions{
		AgentVersion: version, Namespace: namespaceOf(c), EventOriginal: c.EventOriginal,
	})
}

// warnOfOrphans names the cursors whose output is not configured: they keep
// their backlog, and the spool can't let go of it.
func (p *process) warnOfOrphans() {
	for _, name := range p.spool.Cursors() {
		if p.relays[name] == nil {
			p.log.Warn("an output has left the configuration; its events are kept until it is back",
				"output", name, "to give them up", "siemrelay outputs forget "+name)
		}
	}
}
