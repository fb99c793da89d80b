package elasticsearch_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch/elasticsearchtest"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{}
	cert, key := a.sign(t, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	return authority{cert, key}
}

// sign makes a certificate for 127.0.0.1, of its own if a is empty.
func (a authority) sign(t *testing.T, change func(c *x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	change(c)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func writePEM(t *testing.T, path string, cert *x509.Certificate, key *ecdsa.PrivateKey) string {
	t.Helper()
	block := pem.Block{Type: "CERTIFICATE"}
	if key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		block = pem.Block{Type: "PRIVATE KEY", Bytes: der}
	} else {
		block.Bytes = cert.Raw
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sum(cert *x509.Certificate) string {
	s := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(s[:])
}

// TestTrust: whom the output believes, by authority and by fingerprint.
func TestTrust(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	leaf, key := ours.sign(t, func(*x509.Certificate) {})
	other, otherKey := ours.sign(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"es.example.com"} })
	forged, forgedKey := theirs.sign(t, func(*x509.Certificate) {})
	dir := t.TempDir()
	ca := writePEM(t, filepath.Join(dir, "ca.pem"), ours.cert, nil)
	for name, x := range map[string]struct {
		chain []*x509.Certificate
		key   *ecdsa.PrivateKey
		tls   elasticsearch.TLS
		good  bool
	}{
		"authority":                           {[]*x509.Certificate{leaf}, key, elasticsearch.TLS{CAFile: ca}, true},
		"nobody knows it":                     {[]*x509.Certificate{leaf}, key, elasticsearch.TLS{}, false},
		"another authority":                   {[]*x509.Certificate{forged}, forgedKey, elasticsearch.TLS{CAFile: ca}, false},
		"another name":                        {[]*x509.Certificate{other}, otherKey, elasticsearch.TLS{CAFile: ca}, false},
		"the name that is meant":              {[]*x509.Certificate{other}, otherKey, elasticsearch.TLS{CAFile: ca, ServerName: "es.example.com"}, true},
		"no such file":                        {[]*x509.Certificate{leaf}, key, elasticsearch.TLS{CAFile: ca + "x"}, false},
		"fingerprint":                         {[]*x509.Certificate{leaf}, key, elasticsearch.TLS{Fingerprint: sum(leaf)}, true},
		"fingerprint of the authority":        {[]*x509.Certificate{leaf, ours.cert}, key, elasticsearch.TLS{Fingerprint: sum(ours.cert)}, true},
		"fingerprint of another":              {[]*x509.Certificate{leaf, ours.cert}, key, elasticsearch.TLS{Fingerprint: sum(theirs.cert)}, false},
		"authority that did not sign it":      {[]*x509.Certificate{forged, ours.cert}, forgedKey, elasticsearch.TLS{Fingerprint: sum(ours.cert)}, false},
		"fingerprint's authority, wrong name": {[]*x509.Certificate{other, ours.cert}, otherKey, elasticsearch.TLS{Fingerprint: sum(ours.cert)}, false},
		"anybody":                             {[]*x509.Certificate{forged}, forgedKey, elasticsearch.TLS{InsecureSkipVerify: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			pair := tls.Certificate{PrivateKey: x.key}
			for _, c := range x.chain {
				pair.Certificate = append(pair.Certificate, c.Raw)
			}
			server := elasticsearchtest.NewTLS(t, func(s *httptest.Server) {
				s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
				s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			})
			c := configOf(server)
			c.TLS = x.tls
			err := newOutput(t, c).Send(context.Background(), []outputs.Message{newMaker(t).message("{}")})
			var notReady *outputs.NotReady
			if x.good != (err == nil) || err != nil && !errors.As(err, &notReady) {
				t.Errorf("got %v", err)
			}
			if n := len(server.Requests()); !x.good && n > 0 {
				t.Errorf("%d requests, with the login, reached it", n)
			}
		})
	}
}

// TestClientCertificate: it is read anew for a connection, and so is the authority.
func TestClientCertificate(t *testing.T) {
	ours := newAuthority(t)
	leaf, key := ours.sign(t, func(*x509.Certificate) {})
	client, clientKey := ours.sign(t, func(*x509.Certificate) {})
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	server := elasticsearchtest.NewTLS(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
		}
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	})
	dir := t.TempDir()
	c := configOf(server)
	c.TLS = elasticsearch.TLS{CAFile: filepath.Join(dir, "ca"), CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	out, m := newOutput(t, c), newMaker(t)
	send := func() error { return out.Send(context.Background(), []outputs.Message{m.message("{}")}) }
	var notReady *outputs.NotReady
	if err := send(); !errors.As(err, &notReady) {
		t.Errorf("without files: %v", err)
	}
	writePEM(t, c.TLS.CAFile, ours.cert, nil)
	if err := send(); !errors.As(err, &notReady) {
		t.Errorf("without a certificate of its own: %v", err)
	}
	writePEM(t, c.TLS.CertFile, client, nil)
	writePEM(t, c.TLS.KeyFile, nil, clientKey)
	if err := send(); err != nil {
		t.Error(err)
	}
}

// TestNotTLS: plain HTTP is told from a network that fails.
func TestNotTLS(t *testing.T) {
	server := elasticsearchtest.New(t)
	c := configOf(server)
	c.URLs = []string{"https" + server.URL[len("http"):]}
	var notReady *outputs.NotReady
	if err := newOutput(t, c).Send(context.Background(), []outputs.Message{newMaker(t).message("{}")}); !errors.As(err, &notReady) {
		t.Errorf("got %v", err)
	}
}
