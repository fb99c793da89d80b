package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates makes an authority, and a certificate for the brokers and one for a
// client, as PEM files.
func (c *Cluster) certificates() error {
	c.CAFile, c.CertFile, c.KeyFile = filepath.Join(c.dir, "ca.pem"), filepath.Join(c.dir, "client.pem"), filepath.Join(c.dir, "client.key")
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	authority := template("siemrelay test authority")
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return fmt.Errorf("make an authority: %w", err)
	}
	if err := writePEM(c.CAFile, block("CERTIFICATE", ca)); err != nil {
		return err
	}
	server := template("broker")
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, x := range []struct {
		certificate   *x509.Certificate
		cert, keyFile string
	}{
		{server, filepath.Join(c.dir, "server.pem"), ""},
		{template("client"), c.CertFile, c.KeyFile},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return fmt.Errorf("make a key: %w", err)
		}
		der, err := x509.CreateCertificate(rand.Reader, x.certificate, authority, key.Public(), caKey)
		if err != nil {
			return fmt.Errorf("make a certificate: %w", err)
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return fmt.Errorf("write a key: %w", err)
		}
		cert, private := block("CERTIFICATE", der), block("PRIVATE KEY", keyDER)
		if x.keyFile == "" { // the brokers want both in one file, the key first
			err = writePEM(x.cert, append(private, cert...))
		} else if err = writePEM(x.cert, cert); err == nil {
			err = writePEM(x.keyFile, private)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func template(name string) *x509.Certificate {
	number, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: number,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func writePEM(path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
