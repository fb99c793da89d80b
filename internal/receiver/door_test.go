package receiver_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/siemrelay/siemrelay/internal/receiver"
)

func TestStoreFailureIs503UntilItWorksAgain(t *testing.T) {
	d := open(t, false, nil)
	var full atomic.Bool
	d.store.before = func([]byte) error {
		if full.Load() {
			return errors.New("append record: no space left on device")
		}
		return nil
	}
	d.mustAccept(t)
	full.Store(true)
	for range 3 {
		got := d.post(t, `{"id":"1"}`)
		if got.Class() != "5xx" || got.Statuses[0] != http.StatusServiceUnavailable {
			t.Fatalf("a full store: answers %v", got.Statuses)
		}
		if got.Header.Get("Retry-After") == "" || strings.Contains(got.Body, "space") {
			t.Errorf("header %v, body %q", got.Header, got.Body)
		}
	}
	full.Store(false)
	d.mustAccept(t)
	if bad, good := d.log.count("no space left"), d.log.count(`"refused":3`); bad != 1 || good != 1 {
		t.Errorf("an outage was logged %d times, its end %d times:\n%s", bad, good, d.log)
	}
	if n := d.metric(t, "siemrelay_receiver_rejected_total", "reason=not_stored"); n != 3 {
		t.Errorf("%v counted as not stored", n)
	}
}

func TestPanicIs503AndALineInTheLog(t *testing.T) {
	var inStore, inPassword atomic.Bool
	d := open(t, false, func(o *receiver.Options) {
		o.Credentials[0].Password = func() string {
			if inPassword.Load() {
				panic("password source broke")
			}
			return password
		}
	})
	d.store.before = func([]byte) error {
		if inStore.Load() {
			panic("store broke")
		}
		return nil
	}
	for what, broken := range map[string]*atomic.Bool{"store broke": &inStore, "password source broke": &inPassword} {
		broken.Store(true)
		got := d.post(t, `{"id":"1"}`)
		broken.Store(false)
		if len(got.Statuses) != 1 || got.Statuses[0] != 503 || got.Header.Get("Retry-After") == "" || !got.Closed {
			t.Errorf("%s: answer %v %v %q", what, got.Statuses, got.Header, got.Body)
		}
		if d.log.count(what) != 1 || !strings.Contains(d.log.String(), "door_test.go") {
			t.Errorf("%s: the log has no line with the stack:\n%s", what, d.log)
		}
		d.mustAccept(t)
	}
	if n := d.metric(t, "siemrelay_receiver_panics_total"); n != 2 {
		t.Errorf("%v panics counted", n)
	}
}

func TestPasswordsRotate(t *testing.T) {
	var next atomic.Pointer[string]
	set := func(s string) { next.Store(&s) }
	set("second")
	d := open(t, false, func(o *receiver.Options) {
		o.Credentials = append(o.Credentials,
			receiver.Credential{Username: "defense", Password: func() string { return *next.Load() }},
			receiver.Credential{Username: "other", Password: func() string { return "third" }})
	})
	for _, c := range []struct {
		user, password, second string
		want                   string
	}{
		{"defense", password, "second", "2xx"},
		{"defense", "second", "second", "2xx"},
		{"other", "third", "second", "2xx"},
		{"other", "second", "second", "4xx"},
		{"defense", "third", "second", "4xx"},
		{"defense", "second", "new", "4xx"},
		{"defense", "new", "new", "2xx"},
		{"defense", password, "new", "2xx"},
		{"defense", "", "", "4xx"},
		{"other", "third", "", "2xx"},
	} {
		set(c.second)
		raw := "POST $PATH HTTP/1.1\r\nHost: $HOST\r\nAuthorization: Basic " + basic(c.user, c.password) + "\r\nContent-Length: 2\r\n\r\n{}"
		if got := d.send(t, raw); got.Class() != c.want {
			t.Errorf("%s:%s while the second password is %q: %s, want %s", c.user, c.password, c.second, got.Class(), c.want)
		}
	}
}

func TestWithoutLogin(t *testing.T) {
	d := open(t, false, func(o *receiver.Options) { o.Credentials, o.InsecureNoAuth = nil, true })
	if got := d.send(t, "POST $PATH HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 2\r\n\r\n{}"); got.Class() != "2xx" {
		t.Errorf("insecure_no_auth: %v", got.Statuses)
	}
}

func TestFailedLoginsAreCountedAndLoggedOnce(t *testing.T) {
	d := open(t, false, nil)
	for range 30 {
		d.send(t, "POST $PATH HTTP/1.1\r\nHost: $HOST\r\nAuthorization: $AUTH_BADPASS\r\nContent-Length: 2\r\n\r\n{}")
	}
	d.mustAccept(t)
	if n := d.metric(t, "siemrelay_receiver_rejected_total", "reason=credentials"); n != 30 {
		t.Errorf("%v failed logins counted", n)
	}
	log := d.log.String()
	if d.log.count("login failed") != 1 || !strings.Contains(log, "127.0.0.1") {
		t.Errorf("the log:\n%s", log)
	}
	if strings.Contains(log, password) || strings.Contains(log, basic(username, password+"x")) {
		t.Errorf("the log holds what was sent:\n%s", log)
	}
}

