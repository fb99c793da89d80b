package syslog

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"

	"github.com/siemrelay/siemrelay/outputs"
)

// explain turns an error that only a person can mend into NotReady, with what to do
// about it. Any other error stays as it is: the relay sends again, and goes on by
// itself when the receiver does.
func explain(err error) error {
	var notReady *outputs.NotReady
	if err == nil || errors.As(err, &notReady) {
		return err
	}
	if hint := hintFor(err); hint != "" {
		return &outputs.NotReady{Err: fmt.Errorf("%w: %s", err, hint)}
	}
	return err
}

func hintFor(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		file     fileError
		protocol relpError
	)
	switch {
	case errors.As(err, &unknown):
		return "give the authority that signed the receiver's certificate as tls.ca_file"
	case errors.As(err, &hostname):
		return "give the name in the receiver's certificate as tls.server_name, or its tls.fingerprint"
	case errors.As(err, &invalid):
		return "the receiver needs another certificate"
	case errors.Is(err, errFingerprint):
		return "if the receiver has a new certificate, give that one's tls.fingerprint"
	case errors.As(err, &record):
		return "the receiver does not speak TLS on this port"
	case errors.As(err, &file):
		return "mend the file"
	case errors.As(err, &protocol) && protocol.opening:
		return "the receiver does not take RELP on this port"
	}
	return hintForAlert(err)
}

// hintForAlert is about a TLS alert of the receiver, by which it refuses.
func hintForAlert(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" { // what crypto/tls makes of an alert
		return ""
	}
	text := op.Err.Error()
	switch {
	case strings.Contains(text, "user canceled"), strings.Contains(text, "internal error"), strings.Contains(text, "close notify"):
		return ""
	case strings.Contains(text, "certificate"), strings.Contains(text, "access denied"):
		return "the receiver refuses the client certificate: give one that it trusts as tls.cert_file and tls.key_file"
	}
	return "the receiver refuses the connection: its own log says why; it may want a client certificate, tls.cert_file and tls.key_file"
}

// fileError is about a file that the configuration names.
type fileError struct{ err error }

func (e fileError) Error() string { return e.err.Error() }
func (e fileError) Unwrap() error { return e.err }

// clip makes what a receiver said fit for a log.
func clip(said []byte) string {
	const most = 200
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(said[:min(len(said), most)]), ""))
	if len(said) > most {
		s += "…"
	}
	return s
}
