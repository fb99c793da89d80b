package endtoend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// Certificate is a self-signed certificate for relay.example.com and 127.0.0.1,
// with its key, in PEM.
type Certificate struct{ Cert, Key []byte }

// NewCertificate makes a certificate that is good for a day.
func NewCertificate() (Certificate, error) {
	return NewCertificateUntil(time.Now().Add(24 * time.Hour))
}

// NewCertificateUntil makes a certificate whose time ends at end.
func NewCertificateUntil(end time.Time) (Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Certificate{}, fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return Certificate{}, fmt.Errorf("make serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "relay.example.com"},
		NotBefore:    end.Add(-25 * time.Hour),
		NotAfter:     end,
		DNSNames:     []string{"relay.example.com"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Certificate{}, fmt.Errorf("encode key: %w", err)
	}
	return Certificate{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

// Write puts the pair into two files, replacing each at once.
func (c Certificate) Write(certFile, keyFile string) error {
	if err := Replace(certFile, c.Cert); err != nil {
		return err
	}
	return Replace(keyFile, c.Key)
}

// Client returns the settings of a client that trusts this certificate and no
// other. No session is resumed, so that every handshake shows the certificate.
func (c Certificate) Client() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.Cert)
	return &tls.Config{RootCAs: roots, ServerName: "relay.example.com", MinVersion: tls.VersionTLS12}
}

// Replace writes a file beside path, for its owner alone, and renames it over
// path, so that a reader sees the old or the new content, whole.
func Replace(path string, content []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
