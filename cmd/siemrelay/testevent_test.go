package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/certificate"
	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/endtoend"
	"github.com/siemrelay/siemrelay/internal/receiver"
	"github.com/siemrelay/siemrelay/normalize"
)

// doorstep is a store that keeps what it was given, or fails.
type doorstep struct {
	err    error
	bodies chan []byte
}

func (s *doorstep) Append(body []byte) (receiver.Receipt, error) {
	if s.err == nil {
		s.bodies <- append([]byte(nil), body...)
	}
	return receiver.Receipt{ID: "0123456789abcdef0123456789abcdef"}, s.err
}

func (*doorstep) Unanswered(receiver.Receipt) {}

// testedDoor is a real door with a tester before it.
type testedDoor struct {
	listen   string
	plain    bool
	allow    []netip.Prefix
	password string // that the door wants
	store    doorstep
}

func (d testedDoor) open(t *testing.T) (*tester, *doorstep) {
	t.Helper()
	d.store.bodies = make(chan []byte, 10)
	o := receiver.Options{
		Path: "/a/hook", Allow: d.allow, Store: &d.store, Logger: slog.New(slog.DiscardHandler),
		Credentials: []receiver.Credential{{Username: "defense", Password: func() string { return d.password }}},
	}
	te := &tester{now: time.Now, receiver: config.Receiver{
		Path: "/a/hook", Allow: d.allow, InsecureHTTP: d.plain,
		BasicAuth: []config.BasicAuth{{Username: "defense", Password: config.NewSecret("s3cret")}},
	}}
	if !d.plain {
		pair, err := endtoend.NewCertificate()
		if err != nil {
			t.Fatal(err)
		}
		cert, key := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
		if err := pair.Write(cert, key); err != nil {
			t.Fatal(err)
		}
		te.served, err = certificate.Load(certificate.Options{CertFile: cert, KeyFile: key, Protocols: []string{"http/1.1"}, Logger: o.Logger})
		if err != nil {
			t.Fatal(err)
		}
		o.Certificate = te.served
	}
	s, err := receiver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", d.listen)
	if err != nil {
		t.Fatal(err)
	}
	te.address = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(t.Context()), <-done); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return te, &d.store
}

// TestDeskTestEvent sends through the real door, and is told what is in the way.
func TestDeskTestEvent(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://192.0.2.1:1") // must not be asked
	networks := func(list ...string) (allow []netip.Prefix) {
		for _, n := range list {
			allow = append(allow, netip.MustParsePrefix(n))
		}
		return allow
	}
	good := testedDoor{listen: "127.0.0.1:0", password: "s3cret"}
	for name, c := range map[string]struct {
		change func(*testedDoor)
		status int
		text   string // of the error, empty for a success
	}{
		"TLS":                   {func(*testedDoor) {}, 200, ""},
		"plain HTTP":            {func(d *testedDoor) { d.plain = true }, 200, ""},
		"every address":         {func(d *testedDoor) { d.listen = ":0" }, 200, ""},
		"every IPv4 address":    {func(d *testedDoor) { d.listen = "0.0.0.0:0" }, 200, ""},
		"loopback is allowed":   {func(d *testedDoor) { d.allow = networks("203.0.113.0/24", "127.0.0.0/8") }, 200, ""},
		"only IPv6 is allowed":  {func(d *testedDoor) { d.listen, d.allow = ":0", networks("::1/128") }, 200, ""},
		"nothing here is":       {func(d *testedDoor) { d.allow = networks("203.0.113.0/24") }, 0, "add 127.0.0.1 to it"},
		"nothing here is, at :": {func(d *testedDoor) { d.listen, d.allow = ":0", networks("203.0.113.0/24") }, 0, "add 127.0.0.1 to it"},
		"another password":      {func(d *testedDoor) { d.password = "other" }, 401, "the first login of receiver.basic_auth was refused"},
		"a full disk":           {func(d *testedDoor) { d.store.err = errors.New("full") }, 503, "it could not be stored: send it again later; the status says"},
	} {
		t.Run(name, func(t *testing.T) {
			d := good
			c.change(&d)
			te, store := d.open(t)
			r, err := te.send(t.Context())
			if err != nil || r.Status != c.status || !strings.Contains(r.Error, c.text) || (r.Error == "") != (c.text == "") {
				t.Fatalf("%+v, %v, want status %d and %q", r, err, c.status, c.text)
			}
			scheme := "https://"
			if d.plain {
				scheme = "http://"
			}
			if !strings.HasPrefix(r.URL, scheme) || !strings.HasSuffix(r.URL, "/a/hook") || strings.Contains(r.Error+r.URL, "s3cret") {
				t.Errorf("it tells %+v", r)
			}
			if c.text == "" {
				if r.EventID != "0123456789abcdef0123456789abcdef" || r.Duration <= 0 {
					t.Errorf("it tells %+v", r)
				}
				<-store.bodies
			}
		})
	}
}

