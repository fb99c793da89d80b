package config

import (
	"crypto/tls"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// check looks at what sections have to do with each other.
func (c *Config) check(s *scope) {
	if len(c.Outputs) == 0 {
		s.report("outputs", "is missing; list at least one output")
	}
	for i, o := range c.Outputs {
		first := slices.IndexFunc(c.Outputs, func(other Output) bool { return other.Name == o.Name })
		if o.Name != "" && first < i {
			s.report("outputs["+strconv.Itoa(i)+"].name", "is the name of outputs[%d] too; give each output its own", first)
		}
	}
	if least := c.Receiver.MaxBody + recordRoom; c.Spool.MaxSize < least {
		s.report("spool.max_size", "can't hold one webhook of receiver.max_body, which is %s, with its envelope; give at least %s, or a smaller receiver.max_body", c.Receiver.MaxBody, least)
	}
	if sameAddress(c.Receiver.Listen, c.Admin.Listen) {
		s.report("admin.listen", "has the port of receiver.listen, which is %s; give another", c.Receiver.Listen)
	}
	c.readMappings(s)
	for i, host := range c.LinkHosts {
		c.LinkHosts[i] = strings.ToLower(host)
		if !isHostName(host) {
			s.report("link_hosts["+strconv.Itoa(i)+"]", "is not a host name; write one such as my.defense.com, without scheme, port or *")
		}
	}
}

// readMappings reads each mapping file, once, so that what was found readable is what is used.
func (c *Config) readMappings(s *scope) {
	for i, path := range c.Mappings {
		key := "mappings[" + strconv.Itoa(i) + "]"
		data, _, err := readFile(s.decoder.options, path, maxFile)
		if err != nil {
			s.report(key, "can't be used: %v; name a readable mapping file", err)
			continue
		}
		c.MappingFiles = append(c.MappingFiles, MappingFile{Name: s.find(key).written, Data: data})
	}
}

// recordRoom is what the spool needs at most beside a body: the envelope with
// the record's key, the segment's header and the cursors.
const recordRoom = 64 * KiB

var (
	webhookPath = regexp.MustCompile(`^(/|(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+/?)$`)
	dotSegment  = regexp.MustCompile(`/\.\.?(/|$)`)
)

func (r *Receiver) check(s *scope) {
	if _, _, ok := splitAddress(r.Listen); !ok {
		s.report("listen", "is not an address with a port; "+addressForm)
	}
	switch {
	case !strings.HasPrefix(r.Path, "/"):
		s.report("path", "does not begin with /; give a path such as /webhooks/defense")
	case strings.ContainsAny(r.Path, "?#%"):
		s.report("path", "has a query, a fragment or an escape; give only a path such as /webhooks/defense")
	case !webhookPath.MatchString(r.Path), dotSegment.MatchString(r.Path):
		s.report("path", "has an empty segment, a segment of dots, or a character that does not belong in a path; give one such as /webhooks/defense")
	}
	r.checkTLS(s)
	r.checkAuth(s)
}

func (r *Receiver) checkTLS(s *scope) {
	if s.wrong("insecure_http") {
		return
	}
	given := r.TLS != TLS{}
	switch {
	case !given && !r.InsecureHTTP:
		s.report("tls", "is missing; give cert_file and key_file, or set insecure_http: true beside it if a proxy in front of this machine ends TLS")
	case given && r.InsecureHTTP:
		s.report("tls", "is given together with insecure_http: true; remove one of the two")
	case r.InsecureHTTP:
		if host, _, ok := splitAddress(r.Listen); ok && !isLoopback(host) {
			s.warn("insecure_http", "lets passwords and events pass unencrypted to an address that other machines reach; make sure that only the proxy can connect")
		}
	}
}

func (r *Receiver) checkAuth(s *scope) {
	if s.wrong("insecure_no_auth") {
		return
	}
	switch {
	case len(r.BasicAuth) == 0 && !r.InsecureNoAuth:
		s.report("basic_auth", "is missing; list at least one username with a password or password_file, or set insecure_no_auth: true to take webhooks from anybody")
	case len(r.BasicAuth) > 0 && r.InsecureNoAuth:
		s.report("insecure_no_auth", "is given together with basic_auth; remove one of the two")
	case r.InsecureNoAuth:
		s.warn("insecure_no_auth", "lets anybody who can reach the port send webhooks")
	}
}

// maxLogin is the most that a listener takes of a user name and a password.
const maxLogin = 1023

func (b *BasicAuth) check(s *scope) { checkLogin(s, b.Username, b.Password) }

func checkLogin(s *scope, username string, password Secret) {
	if strings.Contains(username, ":") {
		s.report("username", "has a colon, which ends the user name in basic authentication; give one without")
	}
	if len(username)+len(password.Value()) > maxLogin {
		s.report("password", "is too long; user name and password may have %d bytes together", maxLogin)
	}
}

func (t *TLS) check(s *scope) { t.checkPair(s, "the sender") }

// checkPair reads the pair once, so that a wrong file is found before the start.
// The peer is who looks at the certificate.
func (t *TLS) checkPair(s *scope, peer string) {
	switch {
	case *t == TLS{}:
		return
	case t.CertFile == "":
		s.report("cert_file", "is missing; key_file needs it")
	case t.KeyFile == "":
		s.report("key_file", "is missing; cert_file needs it")
	}
	cert, _ := s.readPEM("cert_file", t.CertFile)
	key, info := s.readPEM("key_file", t.KeyFile)
	if cert == nil || key == nil {
		return
	}
	if readableByOthers(info) {
		s.warn("key_file", readableText)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		s.report("cert_file", "and key_file are not a pair: %s; give a certificate and its own private key, both in PEM", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	if now := s.decoder.options.Now(); now.After(pair.Leaf.NotAfter) {
		s.warn("cert_file", "is a certificate that ended on %s; %s will refuse it", pair.Leaf.NotAfter.UTC().Format("2006-01-02"), peer)
	}
}

// readPEM returns nil when there is no such file to read.
func (s *scope) readPEM(key, path string) ([]byte, fs.FileInfo) {
	if path == "" {
		return nil, nil
	}
	text, info, err := readFile(s.decoder.options, path, maxFile)
	if err != nil {
		s.report(key, "can't be used: %v; name a readable PEM file", err)
		return nil, nil
	}
	return text, info
}
