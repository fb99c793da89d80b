package main

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/normalize"
)

// inlet is the spool as the receiver wants it. It finds out which record a body is
// of, so that the spool can tell a retry from a repeat.
type inlet struct {
	spool   *spool.Spool
	mapping *normalize.Mapping
	feeds   feeds
	scratch sync.Pool // of *normalize.Event
}

func newInlet(s *spool.Spool, m *normalize.Mapping, f feeds) *inlet {
	i := &inlet{spool: s, mapping: m, feeds: f}
	i.scratch.New = func() any { return new(normalize.Event) }
	return i
}

// Append implements receiver.Store: body is one JSON object.
func (i *inlet) Append(body []byte) (receiver.Receipt, error) {
	return i.append(body, i.mapping.IdentifyObject)
}

// appendAny is Append for what the receiver has not seen, or has refused.
func (i *inlet) appendAny(body []byte) (receiver.Receipt, error) {
	return i.append(body, i.mapping.Identify)
}

// identify finds out which record a body is of.
type identify = func(scratch *normalize.Event, body []byte) normalize.Identity

func (i *inlet) append(body []byte, of identify) (receiver.Receipt, error) {
	entry, feed := i.entry(body, of)
	r, err := i.spool.Append(entry)
	if err == nil && feed != nil {
		feed.SetToCurrentTime()
	}
	return receiver.Receipt{ID: r.ID, Sequence: r.Sequence, Duplicate: r.Duplicate}, err
}

func (i *inlet) Unanswered(r receiver.Receipt) {
	i.spool.Unanswered(spool.Receipt{ID: r.ID, Sequence: r.Sequence, Duplicate: r.Duplicate})
}

// entry is what the spool gets, and the gauge of the body's company, if it has one.
func (i *inlet) entry(body []byte, of identify) (spool.Entry, prometheus.Gauge) {
	scratch := i.scratch.Get().(*normalize.Event)
	defer i.scratch.Put(scratch)
	identity := of(scratch, body)
	e := spool.Entry{Body: body, Unique: identity.Unique}
	if identity.Key != "" {
		var key [256]byte // nearly always long enough
		sum := sha256.Sum256(append(key[:0], identity.Key...))
		copy(e.Record[:], sum[:])
	}
	return e, i.feeds[identity.Company]
}

// newReceiver makes the door as the configuration says.
func (p *process) newReceiver(cfg *config.Config, store receiver.Store, registry prometheus.Registerer) (*receiver.Server, error) {
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
		Logger:         p.log,
		Registry:       registry,
	}
	if p.rejects != nil {
		o.Rejects = func(x receiver.Rejected) {
			p.rejects.Keep(deadletter.Rejected{At: x.At, Address: x.Address, Reason: x.Reason, Body: x.Body})
		}
	}
	for _, login := range c.BasicAuth {
		o.Credentials = append(o.Credentials, receiver.Credential{Username: login.Username, Password: login.Password.Value})
	}
	if !c.InsecureHTTP {
		var err error
		o.Certificate, err = certificate.Load(certificate.Options{
			CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile, Listener: "receiver",
			Protocols: []string{"http/1.1"}, Logger: p.log, Registry: registry,
		})
		if err != nil {
			return nil, err
		}
		p.doorCertificate = o.Certificate
		p.ready.certificate = validity(o.Certificate.Validity, time.Now)
	}
	return receiver.New(o)
}
