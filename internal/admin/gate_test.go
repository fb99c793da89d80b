package admin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/admin/admintest"
	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/login"
)

// pages is a console that says what it was asked.
type pages struct {
	// stream, if not nil, answers a stream.
	stream func(w http.ResponseWriter, r *http.Request)
	calls  atomic.Int64
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.calls.Add(1)
	if p.stream != nil && r.Header.Get("Accept") == "text/event-stream" {
		p.stream(w, r)
		return
	}
	c := admin.CallerOf(r.Context())
	fmt.Fprintf(w, "page for %q, %s, session %v", c.Name, c.Role, c.Session)
}

func (*pages) Login(w http.ResponseWriter, _ *http.Request, p admin.LoginPage) {
	w.WriteHeader(p.Status)
	fmt.Fprintf(w, "form next=%s username=%s problem=%s", p.Next, p.Username, p.Problem)
}

func (*pages) Refuse(w http.ResponseWriter, _ *http.Request, p admin.Refusal) {
	w.WriteHeader(p.Status)
	fmt.Fprintf(w, "refused: %s", p.Text)
}

// log keeps what is logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// gated is a listener with its passwords, its clock and its log.
type gated struct {
	listen  string
	address string
	scheme  string
	dir     string // of the access files
	pages   *pages
	fake    *admintest.Fake
	log     *log
	ahead   atomic.Int64 // how far its clock is ahead, in nanoseconds
	ops     atomic.Pointer[string]
	client  *http.Client
}

const (
	viewerPassword   = "correct horse battery"
	operatorPassword = "staple: the rest"
)

// newGated serves a listener, with users and over TLS as wanted.
func newGated(t *testing.T, with func(*gated, *admin.Options)) *gated {
	t.Helper()
	g := &gated{listen: "127.0.0.1:0", scheme: "http://", dir: t.TempDir(), pages: &pages{}, fake: admintest.NewFake(), log: &log{}}
	password := operatorPassword
	g.ops.Store(&password)
	o := admin.Options{
		Operations: g.fake, AccessDir: g.dir, Console: g.pages, Logger: slog.New(slog.NewTextHandler(g.log, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) },
	}
	if with != nil {
		with(g, &o)
	}
	g.address = serveOn(t, g.listen, o)
	g.client = &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	g.get(t, admin.HealthyPath) // an answer comes after the access files are there
	return g
}

// withUsers has a viewer, vic, and an operator, olga.
func withUsers(g *gated, o *admin.Options) {
	o.Users = []admin.User{
		{Credential: login.Credential{Username: "vic", Password: func() string { return viewerPassword }}, Role: admin.Viewer},
		{Credential: login.Credential{Username: "olga", Password: func() string { return *g.ops.Load() }}, Role: admin.Operator},
	}
}

// withTLS has users and a certificate for relay.example.com.
func withTLS(t *testing.T) func(*gated, *admin.Options) {
	return func(g *gated, o *admin.Options) {
		withUsers(g, o)
		g.scheme = "https://"
		dir := t.TempDir()
		o.CertFile, o.KeyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		writePair(t, dir)
	}
}

// writePair makes a new certificate in dir.
func writePair(t *testing.T, dir string) {
	t.Helper()
	c, err := endtoend.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")); err != nil {
		t.Fatal(err)
	}
}

// ask makes a request with header fields, "Name: value" each.
func (g *gated) ask(t *testing.T, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.scheme+g.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		} else if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := g.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func (g *gated) get(t *testing.T, path string, header ...string) (int, string) {
	t.Helper()
	resp, text := g.ask(t, http.MethodGet, path, "", header...)
	return resp.StatusCode, text
}

// logIn posts the form and returns the answer and the cookie of the session.
func (g *gated) logIn(t *testing.T, username, password string, header ...string) (*http.Response, string) {
	t.Helper()
	form := url.Values{"username": {username}, "password": {password}, "next": {"/threats?q=a"}}
	resp, _ := g.ask(t, http.MethodPost, admin.LoginPath, form.Encode(), append(header, "Content-Type: application/x-www-form-urlencoded")...)
	for _, c := range resp.Cookies() {
		return resp, "Cookie: " + c.Name + "=" + c.Value
	}
	return resp, ""
}

