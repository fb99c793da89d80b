package main

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/spool"
)

// nearlyFull is the part of spool.max_size that events which an output still needs
// may take before somebody has to come: what is left is for the time until then.
const nearlyFull = 0.95

// readiness tells whether webhooks arrive and are kept.
type readiness struct {
	// writable returns nil while a new webhook would be stored.
	writable func() error
	// needed and most are the bytes of events that an output still needs, and how many
	// there may be.
	needed func() int64
	most   int64
	// certificate returns nil while senders can trust the door's; nil over plain HTTP.
	// It is set before the door is open.
	certificate func() error
	open        atomic.Bool // the door listens
}

var errNotListening = errors.New("the webhook's address is not open")

// refusal returns why new webhooks are not accepted, nil if they are.
func (r *readiness) refusal() error {
	if !r.open.Load() {
		return errNotListening
	}
	return r.writable()
}

// warnings are what stops webhooks soon, or stops them before they are here.
func (r *readiness) warnings() []string {
	var list []string
	if r.open.Load() && r.certificate != nil {
		if err := r.certificate(); err != nil {
			list = append(list, err.Error())
		}
	}
	if needed := r.needed(); float64(needed) > nearlyFull*float64(r.most) && !errors.Is(r.writable(), spool.ErrFull) {
		list = append(list, fmt.Sprintf("the spool is nearly full: %d bytes are waiting, max_size is %d", needed, r.most))
	}
	return list
}

// check returns nil while webhooks arrive and are kept, and are likely to be for a
// while; else all that is in the way.
func (r *readiness) check() error {
	if err := r.refusal(); err != nil {
		return err
	}
	if list := r.warnings(); len(list) > 0 {
		return errors.New(strings.Join(list, "; "))
	}
	return nil
}

// collector shows check as a metric.
func (r *readiness) collector() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "siemrelay_ready", Help: "1 while webhooks arrive and are kept, as /-/ready says it, else 0.",
	}, func() float64 {
		if r.check() != nil {
			return 0
		}
		return 1
	})
}

// validity returns a check of the time in which a certificate is valid.
func validity(period func() (from, to time.Time), now func() time.Time) func() error {
	return func() error {
		from, to := period()
		switch t := now(); {
		case t.After(to):
			return fmt.Errorf("the certificate of the webhook's address expired on %s: senders refuse it", stamp(to))
		case t.Before(from):
			return fmt.Errorf("the certificate of the webhook's address is not valid before %s: senders refuse it", stamp(from))
		}
		return nil
	}
}
