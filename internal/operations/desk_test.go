package operations_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/operations"
	"github.com/siemrelay/siemrelay/internal/spool"
)

func TestStatusOfARunningOne(t *testing.T) {
	r := newRig(t)
	if s := r.status(); !s.Running || !s.Ready || len(s.Outputs) != 3 || s.Outputs[0].Name != "alpha" || s.Outputs[2].Configured {
		t.Errorf("%+v, want alpha, beta and then gone", s)
	}
	r.accept(4)
	r.relay("alpha", map[uint64]string{2: "refused"})
	r.now = r.now.Add(10 * time.Minute)
	if a := r.of("alpha"); a.Entered != 4 || a.Delivered != 3 || a.Dead != 1 || a.Pending != 0 || !a.OldestPending.IsZero() || a.LagSeconds != 0 {
		t.Errorf("alpha %+v, want 3 delivered, 1 dead, nothing pending", a)
	}
	// The first event was accepted a minute after the beginning, the fourth at 4.
	if b := r.of("beta"); b.Pending != 4 || b.LagSeconds != 13*60 || !b.OldestPending.Equal(r.o.Live.Started.Add(time.Minute)) {
		t.Errorf("beta %+v, want 4 pending, 13 minutes behind", b)
	}
	for range 4 { // what nobody confirms
		_, _, err := r.cursors["beta"].Next()
		r.must(err)
	}
	r.must(r.cursors["beta"].Commit(5, spool.Outcome{Sent: 4}))
	if b := r.of("beta"); b.LagSeconds != 0 || b.Sent != 4 || b.Delivered != 0 {
		t.Errorf("beta %+v, want 4 sent, and no lag", b)
	}
	if s := r.status(); s.Spool.Bytes == 0 || s.Spool.MaxBytes != 4<<20 || s.Spool.DeadLetterBytes == 0 || s.Spool.DeadLetterMax != 10_000 {
		t.Errorf("spool %+v", s.Spool)
	}
}

func TestProblems(t *testing.T) {
	r := newRig(t)
	r.must(r.spool.Forget("gone"))
	r.must(r.letters.Forget("gone"))
	if s := r.status(); len(s.Problems) != 0 {
		t.Errorf("problems of a healthy one: %q", s.Problems)
	}
	long, short := r.now.Add(-6*time.Minute), r.now.Add(-time.Minute)
	for _, c := range []struct {
		health operations.Health
		want   string
	}{
		{operations.Health{State: admin.StatePaused, Reason: "not_ready", Error: "401 unauthorized.", Since: short}, "Output alpha is paused since 2026-06-19T08:59:00Z: 401 unauthorized."},
		{operations.Health{State: admin.StateRetrying, Reason: "timeout", Since: long}, "Output alpha retries since 2026-06-19T08:54:00Z: timeout."},
		{operations.Health{State: admin.StateRetrying, Reason: "timeout", Since: short}, ""},
		{operations.Health{State: admin.StateStopped}, "Output alpha has stopped: the log says why. Its events are kept; restart siemrelay."},
	} {
		r.health["alpha"] = c.health
		if got := strings.Join(r.status().Problems, "; "); got != c.want {
			t.Errorf("%+v: problems %q, want %q", c.health, got, c.want)
		}
	}
	r.health["alpha"] = operations.Health{State: admin.StateOK}
	r.ready = errors.New("spool is full")
	r.accept(40)
	dead := map[uint64]string{}
	for i := range uint64(22) {
		dead[i+1] = "refused"
	}
	r.relay("alpha", dead)
	want := []string{
		"New webhooks get 503: spool is full.",
		"Dead letters take 89% of dead_letters.max_size",
		"Output alpha has 22 dead letters: siemrelay deadletters list --output alpha",
	}
	got := r.status().Problems
	for i := range want {
		if len(got) != len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("problems %q, want %q", got, want)
		}
	}
}

func TestStatusOfAStoppedOne(t *testing.T) {
	r := newRig(t)
	r.accept(1)
	o := r.o
	o.Live = nil
	for i := range o.Outputs {
		o.Outputs[i].Health = nil
	}
	s, err := operations.New(o).Status(t.Context())
	r.must(err)
	if s.Running || s.Ready || !s.Started.IsZero() || s.Outputs[0].State != admin.StateStopped || s.Outputs[0].Pending != 1 {
		t.Errorf("%+v, want a stopped one with one event pending", s)
	}
	if want := "Output gone has left the configuration; 1 pending event and 0 dead letters are kept for it. Put it back, or give them up: siemrelay outputs forget gone"; len(s.Problems) != 1 || s.Problems[0] != want {
		t.Errorf("problems %q, want %q alone", s.Problems, want)
	}
}