func basic(username, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

func (g *gated) token(t *testing.T) string {
	t.Helper()
	access, err := admin.ReadAccess(g.dir)
	if err != nil {
		t.Fatal(err)
	}
	return access.Token
}

// TestGate is the whole table of who may do what: for each request, and each caller in
// the order of the heading, the status.
func TestGate(t *testing.T) {
	const heading = "nobody token wrong-token basic-viewer basic-operator basic-wrong viewer operator stranger"
	for name, c := range map[string]struct {
		with  func(*gated, *admin.Options)
		table string
	}{
		"open": {nil, `
			GET  /-/healthy                  200 200 200 200 200 200 200 200 200
			GET  /-/ready                    200 200 200 200 200 200 200 200 200
			GET  /metrics                    200 200 401 401 401 401 200 200 200
			POST /metrics                    403 405 401 401 401 401 403 403 403
			GET  /api/v1/status              200 200 401 401 401 401 200 200 200
			GET  /api/v1/deadletters         401 200 401 401 401 401 401 401 401
			POST /api/v1/deadletters/drop    401 200 401 401 401 401 401 401 401
			GET  /                           200 200 200 200 200 200 200 200 200
			HEAD /                           200 200 200 200 200 200 200 200 200
			POST /dead-letters               200 200 200 200 200 200 200 200 200
			GET  /assets/x.css               200 200 200 200 200 200 200 200 200
			GET  /login                      303 303 303 303 303 303 303 303 303
			GET  /logout                     405 405 405 405 405 405 405 405 405
		`},
		"with users": {withUsers, `
			GET  /-/healthy                  200 200 200 200 200 200 200 200 200
			POST /-/healthy                  405 405 405 405 405 405 405 405 405
			GET  /-/ready                    200 200 200 200 200 200 200 200 200
			GET  /metrics                    401 200 401 200 200 401 200 200 401
			POST /metrics                    401 405 401 403 405 401 403 405 401
			GET  /api/v1/status              401 200 401 200 200 401 200 200 401
			GET  /api/v1/deadletters         401 200 401 200 200 401 200 200 401
			POST /api/v1/deadletters/drop    401 200 401 403 200 401 403 200 401
			PUT  /api/v1/status              401 405 401 403 405 401 403 405 401
			GET  /                           303 200 303 303 303 303 200 200 303
			HEAD /                           303 200 303 303 303 303 200 200 303
			POST /dead-letters               401 200 401 401 401 401 403 200 401
			DELETE /                         401 200 401 401 401 401 403 200 401
			GET  /assets/x.css               200 200 200 200 200 200 200 200 200
			POST /assets/x.css               401 200 401 401 401 401 403 200 401
			GET  /assets/../events           307 307 307 307 307 307 307 307 307
			GET  /login                      200 200 200 200 200 200 303 303 200
			PUT  /login                      405 405 405 405 405 405 405 405 405
		`},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGated(t, c.with)
			_, viewer := g.logIn(t, "vic", viewerPassword)
			_, operator := g.logIn(t, "olga", operatorPassword)
			callers := map[string]string{
				"token": "Authorization: Bearer " + g.token(t), "wrong-token": "Authorization: Bearer 0123",
				"basic-viewer": basic("vic", viewerPassword), "basic-operator": basic("olga", operatorPassword),
				"basic-wrong": basic("olga", viewerPassword), "viewer": viewer, "operator": operator,
				"stranger": "Cookie: " + strings.Repeat("x", 43),
			}
			if operator != "" {
				name, _, _ := strings.Cut(operator, "=")
				callers["stranger"] = name + "=" + strings.Repeat("x", 43)
			}
			for line := range strings.SplitSeq(strings.TrimSpace(c.table), "\n") {
				fields := strings.Fields(line)
				for i, caller := range strings.Fields(heading) {
					g.ahead.Add(int64(time.Minute)) // failed logins are forgotten
					before := g.pages.calls.Load() + int64(len(g.fake.Calls()))
					resp, text := g.ask(t, fields[0], fields[1], `{"all":true}`, callers[caller], "Accept: text/html", "Content-Type: application/json")
					if got := fmt.Sprint(resp.StatusCode); got != fields[i+2] {
						t.Errorf("%s %s by %s: %s %.100q, want %s", fields[0], fields[1], caller, got, text, fields[i+2])
					}
					if did := g.pages.calls.Load() + int64(len(g.fake.Calls())) - before; did > 0 && resp.StatusCode != http.StatusOK {
						t.Errorf("%s %s by %s: it was carried out", fields[0], fields[1], caller)
					}
					checkHeaders(t, resp)
				}
			}
		})
	}
}

