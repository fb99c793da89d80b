package faults_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	pair := a.sign(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a certificate for 127.0.0.1 that is good for an hour, but for what change
// does to it.
func (a *authority) sign(change func(*x509.Certificate)) *tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(c)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// pem is the authority's certificate as a file has it.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// TestReceiversThatAreNotTrusted (F24, F25): five receivers can't be trusted, or do not
// take the login that they are shown: each output says why, and waits. Then each is
// mended, on its own side or on ours, and everything comes out without a restart.
func TestReceiversThatAreNotTrusted(t *testing.T) {
	good := func(*x509.Certificate) {}
	trusted, other := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	key := func(n int) []byte {
		return fmt.Appendf(nil, "%s\n", base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "id:%s-%d", endtoend.Secret, n)))
	}
	keyFile := filepath.Join(dir, "key")
	if err := endtoend.Replace(keyFile, key(0)); err != nil {
		t.Fatal(err)
	}
	type receiver struct {
		name, says string
		bad        *tls.Certificate
		trusts     *authority  // what the output's ca_file has at first
		maxVersion uint16      // of the server, at first
		mend       func() bool // true: the server shows a good certificate from now on
		server     *elasticsearchtest.Server
	}
	caFile := func(name string) string { return filepath.Join(dir, name+".pem") }
	receivers := []*receiver{
		{name: "expired", says: "expired", trusts: trusted, bad: trusted.sign(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })},
		{name: "name", says: "127.0.0.1", trusts: trusted, bad: trusted.sign(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example.com"} })},
		{name: "authority", says: "authority", trusts: other, bad: trusted.sign(good), mend: func() bool {
			return endtoend.Replace(caFile("authority"), trusted.pem()) != nil
		}},
		{name: "version", says: "version", trusts: trusted, bad: trusted.sign(good), maxVersion: tls.VersionTLS11},
		{name: "login", says: "401", trusts: trusted, bad: trusted.sign(good), mend: func() bool {
			return endtoend.Replace(keyFile, key(1)) != nil
		}},
	}
	var more strings.Builder
	var mended atomic.Bool
	for _, r := range receivers {
		fixed := trusted.sign(good)
		r.server = elasticsearchtest.NewTLS(t, func(s *httptest.Server) {
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // of handshakes that are meant to fail
			s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				c := &tls.Config{Certificates: []tls.Certificate{*r.bad}, MinVersion: tls.VersionTLS10, MaxVersion: r.maxVersion}
				if mended.Load() && r.mend == nil {
					c.Certificates, c.MaxVersion = []tls.Certificate{*fixed}, 0
				}
				return c, nil
			}}
		})
		if err := endtoend.Replace(caFile(r.name), r.trusts.pem()); err != nil {
			t.Fatal(err)
		}
		login := ""
		if r.name == "login" {
			r.server.Authorize("ApiKey " + strings.TrimSpace(string(key(1))))
			login = fmt.Sprintf(", api_key_file: %q", keyFile)
		}
		fmt.Fprintf(&more, "  - name: %s\n    type: elasticsearch\n    batch: {max_events: 50, max_wait: 5ms}\n    retry: {min: 10ms, max: 250ms}\n"+
			"    elasticsearch: {urls: [%q], timeout: 5s, tls: {ca_file: %q}%s}\n", r.name, r.server.URL, caFile(r.name), login)
	}
	w := newWorld(t, endtoend.Setup{Outputs: twoFiles()[:1], More: more.String()}, ordinary)
	w.start()
	w.accepts(200)
	for _, r := range receivers {
		w.troubled(r.says, r.name)
		if n := len(r.server.Documents("")); n > 0 {
			t.Errorf("%d documents came to %s", n, r.name)
		}
	}
	w.drained("ecs")
	// A server with an old version is one that does not answer well, which may pass.
	if problems := w.Status().Problems; len(problems) != len(receivers)-1 {
		t.Errorf("the problems are %q", problems)
	}
	w.load.Stop()
	mended.Store(true)
	began := time.Now()
	var names []string
	for _, r := range receivers {
		names = append(names, r.name)
		if r.mend != nil && r.mend() {
			t.Errorf("%s could not be mended", r.name)
		}
	}
	sent := w.finish(names...)
	t.Logf("all of them have everything %v after they were mended", time.Since(began).Round(time.Second))
	for _, r := range receivers {
		got := map[string]int{}
		for _, d := range r.server.Documents(".ds-") {
			got[d.ID]++
		}
		if n := all(t, sent, got); n > 0 {
			t.Errorf("%s has %d events twice", r.name, n)
		}
	}
}
