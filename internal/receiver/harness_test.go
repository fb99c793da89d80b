package receiver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/internal/receiver/receivertest"
)

// The login that every test server knows. The password has a colon in it: only
// the first one separates (RFC 7617 section 2).
const username, password = "defense", "correct:horse battery"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's clock for the Date field: one for the process, for ever.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// recorder is a Store that remembers, and does what a test asks of it.
type recorder struct {
	mu     sync.Mutex
	bodies [][]byte
	lost   []receiver.Receipt
	before func(body []byte) error // called by Append, if set

	duplicate bool // what is stored counts as a duplicate
}

func (r *recorder) Append(body []byte) (receiver.Receipt, error) {
	if r.before != nil {
		if err := r.before(body); err != nil {
			return receiver.Receipt{}, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, bytes.Clone(body))
	n := len(r.bodies)
	return receiver.Receipt{ID: fmt.Sprintf("%032x", n), Sequence: uint64(n), Duplicate: r.duplicate}, nil
}

func (r *recorder) Unanswered(of receiver.Receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = append(r.lost, of)
}

// unanswered returns the receipts whose answers were not written.
func (r *recorder) unanswered() []receiver.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

func (r *recorder) stored() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies
}

// door is a running receiver.
type door struct {
	receivertest.Target
	server   *receiver.Server
	store    *recorder
	log      *logBuffer
	registry *prometheus.Registry
}

// open starts a receiver on loopback and stops it when the test ends. change
// may be nil.
func open(tb testing.TB, secure bool, change func(*receiver.Options)) *door {
	tb.Helper()
	return openOn(tb, listen(tb), secure, change)
}

// openOn is open with a listener of the test's own.
func openOn(tb testing.TB, ln net.Listener, secure bool, change func(*receiver.Options)) *door {
	tb.Helper()
	d := &door{store: &recorder{}, log: &logBuffer{}, registry: prometheus.NewRegistry()}
	d.Target = receivertest.Target{Host: "relay.example.com", Path: "/webhooks/defense", Username: username, Password: password}
	o := receiver.Options{
		Path:        d.Path,
		Credentials: []receiver.Credential{{Username: username, Password: func() string { return password }}},
		Store:       d.store,
		Logger:      slog.New(slog.NewJSONHandler(d.log, nil)),
		Registry:    d.registry,
	}
	if secure {
		pair := newPair(tb, time.Hour)
		cert, key := pair.write(tb, tb.TempDir())
		served, err := certificate.Load(certificate.Options{Listener: "receiver", Protocols: []string{"http/1.1"}, CertFile: cert, KeyFile: key, Logger: o.Logger, Registry: d.registry})
		if err != nil {
			tb.Fatal(err)
		}
		o.Certificate = served
		d.TLS = pair.client()
	}
	if change != nil {
		change(&o)
	}
	d.server = serve(tb, o, ln, &d.Target)
	return d
}

// serve runs a receiver on ln until the test ends.
func serve(tb testing.TB, o receiver.Options, ln net.Listener, t *receivertest.Target) *receiver.Server {
	tb.Helper()
	server, err := receiver.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	t.Address = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			tb.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return server
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return ln
}

// logBuffer is where a test's log goes.
type logBuffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// count is the number of log lines that contain text.
func (l *logBuffer) count(text string) int {
	n := 0
	for line := range bytes.Lines([]byte(l.String())) {
		if bytes.Contains(line, []byte(text)) {
			n++
		}
	}
	return n
}

// post sends one webhook and returns what came back.
func (d *door) post(tb testing.TB, body string) receivertest.Delivery {
	tb.Helper()
	return d.send(tb, fmt.Sprintf("POST $PATH HTTP/1.1\r\nHost: $HOST\r\nAuthorization: $AUTH\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

// send sends raw bytes with placeholders.
func (d *door) send(tb testing.TB, raw string) receivertest.Delivery {
	tb.Helper()
	c := receivertest.Case{Raw: &raw}
	deliveries, err := c.Run(context.Background(), d.Target)
	if err != nil {
		tb.Fatal(err)
	}
	return deliveries[0]
}

// mustAccept posts an ordinary webhook that has to be accepted.
func (d *door) mustAccept(tb testing.TB) {
	tb.Helper()
	if got := d.post(tb, `{"record_type":"Threat","id":"control"}`); got.Class() != "2xx" {
		tb.Fatalf("a good webhook got %v %s", got.Statuses, got.Body)
	}
}

// metric returns the value of a metric; labels are "name=value".
func (d *door) metric(tb testing.TB, name string, labels ...string) float64 {
	tb.Helper()
	families, err := d.registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			for i, l := range m.GetLabel() {
				if i >= len(labels) || l.GetName()+"="+l.GetValue() != labels[i] {
					continue next
				}
			}
			switch {
			case m.GetCounter() != nil:
				return m.GetCounter().GetValue()
			case m.GetHistogram() != nil:
				return float64(m.GetHistogram().GetSampleCount())
			}
			return m.GetGauge().GetValue()
		}
	}
	tb.Fatalf("there is no metric %s %v", name, labels)
	return 0
}

// eventually waits until ok holds.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(5 * time.Millisecond) // a poll, nothing is concluded from it
	}
}

// pair is a self-signed certificate for relay.example.com and 127.0.0.1.
type pair struct{ cert, key []byte }

func newPair(tb testing.TB, validity time.Duration) pair {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "relay.example.com"},
		NotBefore:    time.Now().Add(-24 * time.Hour),
		NotAfter:     time.Now().Add(validity),
		DNSNames:     []string{"relay.example.com"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func (p pair) write(tb testing.TB, dir string) (cert, key string) {
	tb.Helper()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, content := range map[string][]byte{cert: p.cert, key: p.key} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return cert, key
}

// client trusts this pair and nothing else.
func (p pair) client() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.cert)
	return &tls.Config{RootCAs: roots, ServerName: "relay.example.com"}
}

// basic is the token of a Basic login.
func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// closeWrite ends the client's side of a connection.
func closeWrite(tb testing.TB, conn net.Conn) {
	tb.Helper()
	if half, ok := conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		tb.Fatal("can't end the client's side")
	}
}
