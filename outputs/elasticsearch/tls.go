package elasticsearch

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/siemrelay/siemrelay/outputs"
)

// certificateError is a connection that nobody but a person can mend.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return e.err.Error() }
func (e *certificateError) Unwrap() error { return e.err }

// tlsConfig makes the settings of a connection to a host. Files are read when they are needed,
// for each connection anew, so that a certificate can be replaced without a restart.
func (t TLS) tlsConfig(host string) *tls.Config {
	host = cmp.Or(t.ServerName, host)
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.CertFile != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, &certificateError{fmt.Errorf("read the client certificate: %w", err)}
			}
			return &pair, nil
		}
	}
	switch {
	case t.InsecureSkipVerify:
		c.InsecureSkipVerify = true
	case t.CAFile != "":
		c.InsecureSkipVerify = true // VerifyConnection does it, with the file as it is now
		c.VerifyConnection = func(s tls.ConnectionState) error {
			pem, err := os.ReadFile(t.CAFile)
			if err != nil {
				return &certificateError{fmt.Errorf("read the authorities: %w", err)}
			}
			roots := x509.NewCertPool()
			if !roots.AppendCertsFromPEM(pem) {
				return &certificateError{fmt.Errorf("read the authorities: %s has no certificate in PEM", t.CAFile)}
			}
			return verify(s.PeerCertificates, roots, host)
		}
	case t.Fingerprint != "":
		c.InsecureSkipVerify = true // VerifyConnection does it
		c.VerifyConnection = func(s tls.ConnectionState) error { return t.verifyFingerprint(s.PeerCertificates, host) }
	}
	return c
}

// verifyFingerprint trusts exactly the certificate with the fingerprint, or whoever
// has one for the right name from the authority with the fingerprint. That an
// authority's certificate is sent proves nothing: anybody has it.
func (t TLS) verifyFingerprint(chain []*x509.Certificate, host string) error {
	want, err := parseFingerprint(t.Fingerprint)
	if err != nil {
		return &certificateError{err}
	}
	for i, c := range chain {
		sum := sha256.Sum256(c.Raw)
		if !bytes.Equal(sum[:], want) {
			continue
		}
		if i == 0 {
			return nil
		}
		roots := x509.NewCertPool()
		roots.AddCert(c)
		return verify(chain, roots, host)
	}
	return &certificateError{errors.New("the server's certificate does not have the fingerprint of tls.fingerprint, nor does its authority's")}
}

// verify checks a server's chain. host is given, because tls.ConnectionState has no
// name where the host is an IP address.
func verify(chain []*x509.Certificate, roots *x509.CertPool, host string) error {
	o := x509.VerifyOptions{Roots: roots, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(o); err != nil {
		return &certificateError{fmt.Errorf("verify the server's certificate: %w", err)}
	}
	return nil
}

// explainConnection makes NotReady of what only a person can mend about a
// connection; any other error stays.
func explainConnection(err error) error {
	var own *certificateError
	var untrusted *tls.CertificateVerificationError
	var refused tls.AlertError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &own):
		return &outputs.NotReady{Err: fmt.Errorf("%w: mend the file, or tls.ca_file, tls.fingerprint or the host in urls", err)}
	case errors.As(err, &untrusted):
		return &outputs.NotReady{Err: fmt.Errorf("%w: name its authority in tls.ca_file, or give tls.fingerprint", err)}
	case errors.As(err, &refused):
		return &outputs.NotReady{Err: fmt.Errorf("%w: the server refused the connection, perhaps for want of a client certificate (tls.cert_file)", err)}
	case errors.As(err, &notTLS):
		return &outputs.NotReady{Err: fmt.Errorf("%w: this is no TLS; try http:// in urls", err)}
	}
	return err
}
