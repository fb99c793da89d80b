package spool_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// witness is what the outside world knows of a spool: it never sees the disk.
type witness struct {
	bodies    map[string]string // by event id, of every event that was acknowledged
	committed uint64            // the cursor is here or further
	highest   uint64            // no cursor can be past this
}

func newWitness() *witness { return &witness{bodies: map[string]string{}, committed: 1, highest: 1} }

// work opens the spool, appends, reads and commits until the disk is gone or
// the work is done, and notes what it was told.
func (w *witness) work(o spool.Options, from, n int) (finished bool) {
	s, err := spool.Open(o)
	if err != nil {
		return false
	}
	defer s.Close()
	c, err := s.Cursor("out", spool.FromOldest)
	if err != nil {
		return false
	}
	finished = true
	for i := from; i < from+n; i++ {
		r, err := s.Append(entry(event(i)))
		if err != nil {
			finished = false
			continue
		}
		w.bodies[r.ID] = event(i)
		if i%3 == 0 {
			finished = w.settle(c) && finished
		}
	}
	return finished
}

func (w *witness) settle(c *spool.Cursor) bool {
	for {
		r, ok, err := c.Next()
		if err != nil {
			return false
		}
		if !ok {
			break
		}
		w.highest = max(w.highest, r.Sequence+1)
	}
	if settle(c, w.highest) != nil {
		return false
	}
	w.committed = w.highest
	return true
}

// check opens the spool after the crash and holds it against what was promised.
func (w *witness) check(t *testing.T, o spool.Options) {
	t.Helper()
	s := mustOpen(t, o)
	defer mustClose(t, s)
	audit := mustCursor(t, s, "audit") // made before anything can be released
	all := drain(t, audit)
	seen := map[string]string{}
	last := uint64(0)
	for _, g := range all {
		if g.sequence <= last {
			t.Fatalf("sequence %d comes after %d", g.sequence, last)
		}
		last = g.sequence
		if _, twice := seen[g.id]; twice {
			t.Fatalf("event %s comes twice", g.id)
		}
		seen[g.id] = g.body
	}
	for id, body := range w.bodies {
		if seen[id] != body {
			t.Fatalf("acknowledged event %s came back as %q, want %q", id, seen[id], body)
		}
	}
	if next := audit.Position().Next + uint64(len(all)); last > 0 && audit.Commit(next, spool.Outcome{Delivered: uint64(len(all))}) != nil {
		t.Fatalf("something counts as unreadable, and nothing was damaged: %d events up to %d", len(all), last)
	}
	rest := drain(t, mustCursor(t, s, "out"))
	if len(rest) > 0 && rest[0].sequence < w.committed {
		t.Fatalf("the cursor went back to %d, it was committed at %d", rest[0].sequence, w.committed)
	}
	if len(rest) > 0 && rest[0].sequence > w.highest {
		t.Fatalf("the cursor is at %d, only those before %d were read", rest[0].sequence, w.highest)
	}
	// It goes on: new events get new ids.
	id := mustAppend(t, s, `{"after":true}`)
	if _, old := seen[id]; old {
		t.Fatalf("event id %s was given twice", id)
	}
}

// withAudit makes a second cursor that is never committed, so that the log is
// still whole when it is checked.
func withAudit(t *testing.T, o spool.Options) {
	s := mustOpen(t, o)
	mustCursor(t, s, "audit")
	mustClose(t, s)
}

// TestPowerCutAtEveryOperation cuts the power at the k-th operation for every k,
// with many ways for the disk to lose and tear what was not synced.
func TestPowerCutAtEveryOperation(t *testing.T) {
	for seed := range uint64(12) {
		for k := 1; ; k++ {
			fsys := crashfs.New(seed*1000 + uint64(k))
			o := options(fsys)
			withAudit(t, o)
			w := newWitness()
			fsys.CrashAt(k)
			finished := w.work(o, 0, 20)
			crashed := fsys.Crashed()
			fsys.Crash()
			w.check(t, o)
			if t.Failed() {
				t.Fatalf("seed %d, power cut at operation %d", seed, k)
			}
			if !crashed {
				if !finished {
					t.Fatal("the work failed without a power cut")
				}
				break
			}
		}
	}
}

