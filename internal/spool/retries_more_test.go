package spool_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

func TestTheSameNoteByTwentyConnectionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(timedFS{crashfs.New(1), time.Millisecond})
		o.RetryWindow = time.Hour
		reg := prometheus.NewRegistry()
		o.Registry = reg
		s := mustOpen(t, o)
		defer mustClose(t, s)
		c := mustCursor(t, s, "out")
		const senders = 20
		receipts := make([]spool.Receipt, senders)
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond) // before, during and after its sync
				var err error
				if receipts[i], err = s.Append(entryOf("A", "note1")); err != nil {
					t.Errorf("append: %v", err)
				}
			})
		}
		wg.Wait()
		all := drain(t, c)
		if len(all) != 1 {
			t.Fatalf("%d events, want 1", len(all))
		}
		for i, r := range receipts {
			if r.ID != all[0].id || r.Sequence != 1 || r.Duplicate != (i > 0) {
				t.Errorf("sender %d got %+v, the event is %s", i, r, all[0].id)
			}
		}
		mustAppend(t, s, "update")
		for range 3 {
			if _, err := s.Append(entryOf("A", "update")); err != nil {
				t.Fatal(err)
			}
		}
		for name, want := range map[string]float64{
			"siemrelay_spool_retries_total": senders - 1, "siemrelay_spool_possible_retries_total": 2,
			"siemrelay_spool_retry_entries": 4, "siemrelay_spool_appended_events_total": 5,
		} {
			if v := counter(t, reg, name); v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
	})
}

// Those who wait for the same batch get the same error, and none of them an event.
func TestARetryInFlightSharesAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t)
		p.open()
		p.line("hang")
		p.line("bad")
		errs := make(chan error, 5)
		for range cap(errs) {
			go func() { _, err := p.s.Append(entryOf("A", "create")); errs <- err }()
		}
		synctest.Wait()
		p.line("goes on")
		for range cap(errs) {
			if err := <-errs; !errors.Is(err, spool.ErrIO) {
				t.Errorf("append said %v, want ErrIO", err)
			}
		}
		p.line("A create new")
		mustClose(t, p.s)
	})
}

// What waits for the next sync is newer than what hangs in this one.
func TestInFlightTheLatestIsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t)
		p.open()
		p.line("hang")
		p.line("A closed slow")
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for _, body := range []string{"reopened", "closed"} {
			wg.Go(func() {
				if r, err := p.s.Append(entryOf("A", body)); err != nil || r.Duplicate {
					t.Errorf("%s: %+v, %v", body, r, err)
				}
			})
			synctest.Wait()
		}
		p.line("goes on")
		wg.Wait()
		if p.read(); len(p.seen) != 3 || p.seen[1] || p.seen[2] || !p.seen[3] {
			t.Errorf("tagged by sequence: %v; want three events, the last one tagged", p.seen)
		}
		mustClose(t, p.s)
	})
}

// Half of a record's digest finds it; the whole one must be the same.
func TestRecordsThatCollideAreNotOne(t *testing.T) {
	o := options(crashfs.New(1))
	o.RetryWindow = time.Hour
	s := mustOpen(t, o)
	defer mustClose(t, s)
	for _, first := range []byte{1, 2} {
		for _, last := range []byte{1, 2} {
			e := entryOf("-", "create")
			e.Record[0], e.Record[15] = first, last
			if r, err := s.Append(e); err != nil || r.Duplicate {
				t.Errorf("record %x: %+v, %v", e.Record, r, err)
			}
		}
	}
}

func TestARetryIsAnsweredByAClosedSpool(t *testing.T) {
	o := options(crashfs.New(1))
	o.RetryWindow = time.Hour
	s := mustOpen(t, o)
	first, err := s.Append(entryOf("A", "create"))
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if r, err := s.Append(entryOf("A", "create")); err != nil || !r.Duplicate || r.ID != first.ID {
		t.Errorf("the retry got %+v, %v", r, err)
	}
	if _, err := s.Append(entryOf("B", "create")); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("a new event got %v, want ErrClosed", err)
	}
}

// A body is compared with its record: the same bytes of another one are no retry,
// nor are they of none.
func TestAnOldEventIsFoundAmongMany(t *testing.T) {
	o := options(crashfs.New(1))
	o.MaxSize, o.RetryWindow, o.RetryEntries = 1<<22, time.Hour, 1000
	s := mustOpen(t, o)
	const n = 3000
	ids := make([]string, n)
	for i := range n {
		r, err := s.Append(entryOf(fmt.Sprint("record", i), "create"))
		if err != nil || r.Duplicate {
			t.Fatalf("event %d: %+v, %v", i, r, err)
		}
		ids[i] = r.ID
	}
	for round := range 2 {
		for i := n - o.RetryEntries; i < n; i++ {
			if r, err := s.Append(entryOf(fmt.Sprint("record", i), "create")); err != nil || r.ID != ids[i] {
				t.Fatalf("round %d: the retry of event %d got %+v, %v", round, i, r, err)
			}
		}
		mustClose(t, s)
		s = mustOpen(t, o)
	}
	if r, err := s.Append(entryOf("record0", "create")); err != nil || r.Duplicate {
		t.Errorf("a forgotten event got %+v, %v", r, err)
	}
	mustClose(t, s)
}

// naive is the rule of DESIGN.md as it is written: a list of all events, no bounds.
type naive struct {
	events []*naiveEvent
	window time.Duration
	killed bool   // the last start came after a kill, and nothing was delivered since
	quiet  uint64 // the process is known to have outlived the answers to what is before
}

type naiveEvent struct {
	receipt      spool.Receipt
	record, body string
	wall         time.Time
	accepted     time.Time // never goes back, see Record
	came, tried  time.Time
	unanswered   bool
}

