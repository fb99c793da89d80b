package ledger_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/ledger"
	"github.com/siemrelay/siemrelay/internal/spool"
)

// books are real stores under a temporary directory.
type books struct {
	t       *testing.T
	dir     string
	spool   *spool.Spool
	cursor  *spool.Cursor
	letters *deadletter.Store
}

func open(t *testing.T, dir string) *books {
	t.Helper()
	b := &books{t: t, dir: dir}
	var err error
	if b.spool, err = spool.Open(spool.Options{Dir: filepath.Join(dir, "spool"), MaxSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if b.letters, err = deadletter.Open(deadletter.Options{Path: filepath.Join(dir, "deadletters.db"), MaxSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if b.cursor, err = b.spool.Cursor("out", spool.FromOldest); err != nil {
		t.Fatal(err)
	}
	p := b.cursor.Position()
	if err := b.letters.Begin("out", deadletter.Position{Next: p.Next, Pass: p.Pass, ReplayNext: p.ReplayNext, Dead: p.Dead}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *books) close() {
	b.t.Helper()
	if err := b.letters.Close(); err != nil {
		b.t.Fatal(err)
	}
	if err := b.spool.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *books) reopen() *books {
	b.close()
	return open(b.t, b.dir)
}

// refuse puts the event of the sequence among the dead letters, as a relay does
// before it commits.
func (b *books) refuse(pass, sequence uint64) {
	b.t.Helper()
	now := time.Unix(1, 0)
	if err := b.letters.Put([]deadletter.Letter{{
		Output: "out", Pass: pass, Sequence: sequence, EventID: fmt.Sprint(sequence), Accepted: now,
		Reason: "refused", First: now, Refused: now, Tries: 1, Body: []byte(`{}`),
	}}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *books) commit(next uint64, o spool.Outcome) {
	b.t.Helper()
	if err := b.cursor.Commit(next, o); err != nil {
		b.t.Fatal(err)
	}
	b.letters.Settle("out", 0)
}

// check holds the ledger against want, which has no name, and checks that it adds up
// and that the dead are those that can be listed.
func (b *books) check(step string, want ledger.Entry) {
	b.t.Helper()
	entries := ledger.Entries(b.spool, b.letters)
	if len(entries) != 1 {
		b.t.Fatalf("%s: %d entries, want 1", step, len(entries))
	}
	e := entries[0]
	if sum := e.Delivered + e.Sent + e.Filtered + e.Dead + e.Dropped + e.Unreadable + e.Pending; sum != e.Entered {
		b.t.Errorf("%s: it does not add up: %+v", step, e)
	}
	listed, _, err := b.letters.Count(deadletter.Selection{Output: "out"})
	if err != nil || uint64(listed) != e.Dead {
		b.t.Errorf("%s: %d dead letters can be listed, %v; the ledger is %+v", step, listed, err, e)
	}
	e.Output, e.Next, e.Began = "", 0, 0
	if diff := cmp.Diff(want, e); diff != "" {
		b.t.Errorf("%s: the ledger differs (-want +got):\n%s", step, diff)
	}
}

func (b *books) read(n int) {
	b.t.Helper()
	for range n {
		if _, ok, err := b.cursor.Next(); !ok || err != nil {
			b.t.Fatal(ok, err)
		}
	}
}

// TestTheLedgerAddsUp follows events through everything that can become of them, and
// reopens both stores after each step.
func TestTheLedgerAddsUp(t *testing.T) {
	b := open(t, t.TempDir())
	for i := range 10 {
		if _, err := b.spool.Append(spool.Entry{Body: fmt.Appendf(nil, `{"n":%d}`, i)}); err != nil {
			t.Fatal(err)
		}
	}
	b.check("accepted", ledger.Entry{Entered: 10, Pending: 10})
	b.read(6)
	b.refuse(0, 3)
	b.refuse(0, 4)
	b.check("refused, not committed: still pending", ledger.Entry{Entered: 10, Pending: 10})
	b = b.reopen()
	b.check("and after a crash", ledger.Entry{Entered: 10, Pending: 10})
	b.read(6)
	b.refuse(0, 3)
	b.refuse(0, 4)
	b.commit(7, spool.Outcome{Delivered: 3, Filtered: 1, Dead: 2})
	b.check("committed", ledger.Entry{Entered: 10, Delivered: 3, Filtered: 1, Dead: 2, Pending: 4})
	b = b.reopen()
	b.check("and after a restart", ledger.Entry{Entered: 10, Delivered: 3, Filtered: 1, Dead: 2, Pending: 4})

	if n, err := b.letters.Requeue(deadletter.Selection{Output: "out"}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	queued := ledger.Entry{Entered: 10, Delivered: 3, Filtered: 1, Pending: 6, Queued: 2}
	b.check("set back to pending", queued)
	b = b.reopen()
	b.check("and after a restart", queued)
	queue := b.letters.Queue("out")
	for range 2 {
		if _, ok, err := queue.Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	b.refuse(0, 4) // again
	if err := queue.Commit(deadletter.Outcome{Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	half := ledger.Entry{Entered: 10, Delivered: 4, Filtered: 1, Dead: 1, Pending: 4}
	b.check("one delivered, one refused again", half)
	b = b.reopen()
	b.check("and after a restart", half)

	if n, err := b.letters.Drop(deadletter.Selection{Output: "out"}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	b.check("dropped", ledger.Entry{Entered: 10, Delivered: 4, Filtered: 1, Dropped: 1, Pending: 4})
	if n, err := b.spool.StartReplay("out", spool.Range{From: 1, To: 4}); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	b.check("replayed", ledger.Entry{Entered: 13, Delivered: 4, Filtered: 1, Dropped: 1, Pending: 7, Replaying: 3})
	b = b.reopen()
	for range 3 {
		if _, ok, err := b.cursor.Replay().Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	b.refuse(1, 2)
	if err := b.cursor.Replay().Commit(4, spool.Outcome{Delivered: 2, Dead: 1}); err != nil {
		t.Fatal(err)
	}
	b.letters.Settle("out", 1)
	last := ledger.Entry{Entered: 13, Delivered: 6, Filtered: 1, Dead: 1, Dropped: 1, Pending: 4}
	b.check("one of the replay refused", last)
	b = b.reopen()
	b.check("and after a restart", last)
	b.close()
}

// TestWhatConfirmsNothing: an event that was only handed over is sent and not delivered,
// on whichever lane it came, and stays so when others are delivered later.
func TestWhatConfirmsNothing(t *testing.T) {
	b := open(t, t.TempDir())
	for range 6 {
		if _, err := b.spool.Append(spool.Entry{Body: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	b.read(4)
	b.refuse(0, 3)
	b.refuse(0, 4)
	b.commit(5, spool.Outcome{Sent: 2, Dead: 2})
	b.check("sent", ledger.Entry{Entered: 6, Sent: 2, Dead: 2, Pending: 2})
	if n, err := b.letters.Requeue(deadletter.Selection{IDs: []int64{1}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	queue := b.letters.Queue("out")
	if _, ok, err := queue.Next(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := queue.Commit(deadletter.Outcome{Sent: 1}); err != nil {
		t.Fatal(err)
	}
	b.check("a dead letter sent", ledger.Entry{Entered: 6, Sent: 3, Dead: 1, Pending: 2})
	if n, err := b.spool.StartReplay("out", spool.Range{From: 4, To: 5}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, ok, err := b.cursor.Replay().Next(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := b.cursor.Replay().Commit(5, spool.Outcome{Sent: 1}); err != nil {
		t.Fatal(err)
	}
	if err := b.letters.Sent("out", []uint64{4}); err != nil {
		t.Fatal(err)
	}
	b.check("one of the replay sent", ledger.Entry{Entered: 7, Sent: 5, Pending: 2})
	b = b.reopen()
	b.read(2)
	b.commit(7, spool.Outcome{Delivered: 2})
	last := ledger.Entry{Entered: 7, Delivered: 2, Sent: 5}
	b.check("others delivered", last)
	b = b.reopen()
	b.check("and after a restart", last)

	// Where there is no cursor any more, the dead letters' account adds up by itself.
	if err := b.spool.Forget("out"); err != nil {
		t.Fatal(err)
	}
	b.check("without a cursor", ledger.Entry{Entered: 2, Sent: 2})
	b.close()
}

// TestLostLettersAreCounted: where the dead letters' file is gone, nothing is dead
// and nothing delivered: it can't be read any more.
func TestLostLettersAreCounted(t *testing.T) {
	b := open(t, t.TempDir())
	if _, err := b.spool.Append(spool.Entry{Body: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	b.read(1)
	b.refuse(0, 1)
	b.commit(2, spool.Outcome{Dead: 1})
	b.close()
	elsewhere := t.TempDir()
	var err error
	if b.letters, err = deadletter.Open(deadletter.Options{Path: filepath.Join(elsewhere, "deadletters.db"), MaxSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if b.spool, err = spool.Open(spool.Options{Dir: filepath.Join(b.dir, "spool"), MaxSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := b.letters.Begin("out", deadletter.Position{Next: 2, Dead: 1}); err != nil {
		t.Fatal(err)
	}
	b.check("the file is gone", ledger.Entry{Entered: 1, Unreadable: 1})
	b.close()
}

func TestEveryScrapeIsTheWholeLedger(t *testing.T) {
	b := open(t, t.TempDir())
	defer b.close()
	reg := prometheus.NewRegistry()
	reg.MustRegister(ledger.NewCollector(b.spool, b.letters))
	for range 3 {
		if _, err := b.spool.Append(spool.Entry{Body: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	b.read(2)
	b.refuse(0, 2)
	b.commit(3, spool.Outcome{Delivered: 1, Dead: 1})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[name(f, m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	want := map[string]float64{
		"siemrelay_output_entered_total out":     3,
		"siemrelay_output_events out delivered":  1,
		"siemrelay_output_events out sent":       0,
		"siemrelay_output_events out filtered":   0,
		"siemrelay_output_events out dead":       1,
		"siemrelay_output_events out dropped":    0,
		"siemrelay_output_events out unreadable": 0,
		"siemrelay_output_events out pending":    1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the scrape differs (-want +got):\n%s", diff)
	}
}

func name(f *dto.MetricFamily, m *dto.Metric) string {
	s := f.GetName()
	for _, l := range m.GetLabel() {
		s += " " + l.GetValue()
	}
	return s
}
