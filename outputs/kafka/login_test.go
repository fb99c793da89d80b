package kafka_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/kafka"
)

// mustBeNotReady checks that an error is a NotReady that says what to do, and no secret.
func mustBeNotReady(t *testing.T, err error, want string) {
	t.Helper()
	var n *outputs.NotReady
	if !errors.As(err, &n) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want a NotReady that says %q", err, want)
	}
	if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("the error tells a password: %v", err)
	}
}

// TestPasswordChanges: a new password is used from the next connection on.
func TestPasswordChanges(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			login := kgo.SASL(plain.Auth{User: "reader", Pass: password}.AsMechanism())
			f := newFake(t, []kgo.Opt{login}, kfake.EnableSASL(), kfake.Superuser("PLAIN", "reader", password), kfake.Superuser(mechanism, user, password))
			path := filepath.Join(t.TempDir(), "password")
			write(t, path, "wr0ng\n")
			now := time.Now()
			secret, err := config.NewSecretFile(path, config.Options{Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			c := f.config()
			c.SASL = kafka.SASL{Mechanism: mechanism, Username: user, Password: secret}
			out := open(t, c, kafka.Options{})
			mustBeNotReady(t, out.Send(t.Context(), messages(1, 3)), "check sasl.username and the password")
			write(t, path, password+"\n")
			now = now.Add(time.Minute)
			send(t, out, messages(1, 3))
			inOrder(t, f.records(), messages(1, 3))
		})
	}
}

// TestBrokerRepeatsThePassword: what a broker says is not passed on as it is.
func TestBrokerRepeatsThePassword(t *testing.T) {
	f := newFake(t, []kgo.Opt{kgo.SASL(plain.Auth{User: "reader", Pass: "reader"}.AsMechanism())}, kfake.EnableSASL(), kfake.Superuser("PLAIN", "reader", "reader"))
	long := ""
	f.during(func(req kmsg.Request) (kmsg.Response, error, bool) {
		r, ok := req.(*kmsg.SASLAuthenticateRequest)
		if !ok || bytes.Contains(r.SASLAuthBytes, []byte("reader")) {
			return nil, nil, false
		}
		answer := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		text := "no user " + user + " with " + password + strings.Repeat("!", 1000)
		if long != "" {
			text = long + password
		}
		answer.ErrorCode, answer.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &text
		return answer, nil, true
	})
	c := f.config()
	c.SASL = kafka.SASL{Mechanism: "PLAIN", Username: user, Password: config.NewSecret(password)}
	err := open(t, c, kafka.Options{}).Send(t.Context(), messages(1, 3))
	mustBeNotReady(t, err, "no user relay with ***")
	long = strings.Repeat("!", 296) // so that the text is clipped inside the password
	err = open(t, c, kafka.Options{}).Send(t.Context(), messages(1, 3))
	mustBeNotReady(t, err, "!***")
	if strings.Contains(err.Error(), "!"+password[:2]) {
		t.Errorf("the error tells a part of the password: %v", err)
	}
	long = ""
	err = open(t, c, kafka.Options{}).Send(t.Context(), messages(1, 3))
	if n := len(err.Error()); n > 2000 { // three brokers were asked
		t.Errorf("the error has %d bytes", n)
	}
}

// TestLoginsEnd: a broker that lets a login last for a minute hangs up on what comes
// later on that connection. A new one is made before.
func TestLoginsEnd(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256"} {
		t.Run(mechanism, func(t *testing.T) {
			login := kgo.SASL(plain.Auth{User: "reader", Pass: password}.AsMechanism())
			f := newFake(t, []kgo.Opt{login}, kfake.EnableSASL(), kfake.Superuser("PLAIN", "reader", password), kfake.Superuser(mechanism, user, password),
				kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "60000"}))
			c := f.config()
			c.SASL = kafka.SASL{Mechanism: mechanism, Username: user, Password: config.NewSecret(password)}
			now := time.Now()
			out := open(t, c, kafka.Options{Now: func() time.Time { return now }})
			all := marked(3)
			send(t, out, all[:1])
			logins := f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.SASLAuthenticate}, Observe: true, Count: -1, When: func(r kmsg.Request) bool {
				return bytes.Contains(r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes, []byte(user)) // and not the reader's
			}}).Hits
			now = now.Add(30 * time.Second)
			send(t, out, all[1:2])
			if n := logins(); n != 0 {
				t.Errorf("there were %d new logins after half of the time", n)
			}
			now = now.Add(29 * time.Second) // a request that begins a second before the end may be late
			send(t, out, all[2:])
			if logins() == 0 {
				t.Error("the connection is used though the login has ended")
			}
			inOrder(t, f.records(), all)
		})
	}
}

