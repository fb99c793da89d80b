package soak_test

import (
	"flag"
	"path/filepath"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

var (
	killRounds = flag.Int("soak.kills", 8, "how often TestKilledWithThreeOutputs kills; 200 is thorough")
	seed       = flag.Uint64("soak.seed", 0, "seed of what is random; 0 takes one from the clock")
)

// slowStart is the longest that a start may take on a slow and busy machine. The
// promise is a second, which docs/endurance.md measures.
const slowStart = 5 * time.Second

// The batches of the three outputs, and so what each may get again after a kill.
const fileBatch, bulkBatch, relpBatch = 20, 100, 50

// killed is a relay with three outputs that is killed again and again.
type killed struct {
	*endtoend.Rig
	t         *testing.T
	load      *endtoend.Load
	audit     *endtoend.Audit
	bulk      *endtoend.BulkSink
	relp      *endtoend.RELPSink
	ledgers   []*endtoend.Ledger
	conflicts []int // of the Elasticsearch endpoint, when each process had ended
	starts    endtoend.Latencies
}

func openKilled(t *testing.T) *killed {
	t.Helper()
	k := &killed{t: t}
	dir := t.TempDir()
	var err error
	if k.bulk, err = endtoend.NewBulkSink(filepath.Join(dir, "documents.ndjson")); err != nil {
		t.Fatal(err)
	}
	if k.relp, err = endtoend.NewRELPSink(filepath.Join(dir, "messages.cef"), ""); err != nil {
		t.Fatal(err)
	}
	k.Rig = endtoend.NewRig(t, endtoend.Setup{Binary: binary, MaxSize: "256MiB", Retention: "0", Outputs: []endtoend.Output{
		{Format: "ecs", Name: "file", MaxEvents: fileBatch}, k.bulk.Output("search", bulkBatch), k.relp.Output("relp", relpBatch),
	}})
	for _, o := range k.Outputs {
		l := endtoend.NewLedger(o)
		l.Unordered = o.Name == "search" // an index has no order; what it has again is told by its 409
		k.ledgers = append(k.ledgers, l)
	}
	k.load = endtoend.StartLoad(endtoend.LoadOptions{
		Client: k.Client, Connections: 48, Records: 3, BodySize: 2000, Retries: true, Pause: 10 * time.Millisecond,
	})
	k.audit = endtoend.StartAudit(k.load.Accepted)
	t.Cleanup(func() {
		k.load.SetDoor("") // whoever tries again gives up
		k.load.Stop()
		k.audit.Stop()
	})
	return k
}

func (k *killed) start() *endtoend.Process {
	k.t.Helper()
	p := k.Start()
	k.starts = append(k.starts, k.Serving().After)
	k.load.SetDoor(k.Serving().Address)
	k.audit.SetAdmin(k.Serving().Admin)
	return p
}

// ended waits until the receivers have taken what the process had sent, and compares
// what its metrics called delivered with what is there.
func (k *killed) ended() {
	k.t.Helper()
	k.load.SetDoor("")
	k.audit.SetAdmin("")
	last := k.audit.Last()
	for _, s := range []interface{ Quiet() error }{k.bulk, k.relp} {
		if err := s.Quiet(); err != nil {
			k.t.Fatal(err)
		}
	}
	k.conflicts = append(k.conflicts, k.bulk.Conflicts())
	for i, l := range k.ledgers {
		if err := l.Ended(); err != nil {
			k.t.Fatal(err)
		}
		if told, got := last[k.Outputs[i].Name].Delivered, int64(l.Lines()-l.Again()); told > got {
			k.t.Errorf("output %s: %d events were delivered as the metrics told, %d are there", k.Outputs[i].Name, told, got)
		}
	}
}

// TestKilledWithThreeOutputs: kill -9 at random moments under load, with senders that
// try again, loses nothing at any of the three outputs, keeps each record's order,
// repeats no more than the last batch of each under the same event.id, and makes one
// document of each in Elasticsearch. The ledger is exact in every scrape.
func TestKilledWithThreeOutputs(t *testing.T) {
	random := moments(t)
	k := openKilled(t)
	began := time.Now()
	for range *killRounds {
		p := k.start()
		time.Sleep(between(random, 50*time.Millisecond, 1500*time.Millisecond)) // the random moment
		if p.Exited() {
			t.Fatalf("the process ended by itself, log:\n%s", p.Log())
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		k.ended()
	}
	p := k.start()
	sent := k.load.Stop()
	accepted := int64(k.load.Accepted())
	want := endtoend.Account{Entered: accepted, Delivered: accepted}
	for _, o := range k.Outputs {
		k.AwaitAccount(o.Name, want)
	}
	k.Stop(p)
	k.ended()
	scrapes, problems := k.audit.Stop()
	logFirst(t, "ledger", problems)
	if scrapes < *killRounds {
		t.Errorf("%d scrapes in %d rounds: the ledger was hardly looked at", scrapes, *killRounds)
	}
	k.check(sent, accepted)
	t.Logf("%d kills in %v: %d webhooks accepted, %d scrapes of the ledger with %d problems, starts: p50 %v, slowest %v",
		*killRounds, time.Since(began).Round(time.Second), accepted, scrapes, len(problems),
		k.starts.Quantile(0.5).Round(time.Millisecond), k.starts.Quantile(1).Round(time.Millisecond))
}

// check checks what is at the outputs in the end.
func (k *killed) check(sent []endtoend.Delivery, accepted int64) {
	k.t.Helper()
	if accepted == 0 {
		k.t.Fatal("no webhook was accepted: nothing was tested")
	}
	for _, d := range sent {
		if d.Wrong != "" || !d.Accepted() {
			k.t.Errorf("webhook %d of record %s: %+v, %v, %s", d.Number, d.Record, d.Answer, d.Err, d.Wrong)
		}
	}
	if err := k.relp.Close(); err != nil {
		k.t.Error(err)
	}
	if err := k.bulk.Close(); err != nil {
		k.t.Error(err)
	}
	before := 0
	for i, n := range k.conflicts {
		if n-before > bulkBatch || i == 0 && n > 0 {
			k.t.Errorf("process %d sent %d documents that were there already; %d may be, and none of the first process", i, n-before, bulkBatch)
		}
		before = n
	}
	for i, l := range k.ledgers {
		o := k.Outputs[i]
		if err := l.Finish(); err != nil {
			k.t.Error(err)
		}
		problems := l.Check(sent, o.MaxEvents)
		logFirst(k.t, "output "+o.Name, problems)
		again := l.Again()
		if o.Name == "search" {
			if again > 0 {
				k.t.Errorf("%d documents of an event that has one", again)
			}
			again = before
		}
		if got := int64(l.Lines()) - int64(l.Again()); got != accepted {
			k.t.Errorf("output %s has %d events, %d were accepted", o.Name, got, accepted)
		}
		k.t.Logf("output %s: %d events, %d of them sent again after kills, %d problems", o.Name, l.Lines()-l.Again(), again, len(problems))
	}
	if worst := k.starts.Quantile(1); worst > slowStart {
		k.t.Errorf("a start took %v, at most %v may pass on a slow machine", worst, slowStart)
	}
}
