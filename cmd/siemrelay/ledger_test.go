package main_test

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var ledgerRounds = flag.Int("ledger.rounds", 8, "how often the tests of the ledger kill; 50 is thorough")

// audited is a run whose metrics are checked all the time.
type audited struct {
	*run
	audit *endtoend.Audit
}

func startAudited(t *testing.T, s endtoend.Setup, o endtoend.LoadOptions) *audited {
	t.Helper()
	r := &audited{run: startRun(t, s, o)}
	r.audit = endtoend.StartAudit(r.load.Accepted)
	t.Cleanup(func() { r.audit.Stop() })
	return r
}

func (r *audited) start() *endtoend.Process {
	r.t.Helper()
	p := r.run.start()
	r.audit.SetAdmin(r.Serving().Admin)
	return p
}

// ended also checks that nothing was called delivered that is not in the output.
func (r *audited) ended() {
	r.t.Helper()
	r.audit.SetAdmin("")
	last := r.audit.Last()
	r.run.ended()
	for i, l := range r.ledgers {
		if told, got := last[r.Outputs[i].Name].Delivered, int64(l.Lines()-l.Again()); told > got {
			r.t.Errorf("output %s: %d events were delivered as the metrics told, %d are there", r.Outputs[i].Name, told, got)
		}
	}
}

// settle ends the load, waits until everything has come out, and checks that every
// output's account is what all outputs have in the end: want says what is not
// delivered.
func (r *audited) settle(p *endtoend.Process, want endtoend.Account) {
	r.t.Helper()
	r.load.Stop() // all were accepted in the end
	accepted := int64(r.load.Accepted())
	want.Entered = accepted
	want.Delivered = accepted - want.Filtered - want.Dead - want.Dropped - want.Unreadable - want.Pending
	for _, o := range r.Outputs {
		r.AwaitAccount(o.Name, want)
	}
	for _, o := range r.Status().Outputs {
		if o.Account != want {
			r.t.Errorf("status of output %s: %+v, want %+v", o.Name, o.Account, want)
		}
	}
	r.finish(p)
	scrapes, problems := r.audit.Stop()
	for _, problem := range problems[:min(len(problems), 10)] {
		r.t.Error(problem)
	}
	r.t.Logf("%d scrapes, %d problems", scrapes, len(problems))
	if scrapes < *ledgerRounds {
		r.t.Errorf("%d scrapes in %d rounds: the ledger was hardly looked at", scrapes, *ledgerRounds)
	}
	for i, l := range r.ledgers {
		if got := int64(l.Lines() - l.Again()); got != want.Delivered {
			r.t.Errorf("output %s has %d events, %d were delivered", r.Outputs[i].Name, got, want.Delivered)
		}
	}
	if limit := time.Second; r.slowest > slow*limit {
		r.t.Errorf("a start took %v, the promise is %v", r.slowest, limit)
	}
}

// TestLedgerKilled: the ledger is exact in every scrape while the relay is killed
// again and again, and one of its two outputs is on a disk that is full half of the
// time. The senders try again what got no answer, and some of what got one.
func TestLedgerKilled(t *testing.T) {
	random := moments(t)
	disk := endtoend.NewTmpfs(t, 64+16**ledgerRounds)
	r := startAudited(t, endtoend.Setup{Binary: binary, Outputs: []endtoend.Output{
		{Format: "ecs", MaxEvents: 20, Path: filepath.Join(disk.Dir, "events.ndjson")},
		{Format: "cef", MaxEvents: 50},
	}}, endtoend.LoadOptions{Connections: 6, Records: 3, BodySize: 2000, Retries: true})
	for round := range *ledgerRounds {
		p := r.start()
		for half := range 2 {
			if (round+half)%2 == 0 {
				disk.Fill()
			} else {
				disk.Free()
			}
			time.Sleep(within(random, 250*time.Millisecond)) // the random moment
		}
		kill(t, p)
		r.ended()
	}
	disk.Free()
	r.settle(r.start(), endtoend.Account{})
	if !strings.Contains(r.Log(), "no space left on device") {
		t.Error("the output never met a full disk: nothing was tested")
	}
	for _, d := range r.load.Stop() {
		if d.Wrong != "" {
			t.Errorf("webhook %d of record %s: %s", d.Number, d.Record, d.Wrong)
		}
	}
}