func checkHeaders(t *testing.T, resp *http.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", resp.Request.URL.Path, name, got, want)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; ") ||
		strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "form-action 'self'") {
		t.Errorf("%s: policy %q", resp.Request.URL.Path, csp)
	}
}

// The console learns who asks, and as what.
func TestCallers(t *testing.T) {
	open, g := newGated(t, nil), newGated(t, withUsers)
	_, viewer := g.logIn(t, "vic", viewerPassword)
	_, operator := g.logIn(t, "olga", operatorPassword)
	for _, c := range []struct {
		g      *gated
		header string
		want   string
	}{
		{open, "", `page for "", operator, session false`},
		{g, viewer, `page for "vic", viewer, session true`},
		{g, operator, `page for "olga", operator, session true`},
		{g, "Authorization: Bearer " + g.token(t), `page for "", operator, session false`},
		// A proxy's own login passes through, and is not ours.
		{g, operator + "\x00Authorization: Basic cHJveHk6eA==", `page for "olga", operator, session true`},
	} {
		if _, text := c.g.get(t, "/", strings.Split(c.header, "\x00")...); text != c.want {
			t.Errorf("got %s, want %s", text, c.want)
		}
	}
	if c := admin.CallerOf(context.Background()); c.Role != "" || c.Operates() {
		t.Errorf("without a listener the caller is %v", c)
	}
	if !strings.Contains(g.log.String(), "logged in\" user=olga") {
		t.Errorf("the log does not say who logged in:\n%s", g.log)
	}
}

// What an operator changes is in the log, with who it was.
func TestChangesAreLogged(t *testing.T) {
	g := newGated(t, withUsers)
	_, operator := g.logIn(t, "olga", operatorPassword)
	g.ask(t, http.MethodPost, "/dead-letters?id=7", "", operator)
	g.ask(t, http.MethodPost, "/api/v1/replay", `{}`, basic("olga", operatorPassword))
	for _, want := range []string{"user=olga address=127.0.0.1 method=POST path=/dead-letters", "path=/api/v1/replay"} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, g.log)
		}
	}
}

func TestHosts(t *testing.T) {
	plain := newGated(t, func(g *gated, o *admin.Options) {
		withUsers(g, o)
		o.Listen, o.Hosts = "Inside.example:9464", []string{"siem.example.com", "192.0.2.7", "2001:db8::1"}
	})
	secure := newGated(t, withTLS(t))
	for _, c := range []struct {
		g    *gated
		host string
		ok   bool
	}{
		{plain, "127.0.0.1", true}, {plain, "localhost:1", true}, {plain, "LOCALHOST.", true}, {plain, "[::1]:9464", true}, {plain, "127.9.9.9", true},
		{plain, "inside.example:9464", true}, {plain, "SIEM.example.com", true}, {plain, "siem.example.com.:443", true},
		{plain, "192.0.2.7:9464", true}, {plain, "[2001:db8::1]:9464", true},
		{plain, "other.example", false}, {plain, "192.0.2.8", false}, {plain, "localhost.example", false}, {plain, "127.0.0.1.example", false},
		{plain, "x.siem.example.com", false}, {plain, "relay.example.com", false},
		{secure, "relay.example.com:9464", true}, {secure, "Relay.Example.COM", true}, {secure, "127.0.0.1", true},
		{secure, "siem.example.com", false}, {secure, "example.com", false}, {secure, "0.0.0.0", false}, {secure, "[::]:9464", false},
	} {
		for path, status := range map[string]int{"/": 303, "/metrics": 401, "/api/v1/status": 401, "/login": 200, "/assets/x": 200} {
			want := status
			if !c.ok {
				want = http.StatusForbidden
			}
			resp, text := c.g.ask(t, http.MethodGet, path, "", "Host: "+c.host, "Accept: text/html")
			if resp.StatusCode != want {
				t.Errorf("%s%s: %d %q, want %d", c.host, path, resp.StatusCode, text, want)
			}
			if !c.ok && (strings.HasPrefix(text, "refused") || !strings.Contains(text, "admin.hosts")) {
				t.Errorf("%s%s: %q, want plain text that says what to do", c.host, path, text)
			}
		}
		if status, _ := c.g.get(t, "/-/healthy", "Host: "+c.host); status != http.StatusOK {
			t.Errorf("%s: health is %d", c.host, status)
		}
	}
}

