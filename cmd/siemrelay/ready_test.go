package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// notReady waits until /-/ready is red and says want. Health stays green: a restart
// would not help.
func notReady(t *testing.T, r *endtoend.Rig, want string) {
	t.Helper()
	r.Eventually("/-/ready is red: "+want, func() bool {
		status, text := r.Admin("/-/ready")
		return status == http.StatusServiceUnavailable && strings.Contains(text, want)
	})
	if status, text := r.Admin("/-/healthy"); status != http.StatusOK {
		t.Errorf("health is %d %s", status, text)
	}
	if _, text := r.Admin("/metrics"); !strings.Contains(text, "siemrelay_ready 0\n") {
		t.Error("siemrelay_ready is not 0")
	}
	if text := r.Must("status"); !strings.Contains(text, want) {
		t.Errorf("status does not say %q:\n%s", want, text)
	}
}

func ready(t *testing.T, r *endtoend.Rig) {
	t.Helper()
	r.Eventually("/-/ready is green", func() bool {
		status, _ := r.Admin("/-/ready")
		return status == http.StatusOK
	})
	if _, text := r.Admin("/metrics"); !strings.Contains(text, "siemrelay_ready 1\n") {
		t.Error("siemrelay_ready is not 1")
	}
}

// TestReadyWithCertificate: while senders refuse the certificate no webhook arrives,
// whatever the spool says. It is green again once the file is replaced.
func TestReadyWithCertificate(t *testing.T) {
	t.Parallel()
	r := endtoend.NewRig(t, ecsOnly(endtoend.Setup{}))
	expired, err := endtoend.NewCertificateUntil(time.Now().Add(-time.Minute))
	if err == nil {
		err = expired.Write(r.CertificateFiles())
	}
	if err != nil {
		t.Fatal(err)
	}
	p := r.Start()
	notReady(t, r, "certificate of the webhook's address expired on ")
	if text := r.Must("status"); !strings.Contains(text, "and accepts webhooks") {
		t.Errorf("senders that don't look at the certificate are served, but status says:\n%s", text)
	}
	if err := r.Certificate.Write(r.CertificateFiles()); err != nil {
		t.Fatal(err)
	}
	ready(t, r)
	r.Stop(p)
}

// TestReadyWhileItFills: red before the spool is full of what an output needs, and
// not because of what was delivered.
func TestReadyWhileItFills(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	r := endtoend.NewRig(t, ecsOnly(endtoend.Setup{MaxSize: "4MiB"}))
	r.Configure(func(s *endtoend.Setup) { s.Outputs[0].Path = filepath.Join(dir, "events.ndjson") })
	p := r.Start()
	client := r.Client()
	body := strings.Repeat("x", 20_000)
	for range 300 { // more than max_size, all delivered
		mustPost(t, client, body)
	}
	r.AwaitDrained()
	ready(t, r)
	r.Stop(p)

	blocked := filepath.Join(t.TempDir(), "blocked")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.Configure(func(s *endtoend.Setup) { s.Outputs[0].Path = filepath.Join(blocked, "events.ndjson") })
	p = r.Start()
	client = r.Client()
	red := func() bool {
		status, _ := r.Admin("/-/ready")
		return status != http.StatusOK
	}
	for n := 0; !red(); n++ {
		if n > 300 {
			t.Fatal("more than max_size is waiting, and /-/ready is green")
		}
		mustPost(t, client, body)
	}
	notReady(t, r, "nearly full")
	mustPost(t, client, "what still fits is accepted")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	r.AwaitDrained()
	ready(t, r)
	r.Stop(p)
}