func TestMechanismIsNotOffered(t *testing.T) {
	f := newFake(t, []kgo.Opt{kgo.SASL(plain.Auth{User: "reader", Pass: password}.AsMechanism())}, kfake.EnableSASL(), kfake.Superuser("PLAIN", "reader", password))
	c := f.config()
	c.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-256", Username: user, Password: config.NewSecret(password)}
	mustBeNotReady(t, open(t, c, kafka.Options{}).Send(t.Context(), messages(1, 3)), "log in")
}

// pki is an authority that makes certificates.
type pki struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{t: t, dir: t.TempDir()}
	p.cert, p.key = p.sign("authority", nil)
	write(t, p.file("ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw})))
	return p
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

func (p *pki) sign(name string, parent *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	x := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: parent == nil, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	by := p.key
	if parent == nil {
		parent, by = x, key
	}
	der, err := x509.CreateCertificate(rand.Reader, x, parent, key.Public(), by)
	if err != nil {
		p.t.Fatal(err)
	}
	if x, err = x509.ParseCertificate(der); err != nil {
		p.t.Fatal(err)
	}
	return x, key
}

// pair makes a certificate and writes it with its key into two files.
func (p *pki) pair(name, cert, keyFile string) tls.Certificate {
	p.t.Helper()
	x, key := p.sign(name, p.cert)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	write(p.t, p.file(cert), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.Raw})))
	write(p.t, p.file(keyFile), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return tls.Certificate{Certificate: [][]byte{x.Raw}, PrivateKey: key}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCertificatesChange: new certificates are used from the next connection on, and
// files that can't be used don't replace good ones.
func TestCertificatesChange(t *testing.T) {
	p := newPKI(t)
	var mu sync.Mutex
	var seen string
	pool := x509.NewCertPool()
	pool.AddCert(p.cert)
	server := &tls.Config{
		Certificates: []tls.Certificate{p.pair("broker", "broker.pem", "broker.key")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
		VerifyConnection: func(s tls.ConnectionState) error {
			if name := s.PeerCertificates[0].Subject.CommonName; name != "reader" {
				mu.Lock()
				seen = name
				mu.Unlock()
			}
			return nil
		},
	}
	reader := p.pair("reader", "reader.pem", "reader.key")
	f := newFake(t, []kgo.Opt{kgo.DialTLSConfig(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{reader}})}, kfake.TLS(server))
	p.pair("first", "client.pem", "client.key")
	c := f.config()
	c.TLS = kafka.TLS{Enabled: true, CAFile: p.file("missing.pem"), CertFile: p.file("client.pem"), KeyFile: p.file("client.key")}
	var log strings.Builder
	out := open(t, c, kafka.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	mustBeNotReady(t, out.Send(t.Context(), messages(1, 10)), "tls.ca_file")
	write(t, p.file("missing.pem"), "no certificate")
	mustBeNotReady(t, out.Send(t.Context(), messages(1, 10)), "there is no PEM certificate in it")
	text, err := os.ReadFile(p.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.file("missing.pem"), string(text))
	all := messages(1, 40)
	for i, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, "first"},
		{func() { p.pair("second", "client.pem", "client.key") }, "second"},
		{func() { write(t, p.file("client.key"), "broken") }, "second"},
		{func() { p.pair("third", "client.pem", "client.key") }, "third"},
	} {
		step.change()
		f.during(down) // breaks the connections
		_ = out.Send(t.Context(), all[i*10:i*10+10])
		f.during(nil)
		deliver(t, out, all[i*10:i*10+10])
		mu.Lock()
		if seen != step.want {
			t.Errorf("step %d: the brokers saw the certificate %q, want %q", i, seen, step.want)
		}
		mu.Unlock()
	}
	inOrder(t, f.records(), all)
	if n := strings.Count(log.String(), "can't use the new certificates"); n != 1 {
		t.Errorf("the log has %d lines about the broken key, want 1: %s", n, log.String())
	}
}
