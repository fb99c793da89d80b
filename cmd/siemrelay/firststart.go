package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

const (
	dataDir       = "./siemrelay-data"
	defaultUser   = "defense"
	loopbackDoor  = "127.0.0.1:8443"
	certificateIn = "tls.crt"
	keyIn         = "tls.key"
	passwordIn    = "webhook-password"
)

// firstStart is what siemrelay made for itself to run without a configuration.
type firstStart struct {
	dir      string
	path     string // of the webhook
	password config.Secret
	created  bool // just now, so the person has not seen it yet
}

// startWithoutConfig returns a configuration that runs on this machine alone,
// with a certificate and a password of its own, and keeps all under dataDir.
func startWithoutConfig(o config.Options) (*config.Config, *firstStart, error) {
	cfg := unconfigured()
	first, err := selfMade(cfg, dataDir, o)
	if err != nil {
		return nil, nil, err
	}
	return cfg, first, nil
}

// unconfigured returns what holds without a configuration, but for the certificate
// and the login. It makes nothing.
func unconfigured() *config.Config {
	cfg := config.Default()
	cfg.Receiver.Listen = loopbackDoor
	cfg.Spool.Dir = filepath.Join(dataDir, "spool")
	cfg.Outputs = []config.Output{config.DefaultOutput("local", localOutput().OutputType)}
	return cfg
}

// selfMade gives cfg the certificate and the login in dir, made there if missing.
func selfMade(cfg *config.Config, dir string, o config.Options) (*firstStart, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory for a start without configuration: %w", err)
	}
	first := &firstStart{dir: dir, path: cfg.Receiver.Path}
	cert, key, password := filepath.Join(dir, certificateIn), filepath.Join(dir, keyIn), filepath.Join(dir, passwordIn)
	if missing(cert) || missing(key) {
		if err := writeCertificate(cert, key); err != nil {
			return nil, err
		}
	}
	if missing(password) {
		first.created = true
		if err := os.WriteFile(password, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write password: %w", err)
		}
	}
	var err error
	if first.password, err = config.NewSecretFile(password, o); err != nil {
		return nil, err
	}
	cfg.Receiver.TLS = config.TLS{CertFile: cert, KeyFile: key}
	cfg.Receiver.BasicAuth = []config.BasicAuth{{Username: defaultUser, Password: first.password}}
	return first, nil
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// writeCertificate makes a self-signed certificate for this machine.
func writeCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("make serial number: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "siemrelay on this machine"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(2, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that curl --cacert takes it
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return nil
}

// tell says on stderr where the console is and how to send the first webhook. The password itself is
// shown to a person only, never to a log file, and only when it is new.
func (f *firstStart) tell(std streams, address, console string) {
	fmt.Fprintf(std.err, `
There is no configuration, so siemrelay listens on this machine only.

  Open %[1]s to see what arrives.

  webhook URL    https://%[2]s%[3]s
  user name      %[4]s
  password       in %[5]s
  certificate    %[6]s (self-signed)
Send it a webhook from another terminal:
  siemrelay send --url https://%[2]s%[3]s --username %[4]s --password-file %[5]s --ca-file %[6]s
`, console, address, f.path, defaultUser, filepath.Join(f.dir, passwordIn), filepath.Join(f.dir, certificateIn))
	if f.created && isTerminal(std.err) {
		fmt.Fprintf(std.err, "The password, shown this once: %s\n", f.password.Value())
	}
	fmt.Fprintln(std.err)
}