// The address that a connection came in on is ours, whatever it is.
func TestLocalAddressIsAHost(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		network, ok := a.(*net.IPNet)
		if !ok || network.IP.IsLoopback() || network.IP.To4() == nil {
			continue
		}
		g := newGated(t, func(g *gated, o *admin.Options) { withUsers(g, o); g.listen = "0.0.0.0:0" })
		_, port, _ := net.SplitHostPort(g.address)
		access, err := admin.ReadAccess(g.dir)
		if err != nil || access.Address != "127.0.0.1:"+port {
			t.Errorf("commands go to %s, %v", access.Address, err)
		}
		g.address = net.JoinHostPort(network.IP.String(), port)
		if status, text := g.get(t, "/", "Accept: text/html"); status != http.StatusSeeOther {
			t.Errorf("%s: %d %q, want the way to the login", g.address, status, text)
		}
		return
	}
	t.Log("this machine has loopback addresses only; TestHosts has the others")
}

func TestWritesFromElsewhere(t *testing.T) {
	for name, with := range map[string]func(*gated, *admin.Options){"open": nil, "with users": withUsers} {
		g := newGated(t, with)
		_, operator := g.logIn(t, "olga", operatorPassword)
		bearer := "Authorization: Bearer " + g.token(t)
		for _, header := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://localhost:1"} {
			for path, who := range map[string]string{"/dead-letters": operator, "/login": "", "/logout": operator, "/api/v1/deadletters/drop": bearer} {
				if resp, _ := g.ask(t, http.MethodPost, path, "", header, who); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
					t.Errorf("%s: POST %s with %s: status %d, cookies %v", name, path, header, resp.StatusCode, resp.Cookies())
				}
			}
		}
		if resp, _ := g.ask(t, http.MethodPost, "/dead-letters", "", "Origin: http://"+g.address, "Sec-Fetch-Site: same-origin", operator); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: a write of our own page: status %d", name, resp.StatusCode)
		}
		if n := len(g.fake.Calls()); n > 0 {
			t.Errorf("%s: %d operations were called", name, n)
		}
	}
}

// The commands find the listener over TLS, and trust its certificate only.
func TestClientOverTLS(t *testing.T) {
	var certFile string
	g := newGated(t, func(g *gated, o *admin.Options) {
		withTLS(t)(g, o)
		certFile = o.CertFile
	})
	check := func(when string) admin.Access {
		t.Helper()
		access, err := admin.ReadAccess(g.dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := admin.NewClient(access).Ping(t.Context()); err != nil {
			t.Fatalf("%s: ping: %v", when, err)
		}
		if err := admin.Check(t.Context(), access.Address, "another", access.Fingerprint); err != nil {
			t.Errorf("%s: check: %v", when, err)
		}
		return access
	}
	before := check("at the start")
	if before.Address != g.address || len(before.Fingerprint) != 64 {
		t.Errorf("access %+v", before)
	}

	writePair(t, filepath.Dir(certFile))
	g.ahead.Add(int64(3 * time.Second))
	g.get(t, admin.HealthyPath) // a handshake finds out
	if after := check("with another certificate"); after.Fingerprint == before.Fingerprint || after.Token != before.Token {
		t.Errorf("access %+v after %+v", after, before)
	}
	for name, err := range map[string]error{
		"the old one": admin.NewClient(before).Ping(t.Context()),
		"plain HTTP":  admin.NewClient(admin.Access{Address: before.Address, Token: before.Token}).Ping(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), admin.ErrNoAnswer.Error()) {
			t.Errorf("%s: %v, want no answer", name, err)
		}
	}
	if err := admin.Check(t.Context(), before.Address, before.Fingerprint); err == nil || !strings.Contains(err.Error(), certificate.ErrOther.Error()) {
		t.Errorf("check with the old certificate: %v", err)
	}
}

// Over HTTP/2, which browsers speak then, everything is the same.
func TestHTTP2(t *testing.T) {
	g := newGated(t, withTLS(t))
	g.client.Transport = &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer g.client.CloseIdleConnections()
	_, operator := g.logIn(t, "olga", operatorPassword)
	resp, text := g.ask(t, http.MethodGet, "/", "", operator)
	if resp.ProtoMajor != 2 || text != `page for "olga", operator, session true` {
		t.Errorf("HTTP/%d: %s", resp.ProtoMajor, text)
	}
}
