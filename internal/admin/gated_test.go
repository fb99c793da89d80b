package admin_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
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
