package syslog_test

import (
	"crypto/tls"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/outputstest"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

// newOutput makes an output for url.
func newOutput(tb testing.TB, url string, change ...func(*syslog.Config)) outputs.Output {
	tb.Helper()
	c := syslog.Default()
	c.Address, c.MaxMessageSize, c.Hold = url, 63*config.KiB, 0
	for _, f := range change {
		f(&c)
	}
	out, err := syslog.New(c, syslog.Options{Hostname: "relay01", Zone: time.UTC})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestSuite(t *testing.T) {
	for _, c := range []struct {
		name, scheme string
		change       func(*syslog.Config)
		holds        bool // it notices a receiver that is silent
		mutual       bool // TLS with a client certificate
	}{
		{name: "udp", scheme: "udp"},
		{name: "tcp", scheme: "tcp"},
		{name: "tcp with hold", scheme: "tcp", holds: true, change: func(c *syslog.Config) { c.Hold = 120 * time.Millisecond }},
		{name: "tcp by newline", scheme: "tcp", change: func(c *syslog.Config) { c.Framing = "newline" }},
		{name: "tls", scheme: "tls"},
		{name: "tls with client certificate", scheme: "tls", mutual: true},
		{name: "relp", scheme: "relp", holds: true},
		{name: "relp over tls", scheme: "relp+tls", holds: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := outputstest.Harness{KeepsOrder: true, Leaks: []goleak.Option{
				goleak.IgnoreAnyFunction("github.com/siemrelay/siemrelay/outputs/syslog_test.(*receiver).start.func1"),
			}}
			if c.scheme == "udp" {
				h.MaxBody = 32 << 10
			}
			h.Setup = func(tb testing.TB) outputstest.Subject {
				return subject(tb, c.scheme, c.mutual, c.holds, c.change)
			}
			outputstest.Run(t, h)
		})
	}
}

func subject(tb testing.TB, scheme string, mutual, holds bool, change func(*syslog.Config)) outputstest.Subject {
	var files certificates
	var secure *tls.Config
	if scheme == "tls" || scheme == "relp+tls" {
		files = newCertificates(tb)
		secure = files.server(tb, mutual)
	}
	r := newReceiver(tb, scheme, secure)
	track := &tracker{receiver: r, sent: map[string][]byte{}, safe: map[string]bool{}}
	if scheme == "udp" {
		track.chunk = 20 // its kernel drops what a reader is too slow for
	}
	s := outputstest.Subject{
		New: func() (outputs.Output, error) {
			track.Output = newOutput(tb, r.url(), func(c *syslog.Config) {
				if secure != nil {
					c.TLS.CAFile = files.authority
				}
				if mutual {
					c.TLS.CertFile, c.TLS.KeyFile = files.client, files.clientKey
				}
				if scheme != "udp" {
					c.MaxMessageSize = 1 * config.MiB
				}
				if change != nil {
					change(c)
				}
			})
			return track, nil
		},
		Received: track.received,
		Break:    r.close,
		Mend: func() {
			r.mu.Lock()
			down := r.hung == nil && r.deferred == ""
			r.mu.Unlock()
			r.mend()
			if down {
				r.listen()
			}
		},
	}
	if holds {
		s.Hang = r.hang
	}
	if scheme == "relp" || scheme == "relp+tls" {
		s.Defer = r.putOff
	}
	return s
}

// certificates are PEM files: an authority, and what it signed.
type certificates struct {
	authority, serverCert, serverKey, client, clientKey string
	dir                                                 string
}

func (c certificates) server(tb testing.TB, mutual bool) *tls.Config {
	pair, err := tls.LoadX509KeyPair(c.serverCert, c.serverKey)
	if err != nil {
		tb.Fatal(err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{pair}}
	if mutual {
		t.ClientAuth = tls.RequireAndVerifyClientCert
		t.ClientCAs = pool(tb, c.authority)
	}
	return t
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// recordOf is the record's id in a record key, as the structured data have it:
// control characters are spaces, and at most 128 bytes.
func recordOf(key string) string {
	id, err := url.PathUnescape(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		panic(err)
	}
	id = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, id)
	for len(id) > 128 {
		_, size := utf8.DecodeLastRuneInString(id)
		id = id[:len(id)-size]
	}
	return id
}

// useCertificates configures TLS for a transport that has it.
func useCertificates(files certificates, transport string) func(*syslog.Config) {
	return func(c *syslog.Config) {
		if strings.HasSuffix(transport, "tls") {
			c.TLS = syslog.TLS{CAFile: files.authority, CertFile: files.client, KeyFile: files.clientKey}
		}
	}
}
