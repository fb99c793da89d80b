package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// TestRejected: what the door refuses as no JSON object is listed, shown byte by
// byte, and taken in after all, by a running relay and into the files of a stopped
// one; and a kill loses none of it that could be listed.
func TestRejected(t *testing.T) {
	d := openLab(t, endtoend.Setup{})
	bodies := []string{
		`{"record_type":"Threat","id":"cut","title":"T`, "\x00\xff\xfe not text \x1b[2J", `[1,2,3]`, `{"a":1}{"b":2}`,
		strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65),
	}
	for _, body := range bodies {
		if a, err := d.sender.Post([]byte(body)); err != nil || a.Status != 400 || a.Reason == "" {
			t.Errorf("%q got %+v, %v", body, a, err)
		}
	}
	d.showRejected(bodies)
	d.restart(true)
	d.showRejected(bodies)
	if n := d.Status().Rejected; n != len(bodies) {
		t.Errorf("status tells of %d rejected bodies, want %d", n, len(bodies))
	}
	d.Must("rejected", "accept", "1", "2", "--dry-run")
	d.account("ecs", allDelivered(0))
	d.Must("rejected", "accept", "1", "2")
	d.account("ecs", allDelivered(2))
	d.end(true)
	d.Must("rejected", "accept", "3", "4", "5")
	if ran := d.Run("rejected", "accept", "3"); ran.Code != 1 {
		t.Errorf("a body is accepted twice: %+v", ran)
	}
	if o, _ := d.Status().Output("ecs"); o.Account != (endtoend.Account{Entered: 5, Delivered: 2, Pending: 3}) {
		t.Errorf("status of the stopped relay: %+v", o)
	}
	d.start()
	d.account("ecs", allDelivered(5))
	docs := d.documents(0)
	for i, doc := range docs {
		if want := strings.ToValidUTF8(bodies[i], "\uFFFD"); doc.Event.Original != want && i != 1 { // each bad byte may count
			t.Errorf("event %d is of %q, want %q", i, doc.Event.Original, want)
		}
	}
	if n := d.Status().Rejected; n != 0 {
		t.Errorf("status tells of %d rejected bodies, want none", n)
	}
	d.Stop(d.process)
}

// showRejected checks that exactly these bodies are listed and shown.
func (d *lab) showRejected(bodies []string) {
	d.t.Helper()
	var page struct {
		Rejected []struct {
			ID      int64
			Reason  string
			Address string
			Size    int
		}
	}
	d.JSON(&page, "rejected", "list")
	list := page.Rejected
	if len(list) != len(bodies) {
		d.t.Fatalf("%d rejected bodies are listed, want %d", len(list), len(bodies))
	}
	for i, r := range list {
		if r.Size != len(bodies[i]) || r.Reason == "" || !strings.HasPrefix(r.Address, "127.0.0.1") {
			d.t.Errorf("rejected body %d is %+v", i, r)
		}
		if raw := d.Must("rejected", "show", fmt.Sprint(r.ID), "--raw"); raw != bodies[i] {
			d.t.Errorf("rejected body %d is %q, want %q", i, raw, bodies[i])
		}
		if text := d.Must("rejected", "show", fmt.Sprint(r.ID)); strings.ContainsAny(text, "\x00\x1b") {
			d.t.Errorf("rejected body %d is shown with control characters: %q", i, text)
		}
	}
}

// TestStatusCountsWebhooks: since the start, and never of a relay that does not run.
func TestStatusCountsWebhooks(t *testing.T) {
	d := openLab(t, endtoend.Setup{})
	began := time.Now().Add(-time.Second)
	if got := d.Status().Receiver; got == nil || *got != (endtoend.StatusReceiver{}) {
		t.Errorf("status after the start: %+v, want no webhooks", got)
	}
	s := &sent{lab: d, record: "r"}
	s.again("create", s.answered("create").ID)
	s.answered("update")
	if _, err := d.sender.Post([]byte(`[]`)); err != nil {
		t.Fatal(err)
	}
	got := d.Status().Receiver
	if got == nil || got.Accepted != 2 || got.Duplicates != 1 || got.Rejected != 1 || got.LastAccepted.Before(began) || got.LastAccepted.After(time.Now()) {
		t.Errorf("status: %+v, want 2 webhooks accepted, 1 known again, 1 refused", got)
	}
	if text := d.Must("status"); !strings.Contains(text, "2 accepted, 1 retry of the sender, 1 refused since the start") {
		t.Errorf("status:\n%s", text)
	}
	d.Stop(d.process)
	if got := d.Status().Receiver; got != nil {
		t.Errorf("status of the stopped relay: %+v", got)
	}
}

// TestFailedLogins: who fails too often gets 429 for that; the right password is
// never refused, also from the same address.
func TestFailedLogins(t *testing.T) {
	d := openLab(t, endtoend.Setup{Plain: true})
	wrong := d.Client()
	wrong.Login.Password += "x"
	fail := func() int {
		a, err := wrong.Post([]byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		return a.Status
	}
	const limit = 1000 // a minute
	for n := range limit {
		if got := fail(); got != 401 {
			t.Fatalf("failure %d got %d, want 401", n+1, got)
		}
		if n%100 == 0 {
			d.batch(1)
		}
	}
	// The allowance may grow while the test runs, by so many a second.
	refused := 0
	for n := 0; refused < 100 && n < 4*limit; n++ {
		switch got := fail(); got {
		case 429:
			refused++
		case 401:
		default:
			t.Fatalf("a failed login over the limit got %d", got)
		}
		if n%10 == 0 {
			d.batch(1)
		}
	}
	if refused < 100 {
		t.Errorf("%d of %d failed logins got 429", refused, 5*limit)
	}
	before := d.Accounts()["ecs"].Entered
	d.batch(1)
	d.account("ecs", allDelivered(before+1))
	d.Stop(d.process)
}
