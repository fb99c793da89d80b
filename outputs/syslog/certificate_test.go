package syslog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// issuer is an authority that signs certificates.
type issuer struct {
	tb   testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCertificates(tb testing.TB) certificates {
	tb.Helper()
	i := newIssuer(tb)
	c := certificates{dir: i.dir, authority: filepath.Join(i.dir, "ca.pem")}
	c.serverCert, c.serverKey = i.sign("server", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	c.client, c.clientKey = i.sign("client", func(c *x509.Certificate) {})
	return c
}

func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	i := &issuer{tb: tb, dir: tb.TempDir()}
	i.cert = &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "authority"}}
	i.sign("ca", nil)
	return i
}

// sign writes NAME.pem and NAME.key. Without change it is the authority's own.
func (i *issuer) sign(name string, change func(*x509.Certificate)) (certFile, keyFile string) {
	i.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	i.must(err)
	c := i.cert
	if change == nil {
		i.key = key
	} else {
		c = &x509.Certificate{
			Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, i.cert, &key.PublicKey, i.key)
	i.must(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	i.must(err)
	certFile, keyFile = filepath.Join(i.dir, name+".pem"), filepath.Join(i.dir, name+".key")
	i.must(os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	i.must(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certFile, keyFile
}

func (i *issuer) must(err error) {
	i.tb.Helper()
	if err != nil {
		i.tb.Fatal(err)
	}
}

func pool(tb testing.TB, path string) *x509.CertPool {
	tb.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(read(tb, path)) {
		tb.Fatalf("no certificate in %s", path)
	}
	return p
}
