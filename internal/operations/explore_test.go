package operations_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/operations"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// withStore gives the rig's desk a local output, to which everything is sent that the
// spool has accepted and will accept.
func (r *rig) withStore() (fill func()) {
	r.t.Helper()
	c := local.Default()
	c.Path, c.Retention = filepath.Join(r.t.TempDir(), "events.db"), 0
	out, err := local.New(c, local.Options{Name: "local"})
	r.must(err)
	reader, err := local.NewReader(local.ReaderOptions{Path: c.Path, Now: func() time.Time { return r.now }})
	r.must(err)
	r.t.Cleanup(func() { r.must(errors.Join(reader.Close(), out.Close())) })
	cursor, err := r.spool.Cursor("local", spool.FromOldest)
	r.must(err)
	encode, err := normalize.NewEncoder("ecs", normalize.EncoderOptions{AgentVersion: "1.2.3", Namespace: "default", EventOriginal: true})
	r.must(err)
	r.o.Store, r.o.StoreOutput = reader, "local"
	r.o.Outputs = append(r.o.Outputs, operations.Output{Name: "local", Type: "local", Format: "ecs", Encode: encode})
	r.Desk = operations.New(r.o)
	return func() {
		r.t.Helper()
		var e normalize.Event
		for {
			rec, ok, err := cursor.Next()
			r.must(err)
			if !ok {
				return
			}
			r.o.Mapping.Event(&e, normalize.Raw{ID: rec.ID, Sequence: rec.Sequence, Accepted: rec.Accepted, Body: rec.Body})
			r.must(out.Send(context.Background(), []outputs.Message{{
				ID: rec.ID, Key: e.Key, Kind: e.Kind, Company: e.Company, Trigger: e.Trigger, Accepted: rec.Accepted, Sequence: rec.Sequence,
				Body: encode(nil, &e), State: normalize.NewState()(nil, &e),
			}}))
		}
	}
}

// all lists every event, the oldest first.
func (r *rig) all() []admin.EventSummary {
	r.t.Helper()
	page, err := r.Events(context.Background(), admin.EventQuery{})
	r.must(err)
	var list []admin.EventSummary
	for i := range page.Events {
		list = append(list, page.Events[len(page.Events)-1-i])
	}
	return list
}

// outcomes are what became of an event, by output.
func (r *rig) outcomes(id string) map[string]admin.Outcome {
	r.t.Helper()
	e, err := r.Event(context.Background(), id)
	r.must(err)
	got := map[string]admin.Outcome{}
	for _, o := range e.Outputs {
		got[o.Output] = o.Outcome
	}
	return got
}

// TestOutcomes: what became of an event is what the stores say, and unknown where they
// don't.
func TestOutcomes(t *testing.T) {
	r := newRig(t)
	fill := r.withStore()
	r.accept(3)
	fill()
	events := r.all()
	want := func(i int, alpha, beta admin.Outcome) {
		t.Helper()
		got := r.outcomes(events[i].ID)
		if diff := cmp.Diff(map[string]admin.Outcome{"alpha": alpha, "beta": beta, "local": admin.OutcomeDelivered}, got); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i+1, diff)
		}
	}
	want(0, admin.OutcomePending, admin.OutcomePending)
	r.relay("alpha", map[uint64]string{2: "refused", 3: "poison"})
	want(0, admin.OutcomeDelivered, admin.OutcomePending)
	want(1, admin.OutcomeDead, admin.OutcomePending)
	e, err := r.Event(context.Background(), events[1].ID)
	r.must(err)
	if o := e.Outputs[0]; o.Letter != 1 || o.Error != "it said \uFFFD no" || o.State != admin.StateOK {
		t.Errorf("the dead one: %+v", o)
	}
	r.health["beta"] = operations.Health{State: admin.StateRetrying, Error: "connection refused"}
	if e, err = r.Event(context.Background(), events[2].ID); err != nil || e.Outputs[1].Error != "connection refused" || e.Outputs[1].State != admin.StateRetrying {
		t.Errorf("a pending one: %+v %v", e.Outputs[1], err)
	}
	_, err = r.letters.Requeue(deadletter.Selection{IDs: []int64{1}})
	r.must(err)
	want(1, admin.OutcomePending, admin.OutcomePending)
	_, err = r.letters.Drop(deadletter.Selection{IDs: []int64{2}})
	r.must(err)
	want(1, admin.OutcomePending, admin.OutcomePending)
	want(2, admin.OutcomeUnknown, admin.OutcomePending) // one was dropped, and this one is gone
	want(0, admin.OutcomeUnknown, admin.OutcomePending) // and it may have been this one
}

