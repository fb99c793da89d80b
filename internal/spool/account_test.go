package spool_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

func TestTheAccountIsKeptWithTheCursor(t *testing.T) {
	eachDisk(t, func(t *testing.T, o spool.Options) {
		s := mustOpen(t, o)
		c := mustCursor(t, s, "out")
		for i := range 10 {
			mustAppend(t, s, event(i))
		}
		if a := account(t, s, "out"); a.Entered != 10 || a.Pending != 10 {
			t.Fatalf("ten events entered, the account says %+v", a)
		}
		drain(t, c)
		if err := c.Commit(8, spool.Outcome{Delivered: 3, Sent: 1, Filtered: 2, Dead: 1}); err != nil {
			t.Fatal(err)
		}
		want := spool.Account{Output: "out", Entered: 10, Delivered: 3, Sent: 1, Filtered: 2, Dead: 1, Pending: 3, Next: 8, Began: 1}
		if a := account(t, s, "out"); a != want {
			t.Fatalf("the account is %+v, want %+v", a, want)
		}
		mustClose(t, s)
		s = mustOpen(t, o)
		defer mustClose(t, s)
		if a := account(t, s, "out"); a != want {
			t.Errorf("after a restart the account is %+v, want %+v", a, want)
		}
	})
}

func TestACommitThatDoesNotAddUpIsRefused(t *testing.T) {
	s := mustOpen(t, options(crashfs.New(1)))
	defer mustClose(t, s)
	c := mustCursor(t, s, "out")
	mustAppend(t, s, event(0))
	mustAppend(t, s, event(1))
	drain(t, c)
	for _, o := range []spool.Outcome{{}, {Delivered: 1}, {Delivered: 3}, {Delivered: 1, Dead: 2}, {Sent: 1}, {Delivered: 2, Sent: 1}} {
		if err := c.Commit(3, o); err == nil {
			t.Errorf("a commit of two events as %+v passed", o)
		}
	}
	if a := account(t, s, "out"); a.Pending != 2 {
		t.Errorf("after refused commits the account is %+v", a)
	}
	if err := c.Commit(3, spool.Outcome{Delivered: 2}); err != nil {
		t.Error(err)
	}
}

func TestAFailedCommitChangesNothingAndMayBeRepeated(t *testing.T) {
	for _, op := range []crashfs.Op{crashfs.OpWrite, crashfs.OpSync} {
		fsys := crashfs.New(1)
		s := mustOpen(t, options(fsys))
		c := mustCursor(t, s, "out")
		mustAppend(t, s, event(0))
		drain(t, c)
		fsys.Fault(func(at crashfs.Op, name string, _ int) error {
			if at == op && strings.Contains(name, "cursor") {
				return syscall.EIO
			}
			return nil
		})
		for range 3 {
			if err := c.Commit(2, spool.Outcome{Dead: 1}); err == nil {
				t.Fatal("a commit that could not be written passed")
			}
		}
		if a := account(t, s, "out"); a.Pending != 1 || a.Dead != 0 {
			t.Errorf("after failed commits the account is %+v", a)
		}
		fsys.Fault(nil)
		if err := c.Commit(2, spool.Outcome{Dead: 1}); err != nil {
			t.Fatal(err)
		}
		if a := account(t, s, "out"); a.Pending != 0 || a.Dead != 1 {
			t.Errorf("after the commit the account is %+v", a)
		}
		mustClose(t, s)
	}
}

func TestACursorThatIsMissingMustNotSkip(t *testing.T) {
	fsys, all := filled(t, 5)
	s := mustOpen(t, options(fsys))
	mustCursor(t, s, "new") // begins with the oldest, and is known from now on
	mustClose(t, s)
	fsys.Edit(dir+"/cursors/out.cursor", func([]byte) []byte { return nil })
	log := &lockedBuffer{}
	o := options(fsys)
	o.Log = logTo(log)
	s = mustOpen(t, o)
	defer mustClose(t, s)
	c, err := s.Cursor("out", spool.FromNow)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, c); bodies(got) != bodies(all) {
		t.Errorf("an output whose cursor has gone missing got %d events, want all %d again", len(got), len(all))
	}
	if !strings.Contains(log.String(), "damaged or missing") {
		t.Errorf("nothing is said of it: %s", log)
	}
	if a := account(t, s, "out"); a.Entered != 5 || a.Pending != 5 {
		t.Errorf("the account is %+v", a)
	}
}

