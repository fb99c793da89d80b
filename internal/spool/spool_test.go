package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// The real disk and the one in memory must behave alike.
func eachDisk(t *testing.T, test func(t *testing.T, o spool.Options)) {
	t.Run("memory", func(t *testing.T) { test(t, options(crashfs.New(1))) })
	t.Run("disk", func(t *testing.T) {
		o := options(spool.Disk{})
		o.Dir = filepath.Join(t.TempDir(), "a", "spool")
		test(t, o)
	})
}

func TestWhatIsAppendedIsReadBackInOrder(t *testing.T) {
	eachDisk(t, func(t *testing.T, o spool.Options) {
		o.MaxSize = 1 << 20
		s := mustOpen(t, o)
		c := mustCursor(t, s, "out")
		var ids []string
		var want strings.Builder
		for i := range 50 {
			ids = append(ids, mustAppend(t, s, event(i)))
			want.WriteString(event(i) + "\n")
		}
		all := drain(t, c)
		if bodies(all) != want.String() {
			t.Fatalf("read back %s, want %s", bodies(all), want.String())
		}
		for i, g := range all {
			if g.sequence != uint64(i+1) || g.id != ids[i] || len(g.id) != 32 {
				t.Errorf("record %d: sequence %d, id %s; append said %s", i, g.sequence, g.id, ids[i])
			}
			if i > 0 && !g.accepted.After(all[i-1].accepted) {
				t.Errorf("record %d was accepted at %v, the one before at %v", i, g.accepted, all[i-1].accepted)
			}
		}
		mustClose(t, s)
	})
}

func TestACursorGoesOnWhereItWasCommitted(t *testing.T) {
	eachDisk(t, func(t *testing.T, o spool.Options) {
		s := mustOpen(t, o)
		c := mustCursor(t, s, "out")
		for i := range 10 {
			mustAppend(t, s, event(i))
		}
		all := drain(t, c)
		if err := settle(c, 5); err != nil {
			t.Fatal(err)
		}
		mustClose(t, s)

		s = mustOpen(t, o)
		again := drain(t, mustCursor(t, s, "out"))
		if bodies(again) != bodies(all[4:]) || again[0].id != all[4].id {
			t.Fatalf("after a restart it read %v, want from sequence 5 on", again)
		}
		if !again[0].accepted.Equal(all[4].accepted) {
			t.Errorf("acceptance time changed from %v to %v", all[4].accepted, again[0].accepted)
		}
		mustClose(t, s)
	})
}

func TestSequencesAndTimesGoOnAfterEverythingWasReleased(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	now := time.Date(2026, 6, 19, 9, 30, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	o.MaxSize = 600
	s := mustOpen(t, o)
	c := mustCursor(t, s, "out")
	mustAppend(t, s, event(1))
	last := drain(t, c)[0]
	if err := settle(c, 2); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, strings.Repeat("x", 500)) // needs the room of the first
	big := drain(t, c)[0]
	if err := settle(c, 3); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	for _, name := range segments(fsys) {
		fsys.Edit(name, func([]byte) []byte { return nil })
	}

	now = now.Add(-time.Hour) // the clock was set back
	s = mustOpen(t, o)
	mustAppend(t, s, event(3))
	next := drain(t, mustCursor(t, s, "out"))[0]
	mustClose(t, s)
	if next.sequence != 3 || next.id == last.id || next.id == big.id {
		t.Errorf("sequence %d, id %s: want 3 and an id of its own", next.sequence, next.id)
	}
	if !next.accepted.After(big.accepted) {
		t.Errorf("accepted at %v, not after %v", next.accepted, big.accepted)
	}
}

func TestConcurrentAppendsShareSyncs(t *testing.T) {
	eachDisk(t, func(t *testing.T, o spool.Options) {
		o.MaxSize = 1 << 20
		s := mustOpen(t, o)
		c := mustCursor(t, s, "out")
		const writers, each = 16, 20
		var wg sync.WaitGroup
		ids := make([][]string, writers)
		for w := range writers {
			wg.Go(func() {
				body := []byte(event(w))
				for range each {
					r, err := s.Append(spool.Entry{Body: body})
					if err != nil {
						t.Errorf("append: %v", err)
					}
					ids[w] = append(ids[w], r.ID)
				}
				clear(body) // Append has no claim on it any more
			})
		}
		wg.Wait()
		byID := map[string]string{}
		for _, g := range drain(t, c) {
			byID[g.id] = g.body
		}
		for w := range writers {
			for _, id := range ids[w] {
				if byID[id] != event(w) {
					t.Fatalf("event %s came back as %q, want %q", id, byID[id], event(w))
				}
			}
		}
		if len(byID) != writers*each {
			t.Errorf("%d events, want %d", len(byID), writers*each)
		}
		mustClose(t, s)
	})
}

