package spool_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// drainReplay reads all that is there in the replay lane.
func drainReplay(t testing.TB, c *spool.Cursor) []got {
	t.Helper()
	var all []got
	for {
		r, ok, err := c.Replay().Next()
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		if !ok {
			return all
		}
		all = append(all, got{r.ID, r.Sequence, r.Accepted, string(r.Body)})
	}
}

// delivered is a spool of n events that its only output has been delivered.
func delivered(t testing.TB, o spool.Options, n int) (*spool.Spool, *spool.Cursor, []got) {
	t.Helper()
	s := mustOpen(t, o)
	c := mustCursor(t, s, "out")
	for i := range n {
		mustAppend(t, s, event(i))
	}
	all := drain(t, c)
	if err := settle(c, uint64(n)+1); err != nil {
		t.Fatal(err)
	}
	return s, c, all
}

func mustReplay(t testing.TB, s *spool.Spool, from, to, want uint64) {
	t.Helper()
	n, err := s.StartReplay("out", spool.Range{From: from, To: to})
	if err != nil || n != want {
		t.Fatalf("replay of %d to %d entered %d events, %v; want %d", from, to, n, err, want)
	}
}

func TestAReplayEntersEventsAgain(t *testing.T) {
	eachDisk(t, func(t *testing.T, o spool.Options) {
		s, c, all := delivered(t, o, 20)
		mustReplay(t, s, 5, 15, 10)
		if a := account(t, s, "out"); a.Entered != 30 || a.Pending != 10 || a.Replaying != 10 || a.Delivered != 20 {
			t.Fatalf("the account is %+v", a)
		}
		if _, err := s.StartReplay("out", spool.Range{From: 1, To: 3}); !errors.Is(err, spool.ErrReplaying) {
			t.Errorf("a second replay said %v", err)
		}
		mustAppend(t, s, event(20)) // the log goes on meanwhile
		if got := drain(t, c); len(got) != 1 || got[0].sequence != 21 {
			t.Errorf("the log lane read %v", got)
		}
		got := drainReplay(t, c)
		if bodies(got) != bodies(all[4:14]) || got[0].id != all[4].id {
			t.Fatalf("the replay lane read %v, want sequences 5 to 14", got)
		}
		if err := c.Replay().Commit(9, spool.Outcome{Delivered: 3, Dead: 1}); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)

		s = mustOpen(t, o)
		defer mustClose(t, s)
		c = mustCursor(t, s, "out")
		if got := drainReplay(t, c); bodies(got) != bodies(all[8:14]) {
			t.Fatalf("after a restart the replay lane read %v, want sequences 9 to 14", got)
		}
		if err := c.Replay().Commit(15, spool.Outcome{Delivered: 5, Filtered: 1}); err != nil {
			t.Fatal(err)
		}
		want := spool.Account{Output: "out", Entered: 31, Delivered: 28, Dead: 1, Filtered: 1, Pending: 1, Next: 21, Began: 1}
		if a := account(t, s, "out"); a != want {
			t.Errorf("the account is %+v, want %+v", a, want)
		}
		if p := c.Position(); p.Pass != 1 || p.ReplayNext != 15 || p.Dead != 1 {
			t.Errorf("the position is %+v", p)
		}
		mustReplay(t, s, 1, 3, 2)
		if got := drainReplay(t, c); bodies(got) != bodies(all[:2]) {
			t.Errorf("a second replay read %v", got)
		}
	})
}

func TestAReplayLeavesOutWhatIsNotThere(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize = 64 << 10
	s, c, all := delivered(t, o, 30)
	mustAppend(t, s, event(30)) // has not come to the output: it gets it anyway
	mustReplay(t, s, 25, 100, 6)
	if got := drainReplay(t, c); bodies(got) != bodies(all[24:]) {
		t.Errorf("read %v", got)
	}
	if err := c.Replay().Commit(31, spool.Outcome{Delivered: 6}); err != nil {
		t.Fatal(err)
	}
	mustReplay(t, s, 31, 40, 0)
	mustReplay(t, s, 9, 9, 0)
	if _, err := s.StartReplay("other", spool.Range{From: 1, To: 9}); !errors.Is(err, spool.ErrNoCursor) {
		t.Errorf("replay to an unknown output said %v", err)
	}
	mustClose(t, s)
}