// deliver returns the event that a delivery is a retry of, or nil and whether it
// is tagged.
func (n *naive) deliver(e spool.Entry, record string, now, wall time.Time) (of *naiveEvent, tagged bool) {
	n.killed = false
	latest := true
	for i := len(n.events) - 1; i >= 0; i-- {
		x := n.events[i]
		if record == "-" || x.record != record {
			continue
		}
		if x.body == string(e.Body) && now.Sub(x.came) <= n.window {
			answerLost := latest && x.unanswered && now.Sub(x.tried) >= 30*time.Second && wall.Sub(x.accepted) <= n.window
			if e.Unique || answerLost {
				x.unanswered, x.tried = false, now
				return x, false
			}
			return nil, true
		}
		latest = false
	}
	return nil, false
}

// restart forgets what a process knows: only the wall clock is left, and the order.
func (n *naive) restart(clean bool, now, wall time.Time) {
	n.killed = n.killed || !clean
	var before time.Time
	for _, x := range n.events {
		x.came = now
		if x.wall.Before(wall) {
			x.came = now.Add(x.wall.Sub(wall))
		}
		if x.came.Before(before) {
			x.came = before
		}
		before, x.tried, x.unanswered = x.came, x.came, false
	}
	for i := len(n.events) - 1; i >= 0 && n.killed; i-- {
		x := n.events[i]
		if x.receipt.Sequence < n.quiet {
			return
		}
		age := n.events[len(n.events)-1].wall.Sub(x.wall)
		if age.Abs() > 10*time.Second || x.wall.After(wall) {
			return
		}
		x.unanswered = true
	}
}

func TestRetriesAgainstTheRuleAsWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any
		synctest.Test(t, func(t *testing.T) { // a bubble for each, or rapid's own time would run out
			defer func() { failure = recover() }()
			againstTheRule(t, rt)
		})
		switch {
		case failure == nil:
		case fmt.Sprintf("%T", failure) == "rapid.invalidData":
			panic(failure) // rapid's own: this run is not one
		default:
			rt.Fatalf("%v", failure)
		}
	})
}

func againstTheRule(t *testing.T, rt *rapid.T) {
	p := newPlay(t)
	p.o.MaxSize = 1 << 24
	p.fsys = crashfs.New(rapid.Uint64().Draw(rt, "seed"))
	p.disk.FS = p.fsys
	p.open()
	defer func() { p.s.Close() }()
	m := &naive{window: p.o.RetryWindow}
	clockIsSet := rapid.Bool().Draw(rt, "the clock is set")
	restart := func(clean bool) {
		p.open()
		m.quiet = noted(p.fsys)
		m.restart(clean, time.Now(), p.o.Now())
	}
	rt.Repeat(map[string]func(*rapid.T){
		"deliver": func(rt *rapid.T) { m.compare(rt, p) },
		"lost": func(rt *rapid.T) {
			if len(m.events) == 0 {
				rt.Skip("nothing was delivered")
			}
			x := rapid.SampledFrom(m.events).Draw(rt, "event")
			x.unanswered = true
			p.s.Unanswered(x.receipt)
		},
		"wait": func(rt *rapid.T) {
			time.Sleep(rapid.SampledFrom([]time.Duration{
				1, time.Second, 10*time.Second - 1, 29 * time.Second, 30 * time.Second, time.Minute, 20 * time.Minute, time.Hour,
			}).Draw(rt, "for"))
		},
		"clock": func(rt *rapid.T) {
			if !clockIsSet {
				rt.Skip("not in this run")
			}
			p.skew.Add(int64(rapid.SampledFrom([]time.Duration{
				-24 * time.Hour, -time.Minute, -time.Second, time.Second, 40 * time.Second, 24 * time.Hour,
			}).Draw(rt, "by")))
		},
		"restart": func(*rapid.T) { mustClose(t, p.s); restart(true) },
		"kill":    func(*rapid.T) { p.kill(); restart(false) },
	})
}

// noted is the sequence in the note of the last lull; 0 if there is none that is whole.
func noted(fsys *crashfs.FS) uint64 {
	b := contentOf(fsys, dir+"/spool.note")
	if len(b) != 56 || crc32.Checksum(b[:52], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(b[52:]) {
		return 0
	}
	return binary.LittleEndian.Uint64(b[44:])
}

// compare delivers something to both.
func (n *naive) compare(rt *rapid.T, p *play) {
	record := rapid.SampledFrom([]string{"A", "A", "B", "-"}).Draw(rt, "record")
	e := entryOf(record, rapid.SampledFrom([]string{"create", "note", "closed", "reopened"}).Draw(rt, "body"))
	now, wall := time.Now(), p.o.Now()
	of, tagged := n.deliver(e, record, now, wall)
	r, err := p.s.Append(e)
	if err != nil {
		rt.Fatalf("append: %v", err)
	}
	if of != nil {
		if !r.Duplicate || r.ID != of.receipt.ID || r.Sequence != of.receipt.Sequence {
			rt.Fatalf("%s %s: got %+v, want a duplicate of %+v", record, e.Body, r, of.receipt)
		}
		return
	}
	p.read()
	if r.Duplicate || p.seen[r.Sequence] != tagged {
		rt.Fatalf("%s %s: got %+v, tagged %t; want a new event, tagged %t", record, e.Body, r, p.seen[r.Sequence], tagged)
	}
	accepted := wall
	if l := len(n.events); l > 0 && !wall.After(n.events[l-1].accepted) {
		accepted = n.events[l-1].accepted.Add(1)
	}
	n.events = append(n.events, &naiveEvent{
		receipt: r, record: record, body: string(e.Body), wall: wall, accepted: accepted, came: now, tried: now,
	})
}