// An output that is in the configuration and was never started has an account, too.
func TestStatusOfANewOutput(t *testing.T) {
	r := newRig(t)
	o := r.o
	o.Outputs = append(o.Outputs, r.output("new", "ecs"))
	s, err := operations.New(o).Status(t.Context())
	if err != nil || s.Outputs[2].Name != "new" || !s.Outputs[2].Configured || s.Outputs[2].Ledger != (admin.Ledger{}) {
		t.Errorf("%v: %+v, want new with an empty ledger", err, s.Outputs)
	}
	if got, err := operations.New(o).Replay(t.Context(), admin.ReplayRequest{Output: "new", Since: r.now}); err != nil || got.Entries != 0 {
		t.Errorf("replay: %v %+v, want nothing to replay", err, got)
	}
}

func TestRejected(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.rejects.Keep(deadletter.Rejected{Address: "203.0.113.9:1", Reason: "malformed", Body: fmt.Appendf(nil, "{%d", i)})
	}
	page, err := r.Rejected(t.Context(), admin.Page{Limit: 2})
	if err != nil || len(page.Rejected) != 2 || page.Next != 2 || page.Rejected[1].Size != 2 || page.Rejected[1].Address != "203.0.113.9:1" {
		t.Errorf("%v: %+v, want the first two of three", err, page)
	}
	if page, err = r.Rejected(t.Context(), admin.Page{Limit: 2, After: 2}); err != nil || len(page.Rejected) != 1 || page.Next != 0 {
		t.Errorf("%v: %+v, want the last one", err, page)
	}
	if b, err := r.RejectedBody(t.Context(), 2); err != nil || b.Body.Text != "{1" {
		t.Errorf("%v: %+v, want the second body", err, b)
	}
	_, err = r.RejectedBody(t.Context(), 9)
	r.code(err, admin.NotFound)
	_, err = r.Rejected(t.Context(), admin.Page{Limit: 1001})
	r.code(err, admin.Invalid)
	if n := r.status().Rejected; n != 3 {
		t.Errorf("status: %d rejected, want 3", n)
	}
}

func TestAccept(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		r.rejects.Keep(deadletter.Rejected{Reason: "malformed", Body: fmt.Appendf(nil, "{%d", i)})
	}
	if got, err := r.AcceptRejected(t.Context(), admin.AcceptRequest{IDs: []int64{1, 9}, DryRun: true}); err != nil || got.Failed() != 1 || !got.DryRun {
		t.Errorf("dry run: %v %+v, want one that fails", err, got)
	}
	if s := r.status(); s.Rejected != 3 || s.Outputs[0].Entered != 0 {
		t.Errorf("a dry run changed something: %+v", s)
	}
	got, err := r.AcceptRejected(t.Context(), admin.AcceptRequest{IDs: []int64{2, 9, 2}})
	r.must(err)
	if got.Failed() != 2 || got.Results[0].Error != nil || got.Results[0].EventID == "" || got.Results[0].Sequence == 0 ||
		got.Results[1].Error.Code != admin.NotFound || got.Results[2].Error.Code != admin.NotFound {
		t.Errorf("%+v, want 2 accepted once, 9 not found", got)
	}
	if rec, ok, err := r.cursors["alpha"].Next(); err != nil || !ok || string(rec.Body) != "{1" || rec.ID != got.Results[0].EventID {
		t.Errorf("the event is %q %v %v, want the body of 2", rec.Body, ok, err)
	}
	// What can't be stored stays.
	r.full = fmt.Errorf("append: %w", spool.ErrFull)
	got, err = r.AcceptRejected(t.Context(), admin.AcceptRequest{IDs: []int64{1, 3}})
	r.must(err)
	if got.Failed() != 2 || got.Results[0].Error.Code != admin.Unavailable || r.status().Rejected != 2 {
		t.Errorf("a full spool: %+v, %d rejected, want two that stay", got, r.status().Rejected)
	}
	_, err = r.AcceptRejected(t.Context(), admin.AcceptRequest{})
	r.code(err, admin.Invalid)
}

// Where the file of the rejected bodies can't be used, everything else works.
func TestWithoutRejectedBodies(t *testing.T) {
	r := newRig(t)
	o := r.o
	o.Rejects = nil
	d := operations.New(o)
	s, err := d.Status(t.Context())
	if err != nil || len(s.Problems) == 0 || !strings.HasPrefix(s.Problems[len(s.Problems)-1], "Rejected bodies: ") {
		t.Errorf("%v: problems %q, want one about the rejected bodies", err, s.Problems)
	}
	_, err = d.Rejected(t.Context(), admin.Page{})
	r.code(err, admin.Unavailable)
	_, err = d.RejectedBody(t.Context(), 1)
	r.code(err, admin.Unavailable)
	if got, err := d.AcceptRejected(t.Context(), admin.AcceptRequest{IDs: []int64{1}}); err != nil || got.Results[0].Error.Code != admin.Unavailable {
		t.Errorf("%v: %+v, want unavailable", err, got)
	}
}