// TestOutcomesOfPassedEvents: filtered, sent, from before the output began, and what
// sums can't tell.
func TestOutcomesOfPassedEvents(t *testing.T) {
	r := newRig(t)
	fill := r.withStore()
	for _, company := range []string{"acme", "filtered", "acme"} {
		_, err := r.append(fmt.Appendf(nil, `{"record_type":"Threat","id":"1","title":"T","company_id":%q}`, company))
		r.must(err)
	}
	fill()
	events := r.all()
	r.settle("alpha", spool.Outcome{Delivered: 2, Filtered: 1})
	r.settle("beta", spool.Outcome{Sent: 3})
	r.must(r.spool.Close()) // the outputs of a new spool all begin with its first event
	var err error
	r.spool, err = spool.Open(spool.Options{Dir: r.o.Dir, MaxSize: 4 << 20, MinFree: 1, Retention: 1e6 * time.Hour, Now: func() time.Time { return r.now }})
	r.must(err)
	r.o.Spool, r.o.Ages = r.spool, nil
	for name := range r.cursors {
		r.cursors[name], err = r.spool.Cursor(name, spool.FromNow)
		r.must(err)
	}
	late, err := r.spool.Cursor("late", spool.FromNow)
	r.must(err)
	r.cursors["late"] = late
	r.o.Outputs = append(r.o.Outputs, r.output("late", "ecs"), r.output("never", "ecs"))
	r.Desk = operations.New(r.o)
	want := func(i int, want map[string]admin.Outcome) {
		t.Helper()
		got := r.outcomes(events[i].ID)
		delete(got, "local")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i+1, diff)
		}
	}
	want(0, map[string]admin.Outcome{"alpha": admin.OutcomeDelivered, "beta": admin.OutcomeSent, "late": admin.OutcomeNone, "never": admin.OutcomeUnknown})
	want(1, map[string]admin.Outcome{"alpha": admin.OutcomeFiltered, "beta": admin.OutcomeSent, "late": admin.OutcomeNone, "never": admin.OutcomeUnknown})
	// Some were sent, others delivered: which is not known any more.
	r.accept(1)
	r.settle("beta", spool.Outcome{Delivered: 1})
	want(0, map[string]admin.Outcome{"alpha": admin.OutcomeDelivered, "beta": admin.OutcomeUnknown, "late": admin.OutcomeNone, "never": admin.OutcomeUnknown})
}

// settle lets an output pass all that it has.
func (r *rig) settle(output string, o spool.Outcome) {
	r.t.Helper()
	next := uint64(0)
	for {
		rec, ok, err := r.cursors[output].Next()
		r.must(err)
		if !ok {
			break
		}
		next = rec.Sequence + 1
	}
	r.must(r.cursors[output].Commit(next, o))
}