// TestAReplayIsNotEvicted: what was entered again is pending, so the spool refuses
// new events before it lets go of it.
func TestAReplayIsNotEvicted(t *testing.T) {
	s, c, all := delivered(t, options(crashfs.New(1)), 20)
	defer mustClose(t, s)
	oldest := account(t, s, "out").Next
	n, err := s.StartReplay("out", spool.Range{From: 1, To: oldest})
	if err != nil || n == 0 {
		t.Fatalf("replay entered %d, %v", n, err)
	}
	all = all[len(all)-int(n):]
	for i := range 1000 {
		if _, err = s.Append(entry(event(i))); err != nil {
			break
		}
		drain(t, c)
		if err := settle(c, oldest+uint64(i)+1); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(err, spool.ErrFull) {
		t.Fatalf("append said %v, want ErrFull", err)
	}
	if got := drainReplay(t, c); bodies(got) != bodies(all) {
		t.Errorf("the replay read %d events, want all %d", len(got), len(all))
	}
	if err := c.Replay().Commit(oldest, spool.Outcome{Delivered: n}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event(0))
	account(t, s, "out")
}

func TestCancelReplay(t *testing.T) {
	fsys := crashfs.New(1)
	s, c, _ := delivered(t, options(fsys), 20)
	first := uint64(21 - 10)
	mustReplay(t, s, first, 21, 10)
	lane := c.Replay()
	for range 3 { // three are in hand
		if _, ok, err := lane.Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if n, err := s.CancelReplay("out"); n != 7 || err != nil {
		t.Fatalf("cancel gave up %d, %v; want 7", n, err)
	}
	if a := account(t, s, "out"); a.Dropped != 7 || a.Replaying != 3 {
		t.Errorf("the account is %+v", a)
	}
	if _, ok, err := lane.Next(); ok || err != nil {
		t.Errorf("next after the cancel: %v %v", ok, err)
	}
	if err := lane.Commit(first+3, spool.Outcome{Delivered: 2, Dead: 1}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CancelReplay("out"); n != 0 || err != nil {
		t.Errorf("a second cancel gave up %d, %v", n, err)
	}
	mustReplay(t, s, first, first+2, 2) // and before anybody reads it
	if n, err := s.CancelReplay("out"); n != 2 || err != nil {
		t.Errorf("cancel gave up %d, %v; want 2", n, err)
	}
	mustClose(t, s)
	s = mustOpen(t, options(fsys))
	defer mustClose(t, s)
	if a := account(t, s, "out"); a.Entered != 32 || a.Dropped != 9 || a.Pending != 0 || a.Delivered != 22 {
		t.Errorf("after a restart the account is %+v", a)
	}
}

func TestAReplayCountsWhatItCannotRead(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize = 1 << 20
	s, c, all := delivered(t, o, 6)
	defer mustClose(t, s)
	for _, body := range []string{all[2].body, all[5].body} {
		fsys.Edit(segments(fsys)[0], func(b []byte) []byte { return flipIn(b, body) })
	}
	mustReplay(t, s, 1, 7, 6)
	if got := drainReplay(t, c); len(got) != 4 {
		t.Fatalf("read %d events, want 4", len(got))
	}
	if err := c.Replay().Commit(6, spool.Outcome{Delivered: 4}); err != nil {
		t.Fatal(err)
	}
	if a := account(t, s, "out"); a.Unreadable != 2 || a.Pending != 0 || a.Delivered != 10 {
		t.Errorf("the account is %+v", a)
	}
	if len(aside(fsys)) != 1 {
		t.Errorf("kept aside: %v", aside(fsys))
	}
	// One that holds nothing readable ends by itself.
	mustReplay(t, s, 3, 4, 1)
	if got := drainReplay(t, c); len(got) != 0 {
		t.Errorf("read %v", got)
	}
	if a := account(t, s, "out"); a.Unreadable != 3 || a.Pending != 0 {
		t.Errorf("the account is %+v", a)
	}
}

func TestReadyTellsOfAReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, _ := delivered(t, options(crashfs.New(1)), 5)
		defer mustClose(t, s)
		drainReplay(t, c)
		ready := c.Replay().Ready()
		select {
		case <-ready:
			t.Fatal("ready without a replay")
		default:
		}
		mustReplay(t, s, 4, 6, 2)
		<-ready
		<-c.Replay().Ready()
		drainReplay(t, c)
		if err := c.Replay().Commit(6, spool.Outcome{Delivered: 2}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.Replay().Ready():
			t.Fatal("ready after the replay")
		default:
		}
	})
}