// TestANewOutputIsKnownAtOnce, not only from the next start on.
func TestANewOutputIsKnownAtOnce(t *testing.T) {
	fsys := crashfs.New(1)
	s := mustOpen(t, options(fsys))
	mustCursor(t, s, "stays")
	mustCursor(t, s, "out")
	mustAppend(t, s, event(0))
	mustClose(t, s)
	fsys.Edit(dir+"/cursors/out.cursor", func([]byte) []byte { return nil })
	s = mustOpen(t, options(fsys))
	defer mustClose(t, s)
	c, err := s.Cursor("out", spool.FromNow)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, c); len(got) != 1 {
		t.Errorf("an output whose cursor has gone missing got %d events, want 1", len(got))
	}
}

func TestADamagedRosterCostsNothing(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"gone":    func([]byte) []byte { return nil },
		"empty":   func([]byte) []byte { return []byte{} },
		"flipped": func(b []byte) []byte { b[9] ^= 4; return b },
	} {
		fsys, _ := filled(t, 2)
		s := mustOpen(t, options(fsys))
		c := mustCursor(t, s, "out")
		drain(t, c)
		if err := settle(c, 3); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
		fsys.Edit(dir+"/spool.outputs", change)
		for range 2 { // the second start reads what the first has mended
			s = mustOpen(t, options(fsys))
			if got := drain(t, mustCursor(t, s, "out")); len(got) != 0 {
				t.Errorf("%s: %d events were delivered again", name, len(got))
			}
			mustClose(t, s)
		}
	}
}

func TestForget(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	s := mustOpen(t, o)
	kept := mustCursor(t, s, "kept")
	mustCursor(t, s, "gone")
	stored := fillUp(t, s)
	drain(t, kept)
	if err := settle(kept, uint64(stored)+1); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget("never"); !errors.Is(err, spool.ErrNoCursor) {
		t.Errorf("forgetting an output that never was said %v", err)
	}
	if _, err := s.Append(entry(event(5))); !errors.Is(err, spool.ErrFull) {
		t.Fatalf("append said %v, want ErrFull", err)
	}
	if err := s.Forget("gone"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event(5)) // there is room now
	if names := s.Cursors(); len(names) != 1 || len(s.Accounts()) != 1 {
		t.Errorf("cursors are %v, accounts %v", names, s.Accounts())
	}
	mustClose(t, s)
	s = mustOpen(t, o)
	defer mustClose(t, s)
	if names := s.Cursors(); len(names) != 1 {
		t.Errorf("after a restart the cursors are %v", names)
	}
	c, err := s.Cursor("gone", spool.FromNow)
	if err != nil {
		t.Fatal(err)
	}
	if a := account(t, s, "gone"); a != (spool.Account{Output: "gone", Next: a.Next, Began: a.Next}) || len(drain(t, c)) != 0 {
		t.Errorf("an output that was forgotten begins with %+v", a)
	}
}

// TestForgetSurvivesACrash: at whatever operation the power is cut, the output is
// either still there with all that it had, or gone; never new.
func TestForgetSurvivesACrash(t *testing.T) {
	for at := 1; ; at++ {
		fsys := crashfs.New(uint64(at))
		s := mustOpen(t, options(fsys))
		c := mustCursor(t, s, "out")
		mustAppend(t, s, event(0))
		mustAppend(t, s, event(1))
		drain(t, c)
		if err := settle(c, 2); err != nil {
			t.Fatal(err)
		}
		fsys.CrashAt(at)
		err := s.Forget("out")
		crashed := err != nil
		s.Close()
		fsys.Crash()
		s = mustOpen(t, options(fsys))
		for _, a := range s.Accounts() {
			if a.Entered != 2 || a.Pending == 0 { // begun anew is fine too: better twice than never
				t.Errorf("cut at operation %d: the account is %+v", at, a)
			}
		}
		mustClose(t, s)
		if !crashed {
			return
		}
	}
}

// TestForgottenStaysForgotten: whoever is late, with a commit or a replay that began
// before, must not make the cursor's file anew.
func TestForgottenStaysForgotten(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	s, c, _ := delivered(t, o, 3)
	if err := s.Forget("out"); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(9, spool.Outcome{Delivered: 5}); err == nil {
		t.Error("a commit of a forgotten cursor worked")
	}
	if len(s.Accounts()) != 0 {
		t.Errorf("there are accounts: %v", s.Accounts())
	}
	mustClose(t, s)
	if len(under(fsys, "cursors")) != 0 {
		t.Errorf("there are cursor files: %v", under(fsys, "cursors"))
	}
}