func TestDuplicateIsSaidAndCounted(t *testing.T) {
	d := open(t, false, nil)
	d.mustAccept(t)
	first := d.metric(t, "siemrelay_receiver_last_accepted_timestamp_seconds")
	d.store.duplicate = true // nobody is sending
	got := d.post(t, `{"id":"1"}`)
	if want := `{"status":"accepted","id":"` + strings.Repeat("0", 31) + `2","duplicate":true}`; len(got.Statuses) != 1 || got.Statuses[0] != 200 || got.Body != want {
		t.Errorf("answer %v %s, want %s", got.Statuses, got.Body, want)
	}
	d.post(t, `{`)
	for _, m := range []struct {
		name, label string
		want        float64
	}{
		{"requests_total", "code=200", 2},
		{"accepted_total", "", 1}, {"duplicates_total", "", 1}, {"rejected_total", "reason=json", 1},
		{"unanswered_total", "", 0}, {"last_accepted_timestamp_seconds", "", first},
	} {
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		if n := d.metric(t, "siemrelay_receiver_"+m.name, labels...); n != m.want {
			t.Errorf("%s %s is %v, want %v", m.name, m.label, n, m.want)
		}
	}
}

// TestBodiesDoNotMix would fail if a body's buffer were reused while the store
// still has it, or for another request.
func TestBodiesDoNotMix(t *testing.T) {
	d := open(t, false, nil)
	const clients, each = 16, 60
	sent := sync.Map{}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			conn, err := net.Dial("tcp", d.Address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for i := range each {
				body := fmt.Sprintf(`{"id":"%d-%d","x":"%s"}`, c, i, strings.Repeat(string(rune('a'+c)), 37*i))
				sent.Store(body, true)
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n%s", d.Path, basic(username, password), len(body), body)
				answer, err := http.ReadResponse(in, nil)
				if err != nil || answer.StatusCode != http.StatusOK {
					t.Errorf("answer %v, %v", answer, err)
					return
				}
				answer.Body.Close()
			}
		})
	}
	wg.Wait()
	stored := d.store.stored()
	if len(stored) != clients*each {
		t.Errorf("%d stored", len(stored))
	}
	for _, b := range stored {
		if _, ok := sent.LoadAndDelete(string(b)); !ok {
			t.Fatalf("stored, but not sent or stored twice: %.80q", b)
		}
	}
}

// declare opens connections that declare a mebibyte each and send only some of it.
func declare(t *testing.T, d *door, connections, send int) {
	t.Helper()
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n{%s", d.Path, basic(username, password), receiver.DefaultMaxBody, strings.Repeat(" ", send))
	for range connections {
		conn, err := net.Dial("tcp", d.Address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := conn.Write([]byte(head)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeclaredLengthTakesNoMemory has many large bodies under way.
func TestDeclaredLengthTakesNoMemory(t *testing.T) {
	d := open(t, false, nil)
	const connections = 60
	before := heap()
	declare(t, d, connections, 20_000)
	eventually(t, "all bodies are being received", func() bool {
		return d.metric(t, "siemrelay_receiver_inflight_body_bytes") == connections*receiver.DefaultMaxBody
	})
	d.mustAccept(t) // small bodies need nothing of what is reserved
	for range 30 {  // that the server has read all there is can't be seen from here
		if grown := heap() - before; grown > connections*receiver.DefaultMaxBody/4 {
			t.Fatalf("the heap grew by %d bytes", grown)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A declaration is no reason to refuse another's large body: only what has come is.
func TestDeclaredLengthsDoNotUseTheBudgetUp(t *testing.T) {
	d := open(t, false, nil)
	declare(t, d, 70, 6_000)
	eventually(t, "the connections are served", func() bool {
		return d.metric(t, "siemrelay_receiver_connections") >= 70
	})
	d.mustAccept(t)
	if n := d.metric(t, "siemrelay_receiver_inflight_body_bytes"); n != 0 {
		t.Errorf("%v bytes are reserved for bodies of which 6 KB have come", n)
	}
	if got := d.post(t, `{"pad":"`+strings.Repeat("x", 20_000)+`"}`); got.Class() != "2xx" {
		t.Errorf("a large body got %v %s", got.Statuses, got.Body)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestMetrics(t *testing.T) {
	d := open(t, true, nil)
	d.mustAccept(t)
	d.mustAccept(t)
	d.post(t, `{`)
	d.send(t, "POST /nope HTTP/1.1\r\nHost: $HOST\r\n\r\n")
	for _, m := range []struct {
		name  string
		label string
		want  float64
	}{
		{"requests_total", "code=200", 2}, {"requests_total", "code=400", 1}, {"requests_total", "code=404", 1}, {"requests_total", "code=503", 0},
		{"rejected_total", "reason=json", 1}, {"rejected_total", "reason=path", 1}, {"rejected_total", "reason=credentials", 0},
		{"request_duration_seconds", "", 2}, {"connections_refused_total", "reason=address", 0},
		{"tls_handshake_errors_total", "", 0}, {"accept_errors_total", "", 0}, {"panics_total", "", 0}, {"inflight_body_bytes", "", 0},
	} {
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		if got := d.metric(t, "siemrelay_receiver_"+m.name, labels...); got != m.want {
			t.Errorf("%s %s is %v, want %v", m.name, m.label, got, m.want)
		}
	}
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	if d.metric(t, "siemrelay_receiver_last_accepted_timestamp_seconds") < 1.7e9 {
		t.Error("no time of the last accepted webhook")
	}
	if d.metric(t, "siemrelay_receiver_certificate_expiry_timestamp_seconds") < 1.7e9 {
		t.Error("no expiry of the certificate")
	}
	eventually(t, "no connection is counted", func() bool { return d.metric(t, "siemrelay_receiver_connections") == 0 })
}