// TestEventDetail: an event is as it came, and as it would be sent.
func TestEventDetail(t *testing.T) {
	r := newRig(t)
	fill := r.withStore()
	body := `{"record_type":"Threat","id":"7","company_id":"acme","trigger_action":"create","title":"Hostile \u001b[31m <b>","risk":"critical","state":"detected","type":"User"}`
	_, err := r.append([]byte(body))
	r.must(err)
	fill()
	e, err := r.Event(context.Background(), r.all()[0].ID)
	r.must(err)
	if string(e.Raw.Bytes()) != body {
		t.Errorf("raw is %s", e.Raw.Bytes())
	}
	if ecs := string(e.ECS.Bytes()); !strings.HasPrefix(ecs, `{"@timestamp":`) || !strings.Contains(ecs, `"id":"`+e.ID+`"`) {
		t.Errorf("ECS is %s", ecs)
	}
	if cef := string(e.CEF.Bytes()); !strings.HasPrefix(cef, "CEF:0|Defense.com|") || !strings.Contains(cef, e.ID) {
		t.Errorf("CEF is %s", cef)
	}
	if e.Risk != "critical" || e.Code != "threat.create" || e.Status != "open" || e.Key != "threat/acme/7" || e.Title != "Hostile \x1b[31m <b>" {
		t.Errorf("%+v", e.EventSummary)
	}
	record, err := r.Record(context.Background(), e.Key)
	r.must(err)
	if record.ID != "7" || len(record.Timeline) != 1 || record.Events != 1 || !record.Updated.Equal(e.Accepted) {
		t.Errorf("%+v", record)
	}
	o, err := r.Overview(context.Background(), admin.OverviewQuery{})
	r.must(err)
	if o.Events != 1 || len(o.Accepted) != 60 || o.OpenThreats[0] != (admin.RiskCount{Risk: "critical", Count: 1}) || len(o.OpenThreats) != 5 || len(o.Companies) != 1 {
		t.Errorf("%+v", o)
	}
	last := o.Buckets[len(o.Buckets)-1]
	if last.Critical != 1 || last.Start.After(o.Now) || !last.Start.Add(30*time.Minute).After(o.Now) {
		t.Errorf("the last bucket is %+v at %v", last, o.Now)
	}
	for i := range o.Buckets[1:] {
		if gap := o.Buckets[i+1].Start.Sub(o.Buckets[i].Start); gap != 30*time.Minute {
			t.Errorf("bucket %d is %v long", i, gap)
		}
	}
}

// TestLookingThatCantBeMeant: the same errors as other operations have.
func TestLookingThatCantBeMeant(t *testing.T) {
	ctx := context.Background()
	r := newRig(t)
	_, err := r.Events(ctx, admin.EventQuery{})
	r.code(err, admin.Unavailable)
	if !strings.Contains(err.Error(), "type: local") {
		t.Errorf("%v does not say how to have it", err)
	}
	_, err = r.SendTest(ctx)
	r.code(err, admin.Unavailable)
	r.withStore()
	for name, err := range map[string]error{
		"no such filter": second(r.Events(ctx, admin.EventQuery{Text: "risc:high"})),
		"limit":          second(r.Events(ctx, admin.EventQuery{Limit: admin.MaxPage + 1})),
		"both":           second(r.Events(ctx, admin.EventQuery{Before: 1, After: 1})),
		"kind":           second(r.Records(ctx, admin.RecordQuery{Kind: "other"})),
		"sort":           second(r.Records(ctx, admin.RecordQuery{Sort: "title"})),
		"cursor":         second(r.Records(ctx, admin.RecordQuery{Cursor: "x"})),
		"window":         second(r.Overview(ctx, admin.OverviewQuery{Window: 91 * 24 * time.Hour})),
	} {
		if admin.CodeOf(err) != admin.Invalid {
			t.Errorf("%s: %v of code %s", name, err, admin.CodeOf(err))
		}
	}
	r.code(second(r.Event(ctx, "0123")), admin.NotFound)
	r.code(second(r.Record(ctx, "threat/a/b")), admin.NotFound)
	r.o.Live.SendTest = func(context.Context) (admin.TestResult, error) { return admin.TestResult{Status: 200}, nil }
	r.Desk = operations.New(r.o)
	if got, err := r.SendTest(ctx); err != nil || got.Status != 200 {
		t.Errorf("%+v %v", got, err)
	}
}

func second[T any](_ T, err error) error { return err }
