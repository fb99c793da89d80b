package syslog_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

func TestTLSRefusals(t *testing.T) {
	ours, theirs := newIssuer(t), newIssuer(t)
	cert := func(i *issuer, name string, change func(*x509.Certificate)) tls.Certificate {
		pair, err := tls.LoadX509KeyPair(i.sign(name, change))
		i.must(err)
		return pair
	}
	local := func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }
	good := cert(ours, "good", local)
	authority := ours.dir + "/ca.pem"
	strangerCert, strangerKey := theirs.sign("stranger", func(*x509.Certificate) {})
	mutual := func(version uint16) *tls.Config {
		return &tls.Config{
			Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert,
			ClientCAs: pool(t, authority), MinVersion: version, MaxVersion: version,
		}
	}
	sum := sha256.Sum256(good.Certificate[0])
	fingerprint := strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"))
	for _, c := range []struct {
		name   string
		server *tls.Config // nil: no TLS
		tls    syslog.TLS
		want   string // in the error; empty: none
	}{
		{"good", &tls.Config{Certificates: []tls.Certificate{good}}, syslog.TLS{CAFile: authority}, ""},
		{"good itself as the authority", &tls.Config{Certificates: []tls.Certificate{good}}, syslog.TLS{CAFile: ours.dir + "/good.pem"}, ""},
		{"fingerprint", &tls.Config{Certificates: []tls.Certificate{good}}, syslog.TLS{Fingerprint: fingerprint}, ""},
		{"another fingerprint", &tls.Config{Certificates: []tls.Certificate{cert(ours, "other", local)}}, syslog.TLS{Fingerprint: fingerprint}, "give that one's tls.fingerprint"},
		{"unknown authority", &tls.Config{Certificates: []tls.Certificate{cert(theirs, "theirs", local)}}, syslog.TLS{CAFile: authority}, "tls.ca_file"},
		{"system's authorities", &tls.Config{Certificates: []tls.Certificate{good}}, syslog.TLS{}, "tls.ca_file"},
		{"another name", &tls.Config{Certificates: []tls.Certificate{cert(ours, "name", func(c *x509.Certificate) { c.DNSNames = []string{"siem.example.com"} })}}, syslog.TLS{CAFile: authority}, "tls.server_name"},
		{"that name", &tls.Config{Certificates: []tls.Certificate{cert(ours, "name", func(c *x509.Certificate) { c.DNSNames = []string{"siem.example.com"} })}}, syslog.TLS{CAFile: authority, ServerName: "siem.example.com"}, ""},
		{"expired", &tls.Config{Certificates: []tls.Certificate{cert(ours, "old", func(c *x509.Certificate) { local(c); c.NotAfter = time.Now().Add(-time.Minute) })}}, syslog.TLS{CAFile: authority}, "needs another certificate"},
		{"TLS 1.1", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, syslog.TLS{CAFile: authority}, "protocol version"},
		{"no TLS", nil, syslog.TLS{CAFile: authority}, "does not speak TLS"},
		{"client certificate missing, 1.2", mutual(tls.VersionTLS12), syslog.TLS{CAFile: authority}, "tls.cert_file"},
		{"client certificate missing, 1.3", mutual(tls.VersionTLS13), syslog.TLS{CAFile: authority}, "tls.cert_file"},
		{"client certificate of a stranger, 1.3", mutual(tls.VersionTLS13), syslog.TLS{CAFile: authority, CertFile: strangerCert, KeyFile: strangerKey}, "tls.cert_file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tlsReceiver(t, c.server)
			out := newOutput(t, "tls://"+r, func(s *syslog.Config) { s.TLS = c.tls })
			defer out.Close()
			for what, err := range map[string]error{
				"Check": out.(outputs.Checker).Check(context.Background()),
				"Send":  out.Send(context.Background(), batchOf(3)), // without a hold
			} {
				var notReady *outputs.NotReady
				switch {
				case c.want == "" && err != nil:
					t.Errorf("%s: %v", what, err)
				case c.want != "" && (!errors.As(err, &notReady) || !strings.Contains(err.Error(), c.want)):
					t.Errorf("%s returned %v, want one that says %q", what, err, c.want)
				}
			}
		})
	}
}

// tlsReceiver takes connections and reads. Without TLS it speaks, as a server of
// another kind may.
func tlsReceiver(tb testing.TB, c *tls.Config) string {
	if c != nil {
		return newReceiver(tb, "tls", c).address
	}
	return script(tb, func(_ int, c *net.TCPConn, in *bufio.Reader) {
		io.WriteString(c, "220 mail.example.com ready\r\n")
		io.Copy(io.Discard, in)
	})
}

// TestTLSFilesAreReadAgain: certificates are replaced while the program runs.
func TestTLSFilesAreReadAgain(t *testing.T) {
	files := newCertificates(t)
	other := newIssuer(t)
	wrong := read(t, other.dir+"/ca.pem")
	right := read(t, files.authority)
	r := newReceiver(t, "tls", files.server(t, false))
	write := func(text []byte) {
		if err := os.WriteFile(files.authority, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(wrong)
	out := newOutput(t, r.url(), func(c *syslog.Config) { c.TLS.CAFile = files.authority })
	defer out.Close()
	var notReady *outputs.NotReady
	if err := out.Send(context.Background(), batchOf(1)); !errors.As(err, &notReady) {
		t.Fatalf("with a wrong authority Send returned %v", err)
	}
	write([]byte("nonsense"))
	if err := out.Send(context.Background(), batchOf(1)); !errors.As(err, &notReady) || !strings.Contains(err.Error(), files.authority) {
		t.Fatalf("with nonsense Send returned %v", err)
	}
	write(right)
	if err := out.Send(context.Background(), batchOf(1)); err != nil {
		t.Fatalf("with the right authority: %v", err)
	}
}

// TestNewReadsTheFiles: a wrong path is found when the program starts.
func TestNewReadsTheFiles(t *testing.T) {
	files := newCertificates(t)
	empty := files.dir + "/empty.pem"
	if err := os.WriteFile(empty, pem.EncodeToMemory(&pem.Block{Type: "OTHER"}), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, set := range map[string]syslog.TLS{
		"no such file":   {CAFile: files.dir + "/none.pem"},
		"no certificate": {CAFile: empty},
		"cert_file":      {CertFile: files.client, KeyFile: files.serverKey},
	} {
		c := settings(func(c *syslog.Config) { c.Address, c.TLS = "tls://h", set })
		if _, err := syslog.New(c, syslog.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
