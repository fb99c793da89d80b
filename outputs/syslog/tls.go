package syslog

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// tlsConfig reads the files that c names. host is what the certificate must name,
// if the configuration gives nothing else.
func tlsConfig(c TLS, host string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file: no certificate in %s; give a PEM file", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read cert_file and key_file: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if c.Fingerprint != "" {
		want, err := parseFingerprint(c.Fingerprint)
		if err != nil {
			return nil, err
		}
		// The certificate is compared as a whole, which is stricter than any check of
		// its name and of who signed it.
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(s tls.ConnectionState) error { return verifyFingerprint(s, want) }
	}
	return t, nil
}

var errFingerprint = errors.New("the receiver's certificate has another fingerprint")

func verifyFingerprint(s tls.ConnectionState, want []byte) error {
	got := sha256.Sum256(s.PeerCertificates[0].Raw) // a server always shows one
	if !bytes.Equal(got[:], want) {
		return fmt.Errorf("%w: %x", errFingerprint, got)
	}
	return nil
}

func parseFingerprint(text string) ([]byte, error) {
	digits := strings.ReplaceAll(text, ":", "")
	sum, err := hex.DecodeString(digits)
	if err == nil && len(sum) != sha256.Size {
		err = fmt.Errorf("has %d bytes, must have %d", len(sum), sha256.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("parse fingerprint: %w", err)
	}
	return sum, nil
}