// TestReplaySurvivesACrash cuts the power at every operation of a replay's life: it
// is there or not, and the account adds up.
func TestReplaySurvivesACrash(t *testing.T) {
	for at := 1; ; at++ {
		fsys := crashfs.New(uint64(at))
		s, c, all := delivered(t, options(fsys), 8)
		fsys.CrashAt(at)
		started, committed := false, false
		if _, err := s.StartReplay("out", spool.Range{From: 3, To: 7}); err == nil {
			started = true
			for range 2 {
				_, _, _ = c.Replay().Next()
			}
			committed = c.Replay().Commit(5, spool.Outcome{Delivered: 2}) == nil
		}
		s.Close()
		fsys.Crash()
		s = mustOpen(t, options(fsys))
		a := account(t, s, "out")
		got := drainReplay(t, mustCursor(t, s, "out"))
		if uint64(len(got)) != a.Replaying || started && a.Entered != 12 {
			t.Errorf("cut at %d: the replay reads %d events, the account is %+v", at, len(got), a)
		}
		if len(got) > 0 && bodies(got) != bodies(all[6-len(got):6]) {
			t.Errorf("cut at %d: the replay reads %v", at, got)
		}
		if committed && len(got) != 2 {
			t.Errorf("cut at %d after the commit: the replay reads %d events, want 2", at, len(got))
		}
		mustClose(t, s)
		if committed {
			return
		}
	}
}

func TestTimesAndSequences(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize, o.Retention = 64<<10, time.Hour
	now := time.Date(2026, 6, 19, 9, 30, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	s := mustOpen(t, o)
	defer mustClose(t, s)
	var accepted []time.Time
	for i := range 200 {
		now = now.Add(time.Second)
		mustAppend(t, s, event(i))
		accepted = append(accepted, now)
	}
	if len(segments(fsys)) < 3 {
		t.Fatalf("%d segments, want several", len(segments(fsys)))
	}
	for i, at := range accepted {
		want := uint64(i) + 1
		if n, err := s.SequenceAt(at); n != want || err != nil {
			t.Fatalf("the first event of %v is %d, %v; want %d", at, n, err, want)
		}
		if n, err := s.SequenceAt(at.Add(-500 * time.Millisecond)); n != want || err != nil {
			t.Fatalf("the first event since before %v is %d, %v; want %d", at, n, err, want)
		}
		if when, err := s.AcceptedAt(want); !when.Equal(at) || err != nil {
			t.Fatalf("event %d was accepted at %v, %v; want %v", want, when, err, at)
		}
	}
	if n, err := s.SequenceAt(now.Add(1)); n != 201 || err != nil {
		t.Errorf("the first event of the future is %d, %v", n, err)
	}
	if when, err := s.AcceptedAt(201); !when.IsZero() || err != nil {
		t.Errorf("an event that is not there was accepted at %v, %v", when, err)
	}
	if _, err := s.SequenceAt(time.Time{}); err == nil {
		t.Error("the year 1 is in range")
	}
	for i, name := range segments(fsys) { // a damaged header hides its segment's age
		if i > 0 {
			fsys.Edit(name, func(b []byte) []byte { b[9] ^= 1; return b })
		}
	}
	mustClose(t, s)
	again := mustOpen(t, o)
	defer mustClose(t, again)
	for _, i := range []int{0, 77, 150, 199} {
		if n, err := again.SequenceAt(accepted[i]); n != uint64(i)+1 || err != nil {
			t.Errorf("with damaged headers the first event of %v is %d, %v; want %d", accepted[i], n, err, i+1)
		}
	}
}

func TestAReplayKnowsWhetherItOverwrites(t *testing.T) {
	fsys := crashfs.New(1)
	s, _, _ := delivered(t, options(fsys), 6)
	first := uint64(3)
	for i, overwrite := range []bool{true, false, true} {
		if n, err := s.StartReplay("out", spool.Range{From: first, To: 7, Overwrite: overwrite}); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		mustClose(t, s)
		s = mustOpen(t, options(fsys))
		c := mustCursor(t, s, "out")
		if got := drainReplay(t, c); len(got) != 4 || c.Replay().Overwrite() != overwrite {
			t.Errorf("replay %d read %d events, overwriting: %t", i, len(got), c.Replay().Overwrite())
		}
		if err := c.Replay().Commit(7, spool.Outcome{Delivered: 4}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
}
