package main

import (
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/console"
	"github.com/siemrelay/siemrelay/internal/login"
	"github.com/siemrelay/siemrelay/internal/operations"
)

// newAdmin makes the admin listener and the console, over the desk.
func (p *process) newAdmin(cfg *config.Config, desk *operations.Desk, registry *prometheus.Registry) (err error) {
	p.console, err = console.New(console.Options{
		Operations: desk, Explorer: desk, Logger: p.log, Version: version, Now: time.Now,
		Intake: intake(cfg.Receiver, p.receiverAddr, p.doorCertificate),
	})
	if err != nil {
		return err
	}
	o := admin.Options{
		Ready: p.ready.check, Gatherer: registry, Registry: registry, Logger: p.log,
		Operations: desk, Explorer: desk, Console: p.console, AccessDir: cfg.Spool.Dir,
		CertFile: cfg.Admin.TLS.CertFile, KeyFile: cfg.Admin.TLS.KeyFile,
		Listen: cfg.Admin.Listen, Hosts: cfg.Admin.Hosts,
	}
	for _, u := range cfg.Admin.Users {
		o.Users = append(o.Users, admin.User{
			Credential: login.Credential{Username: u.Username, Password: u.Password.Value}, Role: admin.Role(u.Role),
		})
	}
	p.admin, err = admin.New(o)
	return err
}

// consoleURL is what a person opens in a browser.
func (p *process) consoleURL(cfg *config.Config) string {
	if leaf := p.admin.Leaf(); leaf != nil {
		return baseURL("https", cfg.Admin.Listen, p.adminAddr, leaf)
	}
	return baseURL("http", cfg.Admin.Listen, p.adminAddr, nil)
}

// intake is what the sender has to know.
func intake(c config.Receiver, address string, served *certificate.Pair) console.Intake {
	i := console.Intake{URL: "https://YOUR-PROXY" + c.Path} // nobody here knows its name
	if served != nil {
		i.URL = strings.TrimSuffix(baseURL("https", c.Listen, address, served.Leaf()), "/") + c.Path
	}
	if len(c.BasicAuth) > 0 {
		i.Username, i.PasswordFile = c.BasicAuth[0].Username, c.BasicAuth[0].Password.File()
	}
	return i
}

// baseURL is how others reach a listener, as far as this machine can know: by the host
// that is listened on, and where that is every address, by the first name in the
// certificate, or the machine's.
func baseURL(scheme, listen, address string, leaf *x509.Certificate) string {
	host, _, _ := net.SplitHostPort(listen)
	_, port, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = everyAddress(leaf)
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port), Path: "/"}
	if scheme == "https" && port == "443" {
		u.Host = strings.TrimSuffix(u.Host, ":443")
	}
	return u.String()
}

// everyAddress names a machine that listens on every address.
func everyAddress(leaf *x509.Certificate) string {
	if leaf != nil {
		for _, name := range leaf.DNSNames {
			if !strings.HasPrefix(name, "*") && name != "localhost" {
				return name
			}
		}
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "127.0.0.1"
}