// TestPowerCutInANewSpool cuts it while the spool is being made.
func TestPowerCutInANewSpool(t *testing.T) {
	for k := 1; ; k++ {
		fsys := crashfs.New(uint64(k))
		w := newWitness()
		fsys.CrashAt(k)
		w.work(options(fsys), 0, 1)
		crashed := fsys.Crashed()
		fsys.Crash()
		w.check(t, options(fsys))
		if t.Failed() {
			t.Fatalf("power cut at operation %d", k)
		}
		if !crashed {
			return
		}
	}
}

// TestPowerCutsAgainAndAgain cuts the power during recovery too.
func TestPowerCutsAgainAndAgain(t *testing.T) {
	for seed := range uint64(60) {
		fsys := crashfs.New(seed)
		o := options(fsys)
		o.MaxSize = 32 << 10
		withAudit(t, o)
		w := newWitness()
		for round := range 12 {
			fsys.CrashAt(int(seed+uint64(round)*7)%40 + 1)
			w.work(o, round*100, 12)
			fsys.Crash()
		}
		w.check(t, o)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestPowerCutUnderConcurrentAppends has many events in one sync.
func TestPowerCutUnderConcurrentAppends(t *testing.T) {
	for k := 1; k < 60; k++ {
		fsys := crashfs.New(uint64(k))
		o := options(fsys)
		o.MaxSize = 64 << 10
		withAudit(t, o)
		w := newWitness()
		fsys.CrashAt(k)
		s, err := spool.Open(o)
		if err == nil {
			var wg sync.WaitGroup
			var mu sync.Mutex
			for g := range 8 {
				wg.Go(func() {
					for i := range 10 {
						body := fmt.Sprintf(`{"writer":%d,"n":%d,"pad":"%s"}`, g, i, strings.Repeat("y", i*11))
						r, err := s.Append(entry(body))
						if err == nil {
							mu.Lock()
							w.bodies[r.ID] = body
							mu.Unlock()
						}
					}
				})
			}
			wg.Wait()
			s.Close()
		}
		fsys.Crash()
		w.check(t, o)
		if t.Failed() {
			t.Fatalf("power cut at operation %d", k)
		}
	}
}

// TestKilledThenPowerCut kills the process at the k-th operation of its first
// start. The next one finds files and directories that were made and never synced,
// works with them, and then the power goes: no output may miss an event.
func TestKilledThenPowerCut(t *testing.T) {
	for seed := range uint64(30) {
		for k, killed := 1, true; killed; k++ {
			fsys := crashfs.New(seed*1000 + uint64(k))
			o := options(fsys)
			o.Dir = "/srv/siemrelay" + dir + "/"
			fsys.CrashAt(0)
			killed = false
			fsys.Fault(func(_ crashfs.Op, _ string, n int) error {
				if n < k {
					return nil
				}
				killed = true
				return crashfs.ErrCrashed
			})
			if s, _, err := openTwo(o); err == nil {
				s.Close()
			}
			fsys.Fault(nil)
			s, _, err := openTwo(o)
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, s, event(k))
			fsys.CrashAt(1)
			s.Close()
			fsys.Crash()
			s, cursors, err := openTwo(o)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cursors {
				if all := drain(t, c); bodies(all) != event(k)+"\n" {
					t.Fatalf("seed %d, killed at operation %d: an output got %v", seed, k, all)
				}
			}
			mustClose(t, s)
		}
	}
}

// openTwo opens a spool and two cursors, which begin with the first event only
// where the spool is new.
func openTwo(o spool.Options) (s *spool.Spool, cursors [2]*spool.Cursor, err error) {
	if s, err = spool.Open(o); err != nil {
		return nil, cursors, err
	}
	for i, name := range []string{"one", "two"} {
		if cursors[i], err = s.Cursor(name, spool.FromNow); err != nil {
			return nil, cursors, errors.Join(err, s.Close())
		}
	}
	return s, cursors, nil
}
