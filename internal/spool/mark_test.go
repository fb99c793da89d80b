package spool_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

const markPath = dir + "/spool.clean"

// contentOf returns a file's content, nil if it is not there.
func contentOf(fsys *crashfs.FS, name string) []byte {
	for _, have := range fsys.Names() {
		if have == name {
			var content []byte
			fsys.Edit(name, func(b []byte) []byte { content = bytes.Clone(b); return b })
			return content
		}
	}
	return nil
}

// After a clean stop a damaged end is no torn tail: its events were acknowledged.
// Every cursor counts those it had not passed, and no number comes again.
func TestADamagedEndAfterACleanStop(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"bit in the last body":  func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
		"cut":                   func(b []byte) []byte { return b[:len(b)-1] },
		"zeroed":                func(b []byte) []byte { clear(b[len(b)-60:]); return b },
		"garbage behind it too": func(b []byte) []byte { b[len(b)-2] ^= 1; return append(b, "garbage"...) },
	} {
		t.Run(name, func(t *testing.T) {
			fsys, all := filled(t, 4)
			s := mustOpen(t, options(fsys))
			passed := mustCursor(t, s, "passed")
			drain(t, passed)
			if err := settle(passed, 4); err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			damaged := segments(fsys)[0]
			fsys.Edit(damaged, change)
			whole := contentOf(fsys, damaged)

			o := options(fsys)
			o.MaxSize = 1 << 20
			s = mustOpen(t, o)
			c := mustCursor(t, s, "out")
			if got := drain(t, c); bodies(got) != bodies(all[:3]) {
				t.Errorf("read %v, want the first three", got)
			}
			if err := c.Commit(4, spool.Outcome{Delivered: 3}); err != nil {
				t.Fatal(err)
			}
			if a := account(t, s, "out"); a.Unreadable != 1 || a.Pending != 0 || a.Entered != 4 {
				t.Errorf("the account is %+v, want one unreadable", a)
			}
			if kept := aside(fsys); len(kept) != 1 || !bytes.Equal(contentOf(fsys, kept[0]), whole) {
				t.Errorf("kept aside %v, want the whole segment", kept)
			}
			// Killed before anything came: the numbers must be known all the same.
			fsys.CrashAt(1)
			s.Close()
			fsys.Crash()
			s = mustOpen(t, o)
			defer mustClose(t, s)
			if r, err := s.Append(entry("{}")); err != nil || r.Sequence != 5 {
				t.Errorf("the next event is %+v, %v; want number 5", r, err)
			}
			for _, name := range []string{"out", "passed"} {
				got := drain(t, mustCursor(t, s, name))
				if len(got) != 1 || got[0].sequence != 5 {
					t.Errorf("cursor %s read %v, want the new event", name, got)
				}
			}
		})
	}
}

// The whole of the newest segment can be lost. Its numbers are not, also where the
// power is cut at any operation of the starts that find out.
func TestAMissingEndAfterACleanStop(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"gone":   func([]byte) []byte { return nil },
		"empty":  func([]byte) []byte { return []byte{} },
		"zeroed": func(b []byte) []byte { clear(b); return b },
	} {
		t.Run(name, func(t *testing.T) {
			for k, cut := 1, true; cut; k++ {
				fsys := crashfs.New(uint64(k))
				for i := range 3 { // one segment each
					s := mustOpen(t, options(fsys))
					mustCursor(t, s, "out")
					mustAppend(t, s, event(i))
					mustClose(t, s)
				}
				fsys.Edit(segments(fsys)[2], change)
				for range 3 {
					fsys.CrashAt(k)
					if s, err := spool.Open(options(fsys)); err == nil {
						s.Close()
					}
					cut = fsys.Crashed()
					fsys.Crash()
				}
				if checkMissingEnd(t, fsys); t.Failed() {
					t.Fatalf("power cut at operation %d", k)
				}
			}
		})
	}
}

func checkMissingEnd(t *testing.T, fsys *crashfs.FS) {
	t.Helper()
	s := mustOpen(t, options(fsys))
	defer mustClose(t, s)
	if r, err := s.Append(entry("{}")); err != nil || r.Sequence != 4 {
		t.Errorf("the next event is %+v, %v; want number 4", r, err)
	}
	c := mustCursor(t, s, "out")
	if got := drain(t, c); len(got) != 3 || got[2].sequence != 4 {
		t.Errorf("read %v, want the first two and the new one", got)
	}
	if err := c.Commit(5, spool.Outcome{Delivered: 3}); err != nil {
		t.Error(err)
	}
	if a := account(t, s, "out"); a.Unreadable != 1 {
		t.Errorf("the account is %+v, want one unreadable", a)
	}
}