func TestReadyWakesTheReader(t *testing.T) {
	s := mustOpen(t, options(crashfs.New(1)))
	defer mustClose(t, s)
	c := mustCursor(t, s, "out")
	select {
	case <-c.Ready():
		t.Fatal("ready with nothing there")
	default:
	}
	ready := c.Ready()
	mustAppend(t, s, event(1))
	<-ready
	if n := len(drain(t, c)); n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
}

func TestDrainedWaitsForEveryCursor(t *testing.T) {
	s := mustOpen(t, options(crashfs.New(1)))
	defer mustClose(t, s)
	a, b := mustCursor(t, s, "a"), mustCursor(t, s, "b")
	mustAppend(t, s, event(1))
	drained := make(chan error, 1)
	go func() { drained <- s.Drained(t.Context()) }()
	drain(t, a)
	if err := settle(a, 2); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-drained:
		t.Fatalf("drained (%v) before b was done", err)
	default:
	}
	drain(t, b)
	if err := settle(b, 2); err != nil {
		t.Fatal(err)
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
}

func TestWhereANewCursorBegins(t *testing.T) {
	fsys := crashfs.New(1)
	s := mustOpen(t, options(fsys))
	mustAppend(t, s, event(1))
	first, err := s.Cursor("first", spool.FromNow)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(drain(t, first)); n != 1 {
		t.Errorf("the first cursor of a new spool got %d events, want 1", n)
	}
	mustClose(t, s)

	s = mustOpen(t, options(fsys))
	defer mustClose(t, s)
	for name, want := range map[string]int{"now": 1, "oldest": 2} {
		start := spool.FromNow
		if name == "oldest" {
			start = spool.FromOldest
		}
		if _, err := s.Cursor(name, start); err != nil {
			t.Fatal(err)
		}
		defer func() {
			c, err := s.Cursor(name, spool.FromNow)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(drain(t, c)); n != want {
				t.Errorf("cursor %s got %d events, want %d", name, n, want)
			}
		}()
	}
	mustAppend(t, s, event(2))
}

func TestCursorNames(t *testing.T) {
	s := mustOpen(t, options(crashfs.New(1)))
	defer mustClose(t, s)
	for _, name := range []string{"", "../x", "a/b", "A", ".x", strings.Repeat("x", 64)} {
		if _, err := s.Cursor(name, spool.FromNow); err == nil {
			t.Errorf("cursor %q was made", name)
		}
	}
}

func TestOnlyOneProcessOpensASpool(t *testing.T) {
	eachDisk(t, func(t *testing.T, o spool.Options) {
		s := mustOpen(t, o)
		if _, err := spool.Open(o); !errors.Is(err, spool.ErrLocked) {
			t.Errorf("the second open said %v, want ErrLocked", err)
		}
		mustClose(t, s)
		mustClose(t, mustOpen(t, o))
	})
}

func TestANewerFormatIsRefused(t *testing.T) {
	for _, sub := range []string{"spool.meta", "segments", "cursors"} {
		t.Run(sub, func(t *testing.T) {
			fsys := crashfs.New(1)
			s := mustOpen(t, options(fsys))
			c := mustCursor(t, s, "out")
			mustAppend(t, s, event(1))
			drain(t, c)
			if err := settle(c, 2); err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			for _, name := range fsys.Names() {
				if strings.Contains(name, sub) {
					fsys.Edit(name, newerVersion)
				}
			}
			if _, err := spool.Open(options(fsys)); !errors.Is(err, spool.ErrVersion) {
				t.Errorf("open said %v, want ErrVersion", err)
			}
		})
	}
}

func TestClosedSpoolRefuses(t *testing.T) {
	s := mustOpen(t, options(crashfs.New(1)))
	mustClose(t, s)
	if _, err := s.Append(entry("{}")); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("append said %v, want ErrClosed", err)
	}
	if err := s.Writable(); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("writable said %v, want ErrClosed", err)
	}
	mustClose(t, s)
}

func TestFilesAreOursAlone(t *testing.T) {
	o := options(spool.Disk{})
	o.Dir = filepath.Join(t.TempDir(), "spool")
	s := mustOpen(t, o)
	mustAppend(t, s, event(1))
	mustCursor(t, s, "out")
	mustClose(t, s)
	err := filepath.WalkDir(o.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMetrics(t *testing.T) {
	o := options(crashfs.New(1))
	reg := prometheus.NewRegistry()
	o.Registry = reg
	s := mustOpen(t, o)
	c := mustCursor(t, s, "out")
	for i := range 3 {
		mustAppend(t, s, event(i))
	}
	drain(t, c)
	if err := settle(c, 2); err != nil {
		t.Fatal(err)
	}
	if v := counter(t, reg, "siemrelay_spool_appended_events_total"); v != 3 {
		t.Errorf("%v events were appended, want 3", v)
	}
	mustClose(t, s)
	mustClose(t, mustOpen(t, o)) // the registry takes it again
}