// TestDeskTestEventIsATest: it pages nobody, passes filters by severity, and is no retry of
// the one before.
func TestDeskTestEventIsATest(t *testing.T) {
	te, store := testedDoor{listen: "127.0.0.1:0", password: "s3cret"}.open(t)
	mapping, err := loadMapping(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 2 {
		if _, err := te.send(t.Context()); err != nil {
			t.Fatal(err)
		}
		body := <-store.bodies
		var e normalize.Event
		mapping.Event(&e, normalize.Raw{ID: "x", Sequence: 1, Accepted: time.Now(), Body: body})
		encode, err := normalize.NewEncoder("ecs", normalize.EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var ecs struct {
			Event struct {
				Kind     string `json:"kind"`
				Severity int    `json:"severity"`
			} `json:"event"`
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(encode(nil, &e), &ecs); err != nil {
			t.Fatal(err)
		}
		if ecs.Event.Kind != "event" || ecs.Event.Severity != 99 || !slices.Contains(ecs.Tags, "siemrelay_test") ||
			slices.ContainsFunc(ecs.Tags, func(tag string) bool { return strings.HasPrefix(tag, "defensecom_") }) {
			t.Errorf("%s became %+v", body, ecs)
		}
		var id struct{ ID string }
		if err := json.Unmarshal(body, &id); err != nil || seen[id.ID] {
			t.Errorf("%s: %v, want a new id", body, err)
		}
		seen[id.ID] = true
	}
}

// TestDeskTestEventAndOthers: what answers at the address and is no door of ours gets no
// password.
func TestDeskTestEventAndOthers(t *testing.T) {
	te, _ := testedDoor{listen: "127.0.0.1:0", password: "s3cret"}.open(t)
	var asked atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.WriteHeader(http.StatusOK) })
	other := httptest.NewTLSServer(handler)
	defer other.Close()
	te.address = other.Listener.Addr().String()
	r, err := te.send(t.Context())
	if err != nil || r.Status != 0 || !strings.Contains(r.Error, "something else than this siemrelay") || asked.Load() > 0 {
		t.Errorf("another certificate: %+v, %v, asked %d times", r, err, asked.Load())
	}

	plain := httptest.NewServer(handler)
	defer plain.Close()
	te.address, te.served = plain.Listener.Addr().String(), nil
	if r, err := te.send(t.Context()); err != nil || r.Status != 200 || !strings.Contains(r.Error, "something else than siemrelay") || r.EventID != "" {
		t.Errorf("another server: %+v, %v", r, err)
	}
	plain.Close()
	if r, err := te.send(t.Context()); err != nil || r.Status != 0 || !strings.Contains(r.Error, "does not answer") {
		t.Errorf("nobody: %+v, %v", r, err)
	}

	p := newProcess(slog.New(slog.DiscardHandler))
	p.ready = &readiness{}
	if _, err := p.sendTest(t.Context()); admin.CodeOf(err) != admin.Unavailable {
		t.Errorf("before the door is open: %v", err)
	}
}