// What a failed sync left on the disk was refused, and is behind the end that the
// mark knows.
func TestWhatWasRefusedIsNotFoundAfterACleanStop(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	s := mustOpen(t, o)
	mustCursor(t, s, "out")
	mustAppend(t, s, event(0))
	fsys.Fault(func(op crashfs.Op, name string, _ int) error {
		if (op == crashfs.OpSync || op == crashfs.OpTruncate) && strings.HasSuffix(name, ".log") {
			return syscall.EIO
		}
		return nil
	})
	if _, err := s.Append(entry("refused")); !errors.Is(err, spool.ErrIO) {
		t.Fatalf("append said %v, want ErrIO", err)
	}
	fsys.Fault(nil)
	mustClose(t, s)
	if b := contentOf(fsys, segments(fsys)[0]); !bytes.HasSuffix(b, []byte("refused")) {
		t.Fatal("it is not there: nothing was tested")
	}
	if all, unreadable := reread(t, fsys); len(all) != 1 || unreadable != 0 {
		t.Errorf("read %v, %d unreadable; want the first event alone", all, unreadable)
	}
}

// stopped tells whether a start takes the stop before it for a clean one: of an
// unclean one it would not know whether the newest event was answered.
func stopped(t *testing.T, fsys *crashfs.FS, between func(o spool.Options)) (clean bool) {
	synctest.Test(t, func(t *testing.T) {
		o := options(fsys)
		o.RetryWindow, o.MaxSize = time.Hour, 1<<20
		s := mustOpen(t, o)
		first, err := s.Append(entryOf("A", "update"))
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)
		between(o)
		time.Sleep(time.Minute)
		s = mustOpen(t, o)
		r, err := s.Append(entryOf("A", "update"))
		if err != nil || r.Duplicate != (r.ID == first.ID) {
			t.Fatalf("the repeat got %+v, %v", r, err)
		}
		clean = !r.Duplicate
		mustClose(t, s)
	})
	return clean
}

func TestEveryFlippedBitOfTheMark(t *testing.T) {
	for bit := range 64 * 8 {
		fsys := crashfs.New(1)
		if stopped(t, fsys, func(spool.Options) {
			fsys.Edit(markPath, func(b []byte) []byte { b[bit/8] ^= 1 << (bit % 8); return b })
		}) {
			t.Fatalf("bit %d: a damaged mark counts", bit)
		}
	}
}

func TestWhichMarksCount(t *testing.T) {
	offline := func(t *testing.T) func(o spool.Options) {
		return func(o spool.Options) {
			o.Offline = true
			mustClose(t, mustOpen(t, o))
		}
	}
	for name, test := range map[string]struct {
		between func(t *testing.T, fsys *crashfs.FS) func(o spool.Options)
		clean   bool
	}{
		"nothing between": {func(*testing.T, *crashfs.FS) func(spool.Options) { return func(spool.Options) {} }, true},
		"gone":            {func(_ *testing.T, fsys *crashfs.FS) func(spool.Options) { return func(spool.Options) { killed(fsys) } }, false},
		"cut": {func(_ *testing.T, fsys *crashfs.FS) func(spool.Options) {
			return func(spool.Options) { fsys.Edit(markPath, func(b []byte) []byte { return b[:60] }) }
		}, false},
		"of another spool": {func(t *testing.T, fsys *crashfs.FS) func(spool.Options) {
			other := crashfs.New(1)
			o := options(other)
			o.Rand = rand.NewChaCha8([32]byte{9})
			s := mustOpen(t, o)
			mustAppend(t, s, "{}")
			mustClose(t, s)
			return func(spool.Options) { fsys.Edit(markPath, func([]byte) []byte { return contentOf(other, markPath) }) }
		}, false},
		"a command, after a clean stop": {func(t *testing.T, _ *crashfs.FS) func(spool.Options) { return offline(t) }, true},
		"a command, after a kill": {func(t *testing.T, fsys *crashfs.FS) func(spool.Options) {
			return func(o spool.Options) { killed(fsys); offline(t)(o) }
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := crashfs.New(1)
			if clean := stopped(t, fsys, test.between(t, fsys)); clean != test.clean {
				t.Errorf("taken for clean: %t, want %t", clean, test.clean)
			}
		})
	}
}

// Somebody put an old copy of the mark back, after a crash.
func TestAnOldMarkDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t)
		p.open()
		p.line("A create new")
		mustClose(t, p.s)
		old := contentOf(p.fsys, markPath)
		p.open()
		p.line("A update new")
		mustClose(t, p.s)
		p.fsys.Edit(markPath, func([]byte) []byte { return old })
		p.open()
		p.line("wait 1m")
		p.line("A update retry 2")
		mustClose(t, p.s)
	})
}

// A mark that stays would call the next stop clean, whatever it is.
func TestAMarkThatCanNotBeRemovedFailsOpen(t *testing.T) {
	for _, op := range []crashfs.Op{crashfs.OpRemove, crashfs.OpSyncDir} {
		fsys, all := filled(t, 2)
		removed := false
		fsys.Fault(func(at crashfs.Op, name string, _ int) error {
			removed = removed || at == crashfs.OpRemove && name == markPath
			if at == op && removed && (name == markPath || name == dir) {
				return syscall.EIO
			}
			return nil
		})
		if _, err := spool.Open(options(fsys)); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "clean stop") {
			t.Errorf("%s fails: open said %v", op, err)
		}
		fsys.Fault(nil)
		if got, unreadable := reread(t, fsys); bodies(got) != bodies(all) || unreadable != 0 {
			t.Errorf("afterwards it read %v, %d unreadable", got, unreadable)
		}
	}
}
