package operations_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/operations"
	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a desk over real stores, with the outputs alpha and beta, which are
// configured, and gone, which is not. The test plays their relays.
type rig struct {
	*operations.Desk
	t       *testing.T
	o       operations.Options
	spool   *spool.Spool
	letters *deadletter.Store
	rejects *deadletter.Rejects
	cursors map[string]*spool.Cursor
	now     time.Time // every accepted event takes a minute
	health  map[string]operations.Health
	ready   error
	full    error // what appending says
}

const began = "2026-06-19T09:00:00Z"

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, cursors: map[string]*spool.Cursor{}, health: map[string]operations.Health{}}
	r.now, _ = time.Parse(time.RFC3339, began)
	dir := t.TempDir()
	clock := func() time.Time { return r.now }
	var err error
	r.spool, err = spool.Open(spool.Options{Dir: dir, MaxSize: 4 << 20, MinFree: 1, Retention: 1e6 * time.Hour, Now: clock})
	r.must(err)
	r.letters, err = deadletter.Open(deadletter.Options{Path: filepath.Join(dir, "deadletters.db"), MaxSize: 10_000, Now: clock})
	r.must(err)
	r.rejects, err = deadletter.OpenRejected(deadletter.RejectedOptions{Path: filepath.Join(dir, "rejected.db"), Now: clock})
	r.must(err)
	t.Cleanup(func() {
		r.must(errors.Join(r.rejects.Close(), r.letters.Close(), r.spool.Close()))
	})
	for _, name := range []string{"alpha", "beta", "gone"} {
		r.cursors[name], err = r.spool.Cursor(name, spool.FromNow)
		r.must(err)
		p := r.cursors[name].Position()
		r.must(r.letters.Begin(name, deadletter.Position{Next: p.Next, Pass: p.Pass, ReplayNext: p.ReplayNext, Dead: p.Dead}))
	}
	mapping, err := normalize.ParseMapping(mappings.File, mappings.Defensecom(), normalize.MappingOptions{})
	r.must(err)
	r.o = operations.Options{
		Version: "1.2.3", Dir: dir, MaxSize: 4 << 20,
		Spool: r.spool, Letters: r.letters, Rejects: r.rejects, Mapping: mapping, Append: r.append, Now: clock,
		Outputs: []operations.Output{r.output("alpha", "ecs"), r.output("beta", "cef")},
		Live:    &operations.Live{Started: r.now, Ready: func() error { return r.ready }},
	}
	r.o.Outputs[0].Overwrites = true
	r.Desk = operations.New(r.o)
	return r
}

func (r *rig) output(name, format string) operations.Output {
	encode, err := normalize.NewEncoder(format, normalize.EncoderOptions{AgentVersion: "1.2.3", Namespace: "default"})
	r.must(err)
	r.health[name] = operations.Health{State: admin.StateOK}
	return operations.Output{
		Name: name, Type: "file", Format: format, Encode: encode,
		Match:  func(e *normalize.Event) bool { return e.Company != "filtered" },
		Health: func() operations.Health { return r.health[name] },
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// append plays the receiver's store.
func (r *rig) append(body []byte) (operations.Receipt, error) {
	if r.full != nil {
		return operations.Receipt{}, r.full
	}
	r.now = r.now.Add(time.Minute)
	got, err := r.spool.Append(spool.Entry{Body: body})
	return operations.Receipt(got), err
}

// accept takes n webhooks in.
func (r *rig) accept(n int) {
	r.t.Helper()
	for i := range n {
		_, err := r.append(fmt.Appendf(nil, `{"record_type":"Threat","id":"%d","title":"T","company_id":"acme"}`, i))
		r.must(err)
	}
}

// relay lets an output settle all that it has: those with an outcome in dead
// become dead letters with that reason, the others are delivered.
func (r *rig) relay(output string, dead map[uint64]string) {
	r.t.Helper()
	c := r.cursors[output]
	var o spool.Outcome
	var letters []deadletter.Letter
	next := uint64(0)
	for {
		rec, ok, err := c.Next()
		r.must(err)
		if !ok {
			break
		}
		next = rec.Sequence + 1
		reason := dead[rec.Sequence]
		if reason == "" {
			o.Delivered++
			continue
		}
		o.Dead++
		letters = append(letters, deadletter.Letter{
			Output: output, Sequence: rec.Sequence, EventID: rec.ID, Accepted: rec.Accepted, PossibleRetry: true,
			Kind: "threat", Company: "acme", Record: "7", Title: "T\x1b\xff", Code: "threat.create", Reason: reason,
			Error: "it said \xff no", Tries: 2, First: rec.Accepted, Refused: r.now, Body: rec.Body,
		})
	}
	r.must(r.letters.Put(letters))
	r.must(c.Commit(next, o))
	r.letters.Settle(output, 0)
}

// status returns the status, whose ledgers must add up.
func (r *rig) status() admin.Status {
	r.t.Helper()
	s, err := r.Status(context.Background())
	r.must(err)
	for _, o := range s.Outputs {
		if !o.Adds() {
			r.t.Errorf("the ledger of %s does not add up: %+v", o.Name, o.Ledger)
		}
	}
	return s
}

func (r *rig) of(output string) admin.OutputStatus {
	r.t.Helper()
	for _, o := range r.status().Outputs {
		if o.Name == output {
			return o
		}
	}
	r.t.Fatalf("the status has no output %s", output)
	return admin.OutputStatus{}
}

// code checks that err has the code and says text.
func (r *rig) code(err error, want admin.Code) {
	r.t.Helper()
	if err == nil || admin.CodeOf(err) != want {
		r.t.Errorf("%v of code %s, want %s", err, admin.CodeOf(err), want)
	}
}
