package receiver_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/receiver"
)

// certified is a receiver with a certificate on files, and its own clock.
type certified struct {
	*door
	dir   string
	ahead atomic.Int64 // how far its clock is ahead, in nanoseconds
}

func newCertified(t *testing.T, first pair) *certified {
	t.Helper()
	c := &certified{dir: t.TempDir()}
	cert, key := first.write(t, c.dir)
	c.door = open(t, false, func(o *receiver.Options) {
		served, err := certificate.Load(certificate.Options{
			Listener: "receiver",
			CertFile: cert, KeyFile: key, Logger: o.Logger, Registry: o.Registry,
			Now: func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) },
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Certificate = served
	})
	return c
}

// later makes the files due for another look.
func (c *certified) later(d time.Duration) { c.ahead.Add(int64(d)) }

// serves fails unless a handshake shows p.
func (c *certified) serves(t *testing.T, p pair, when string) {
	t.Helper()
	conn, err := tls.Dial("tcp", c.Address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(p.serial(t)) != 0 {
		t.Errorf("%s: another certificate is served", when)
	}
}

func (p pair) serial(t *testing.T) *big.Int {
	t.Helper()
	block, _ := pem.Decode(p.cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber
}

const year = 365 * 24 * time.Hour

func TestCertificateFollowsItsFiles(t *testing.T) {
	first, second, third := newPair(t, year), newPair(t, year), newPair(t, year)
	expired := newPair(t, -time.Hour)
	c := newCertified(t, first)
	c.serves(t, first, "at the start")

	second.write(t, c.dir)
	c.later(time.Second)
	c.serves(t, first, "a second later")
	c.later(2 * time.Second)
	c.serves(t, second, "three seconds later")

	// Every way in which the files can be bad leaves the last good pair in use.
	for name, damage := range map[string]func(){
		"half replaced": func() { write(t, c.dir, "tls.crt", third.cert) },
		"swapped":       func() { write(t, c.dir, "tls.crt", third.key); write(t, c.dir, "tls.key", third.cert) },
		"empty":         func() { write(t, c.dir, "tls.crt", nil) },
		"cut":           func() { write(t, c.dir, "tls.key", third.key[:len(third.key)/2]) },
		"gone":          func() { os.Remove(filepath.Join(c.dir, "tls.key")) },
		"expired":       func() { expired.write(t, c.dir) },
	} {
		lines := c.log.count("can't use the new certificate")
		damage()
		for range 3 {
			c.later(3 * time.Second)
			c.serves(t, second, name)
		}
		if n := c.log.count("can't use the new certificate") - lines; n != 1 {
			t.Errorf("%s: logged %d times", name, n)
		}
		second.write(t, c.dir)
		c.later(3 * time.Second)
		c.serves(t, second, "after "+name)
	}
	third.write(t, c.dir)
	c.later(3 * time.Second)
	c.serves(t, third, "in the end")
	if strings.Contains(c.log.String(), "PRIVATE KEY") {
		t.Error("the log holds a private key")
	}
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateExpiryIsShownAndWarnedOf(t *testing.T) {
	first := newPair(t, 20*24*time.Hour)
	c := newCertified(t, first)
	end := c.metric(t, "siemrelay_receiver_certificate_expiry_timestamp_seconds")
	if d := time.Until(time.Unix(int64(end), 0)); d < 19*24*time.Hour || d > 20*24*time.Hour {
		t.Errorf("the metric says it expires in %s", d)
	}
	if c.log.count("expires soon") != 0 {
		t.Error("warned 20 days before")
	}
	c.later(7 * 24 * time.Hour)
	for range 5 {
		c.later(time.Hour)
		c.serves(t, first, "13 days before its end")
	}
	if n := c.log.count("expires soon"); n != 1 {
		t.Errorf("warned %d times in five hours", n)
	}
	c.later(24 * time.Hour)
	c.serves(t, first, "12 days before its end")
	if n := c.log.count("expires soon"); n != 2 {
		t.Errorf("warned %d times in two days", n)
	}
	c.later(15 * 24 * time.Hour)
	c.serves(t, first, "after its end")
	if n := c.log.count("has expired"); n != 1 {
		t.Errorf("said %d times that it has expired", n)
	}
	// A look at the metrics is enough to find a new one.
	newPair(t, year).write(t, c.dir)
	c.later(3 * time.Second)
	if after := c.metric(t, "siemrelay_receiver_certificate_expiry_timestamp_seconds"); after <= end {
		t.Error("the metric still shows the old certificate")
	}
}

func TestCertificateMustBeGoodAtTheStart(t *testing.T) {
	good, other := newPair(t, year), newPair(t, year)
	for name, c := range map[string]struct {
		cert, key []byte
		want      string
	}{
		"another key": {good.cert, other.key, "private key does not match"},
		"no key":      {good.cert, nil, "tls.key"},
		"garbage":     {[]byte("garbage"), good.key, "tls.crt"},
	} {
		dir := t.TempDir()
		write(t, dir, "tls.crt", c.cert)
		write(t, dir, "tls.key", c.key)
		_, err := certificate.Load(certificate.Options{
			Listener: "receiver",
			CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := certificate.Load(certificate.Options{Listener: "receiver", CertFile: "/nowhere/tls.crt", KeyFile: "/nowhere/tls.key",
		Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/tls.crt") {
		t.Errorf("missing files: %v", err)
	}
}
