// Package certificate serves a TLS certificate that follows its files, for the door as
// for the console.
//
// It guarantees that a pair which can't be used never replaces one that can, and that
// an end is warned of before it comes. It refuses to know who listens and who looks at
// it.
package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// certificateCheck is how long a certificate is served before its files are
	// looked at again.
	certificateCheck = 2 * time.Second
	// expiryWarning is how long before its end a certificate is warned about,
	// and expiryRepeat how often.
	expiryWarning = 14 * 24 * time.Hour
	expiryRepeat  = 24 * time.Hour
)

// Options says where a certificate comes from and what it is for.
type Options struct {
	CertFile string // PEM: the certificate and its chain
	KeyFile  string // PEM: its private key
	// Listener is the part of the metrics' names that tells listeners apart, and the
	// log's: "receiver" or "admin".
	Listener string
	// Protocols are offered in the handshake (ALPN), the best first.
	Protocols []string
	// Changed is called when another certificate is about to be served, before the
	// first handshake with it ends; nil: nobody asks. It must not ask the Pair.
	Changed  func(leaf *x509.Certificate)
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil: the expiry is not shown
	Now      func() time.Time      // wall clock; nil: time.Now
}

// Pair is a TLS certificate that follows its files. A handshake, or a
// look at the metrics, finds out about a change within certificateCheck; there
// is no goroutine. A pair that can't be used never replaces one that can.
type Pair struct {
	certFile, keyFile string
	changed           func(leaf *x509.Certificate)
	logger            *slog.Logger
	now               func() time.Time
	config            *tls.Config

	current atomic.Pointer[tls.Certificate]
	checked atomic.Int64 // when the files were last read, Unix nanoseconds

	mu      sync.Mutex // held while the files are read; guards what follows
	cert    []byte     // the contents in use
	key     []byte
	problem string // the last failure logged, empty when all is well
	warned  time.Time
}

// Load reads the pair. It fails if that can't be used now. An expired
// one is used, with a warning: some senders don't look, and an alert is lost if
// nobody takes it.
func Load(o Options) (*Pair, error) {
	if o.Logger == nil {
		return nil, errors.New("load certificate: Logger is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Pair{certFile: o.CertFile, keyFile: o.KeyFile, changed: o.Changed, logger: o.Logger.With("listener", o.Listener), now: o.Now}
	c.config = &tls.Config{
		GetCertificate: c.get,
		MinVersion:     tls.VersionTLS12,
		NextProtos:     o.Protocols,
	}
	if err := c.read(); err != nil {
		return nil, err
	}
	c.checked.Store(c.now().UnixNano())
	c.warnOfExpiry()
	if o.Registry == nil {
		return c, nil
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "siemrelay", Subsystem: o.Listener, Name: name, Help: help}, value)
	}
	for _, g := range []prometheus.Collector{
		gauge("certificate_expiry_timestamp_seconds",
			"Unix time at which the TLS certificate in use expires.", func() float64 { return float64(c.NotAfter().Unix()) }),
		gauge("certificate_refused",
			"1 while the certificate's files hold what can't be used and the last good pair is served, else 0.", c.refused),
	} {
		if err := o.Registry.Register(g); err != nil {
			return nil, fmt.Errorf("register certificate metrics: %w", err)
		}
	}
	return c, nil
}

// refused returns 1 if the last look at the files found what can't be used.
func (c *Pair) refused() float64 {
	c.refresh()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem != "" {
		return 1
	}
	return 0
}

// Config is a server's: it serves the pair, and nothing older than TLS 1.2.
func (c *Pair) Config() *tls.Config { return c.config }

// Leaf returns the certificate in use.
func (c *Pair) Leaf() *x509.Certificate {
	c.refresh()
	return c.current.Load().Leaf
}

// Validity returns the time in which the certificate in use is valid.
func (c *Pair) Validity() (from, to time.Time) {
	leaf := c.Leaf()
	return leaf.NotBefore, leaf.NotAfter
}

// NotAfter returns the end of the validity of the certificate in use.
func (c *Pair) NotAfter() time.Time { return c.Leaf().NotAfter }

func (c *Pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.refresh()
	return c.current.Load(), nil
}

// refresh reads the files again if that is due and nobody else is at it.
func (c *Pair) refresh() {
	last := time.Unix(0, c.checked.Load())
	if c.now().Sub(last).Abs() < certificateCheck || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	c.checked.Store(c.now().UnixNano())
	err := c.read()
	switch {
	case err == nil && c.problem != "":
		c.problem = ""
		c.logger.Info("certificate is good again", "file", c.certFile)
	case err != nil && err.Error() != c.problem:
		c.problem = err.Error()
		c.logger.Error("can't use the new certificate, keeping the old one", "error", err)
	}
	c.warnOfExpiry()
}

// read reads the files whole, which is cheaper than to reason about what a
// changed or unchanged time of modification means.
func (c *Pair) read() error {
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("read private key: %w", err)
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("use certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	old := c.current.Load()
	if now := c.now(); old != nil && now.After(pair.Leaf.NotAfter) && now.Before(old.Leaf.NotAfter) {
		return fmt.Errorf("use certificate %s: it expired on %s", c.certFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.cert, c.key = cert, key
	if old != nil && c.changed != nil {
		c.changed(pair.Leaf)
	}
	c.current.Store(&pair)
	if old != nil {
		c.warned = time.Time{}
		c.logger.Info("serving a new certificate", "file", c.certFile, "expires", pair.Leaf.NotAfter)
	}
	return nil
}

func (c *Pair) warnOfExpiry() {
	now, end := c.now(), c.current.Load().Leaf.NotAfter
	if end.Sub(now) > expiryWarning || now.Sub(c.warned).Abs() < expiryRepeat {
		return
	}
	c.warned = now
	if now.After(end) {
		c.logger.Error("the TLS certificate has expired: whoever connects will refuse it", "file", c.certFile, "expired", end)
		return
	}
	c.logger.Warn("the TLS certificate expires soon", "file", c.certFile, "expires", end)
}
