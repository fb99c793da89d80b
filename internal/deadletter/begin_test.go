package deadletter_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

// TestBegin: after a crash with letters that were put and not settled, those that the
// cursor has passed stay, the others go.
func TestBegin(t *testing.T) {
	all := []deadletter.Letter{
		letter("kibana", 0, 5), letter("kibana", 0, 6), // the log's cursor is between them
		letter("kibana", 1, 9),                         // an earlier replay
		letter("kibana", 2, 3), letter("kibana", 2, 4), // the present one is between them
		letter("kibana", 3, 1), // one that the cursor knows nothing of
		letter("other", 0, 100),
	}
	for _, c := range []struct {
		name     string
		position deadletter.Position
		want     []uint64
	}{
		{"in the middle", deadletter.Position{Next: 6, Pass: 2, ReplayNext: 4, Dead: 3}, []uint64{5, 9, 3}},
		{"no replay yet", deadletter.Position{Next: 7, Dead: 2}, []uint64{5, 6}},
		{"everything passed", deadletter.Position{Next: 7, Pass: 3, ReplayNext: 2, Dead: 6}, []uint64{5, 6, 9, 3, 4, 1}},
		{"nothing passed", deadletter.Position{Next: 1}, []uint64{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, options(dir))
			if err := s.Put(all); err != nil {
				t.Fatal(err)
			}
			if listed := sequences(t, s, deadletter.Selection{}); len(listed) > 0 {
				t.Errorf("%v are listed before they are settled", listed)
			}
			if _, err := s.Get(1); err == nil {
				t.Error("a letter is shown before it is settled")
			}
			if n, err := s.Drop(deadletter.Selection{All: true}); n != 0 || err != nil {
				t.Errorf("dropped %d letters that are not settled, %v", n, err)
			}
			if n, err := s.Requeue(deadletter.Selection{All: true}); n != 0 || err != nil {
				t.Errorf("queued %d letters that are not settled, %v", n, err)
			}

			s = open(t, options(crashed(t, dir)))
			for range 2 { // a second Begin changes nothing
				if err := s.Begin("kibana", c.position); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, sequences(t, s, deadletter.Selection{Output: "kibana"})); diff != "" {
					t.Errorf("letters (-want +got):\n%s", diff)
				}
				want := deadletter.Account{Dead: c.position.Dead}
				if diff := cmp.Diff(want, s.Accounts()["kibana"]); diff != "" {
					t.Errorf("account (-want +got):\n%s", diff)
				}
			}
			if got := sequences(t, s, deadletter.Selection{Output: "other"}); len(got) != 1 {
				t.Errorf("an output without a cursor has %v, want its letter", got)
			}
		})
	}
}

// TestSettledLettersOutliveTheirCursor: a settled letter is called so in the file with the
// next change, so that a cursor that is lost later does not take it along.
func TestSettledLettersOutliveTheirCursor(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	settled(t, s, letters("kibana", 5)...)
	if err := s.Put(letters("kibana", 6)); err != nil {
		t.Fatal(err)
	}
	log, said := logTo()
	o := options(crashed(t, dir))
	o.Log = log
	s = open(t, o)
	if err := s.Begin("kibana", deadletter.Position{Next: 1}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{5}, sequences(t, s, deadletter.Selection{})); diff != "" {
		t.Errorf("letters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(deadletter.Account{Dead: 1, Carried: 1}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if !strings.Contains(said.String(), "cursor does not know") {
		t.Errorf("nothing was said about it: %s", said)
	}

	// The log comes to the event again, and it is refused again: one letter, counted
	// by the cursor now. Until the cursor passes it the event is pending, not dead.
	if err := s.Put(letters("kibana", 5)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deadletter.Account{}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account before the cursor passes it (-want +got):\n%s", diff)
	}
	s.Settle("kibana", 0)
	if diff := cmp.Diff(deadletter.Account{Dead: 1}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account after it (-want +got):\n%s", diff)
	}
}

func TestALostDatabase(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	settled(t, s, letters("kibana", 1, 2, 3)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	log, said := logTo()
	o := options(dir)
	o.Log = log
	s = open(t, o)
	if err := s.Begin("kibana", deadletter.Position{Next: 4, Dead: 3}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deadletter.Account{Lost: 3}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "count=3") {
		t.Errorf("it was not said: %s", said)
	}
}

// TestALetterThatCameBackStays: it was settled when it was queued, so no Begin may
// take it for one that the cursor has not passed.
func TestALetterThatCameBackStays(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	if err := s.Begin("kibana", deadletter.Position{Next: 1}); err != nil {
		t.Fatal(err)
	}
	first := letter("kibana", 0, 5)
	settled(t, s, first)
	if _, err := s.Requeue(deadletter.Selection{All: true}); err != nil {
		t.Fatal(err)
	}
	l, ok, err := s.Queue("kibana").Next()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	l.Reason, l.Tries, l.First = "poison", 12, l.Refused
	for range 2 { // it may be repeated, say because the commit after it failed
		if err := s.Put([]deadletter.Letter{l}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(deadletter.Account{Dead: 1}, s.Accounts()["kibana"]); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
	}
	s = open(t, options(crashed(t, dir)))
	if err := s.Begin("kibana", deadletter.Position{Next: 5, Dead: 1}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(1)
	if err != nil || got.Reason != "poison" || got.Tries != 12 || got.Queued {
		t.Errorf("letter is %+v, %v", got, err)
	}
	if !got.First.Equal(first.First) {
		t.Errorf("first try was at %v, want %v", got.First, first.First)
	}
}

// TestQueuedLettersStay: also one that was queued while nobody knew how far the cursor
// had come, because its output was not configured.
func TestQueuedLettersStay(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	if err := s.Put(letters("kibana", 5, 6)); err != nil {
		t.Fatal(err)
	}
	dir = crashed(t, dir)
	s = open(t, options(dir))
	requeue(t, s, 1)
	s = open(t, options(crashed(t, dir)))
	if err := s.Begin("kibana", deadletter.Position{Next: 1}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deadletter.Account{Queued: 1, Carried: 1}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if got := next(t, s.Queue("kibana")); got != 5 {
		t.Errorf("next is %d, want the queued letter", got)
	}
}

// TestALetterInHandThatTheLogComesToAgain: the cursor was lost, and the log comes to
// an event, and has it refused, whose letter is being delivered at that moment. The
// letters lane goes on, and the letter is the log's.
func TestALetterInHandThatTheLogComesToAgain(t *testing.T) {
	s := open(t, options(t.TempDir()))
	settled(t, s, letters("kibana", 1, 2)...)
	if err := s.Begin("kibana", deadletter.Position{Next: 1}); err != nil {
		t.Fatal(err)
	}
	requeue(t, s, 1, 2)
	q := s.Queue("kibana")
	if next(t, q) != 1 || next(t, q) != 2 {
		t.Fatal("the queue does not begin with 1 and 2")
	}
	if err := s.Put(letters("kibana", 1)); err != nil { // by the log
		t.Fatal(err)
	}
	s.Settle("kibana", 0)
	if err := q.Commit(deadletter.Outcome{Delivered: 2}); err != nil {
		t.Fatal(err)
	}
	a := s.Accounts()["kibana"]
	const handed = 1 // by the new cursor
	if dead := handed + a.Carried - a.Queued - a.Delivered - a.Lost; dead != 1 || a.Dead != 1 || a.Queued != 0 {
		t.Errorf("the ledger has %d dead letters; the account is %+v", dead, a)
	}
	if err := q.Commit(deadletter.Outcome{Delivered: 1}); err == nil {
		t.Error("a letter was committed, none is in hand")
	}
}
