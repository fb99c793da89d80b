package spool_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// TestEveryOperationFailsOnce makes the n-th operation fail, for every n and for
// each thing that a disk says, and goes on: what is acknowledged survives a power
// cut afterwards, and the spool recovers by itself.
func TestEveryOperationFailsOnce(t *testing.T) {
	for _, say := range []error{syscall.EIO, syscall.ENOSPC} {
		for n := 1; ; n++ {
			fsys := crashfs.New(uint64(n))
			o := options(fsys)
			withAudit(t, o)
			hit := false
			fsys.CrashAt(0)
			fsys.Fault(func(_ crashfs.Op, _ string, at int) error {
				if at == n && !hit {
					hit = true
					return say
				}
				return nil
			})
			w := newWitness()
			w.work(o, 0, 12)
			fsys.Fault(nil)
			fsys.Crash()
			w.check(t, o)
			if t.Failed() {
				t.Fatalf("%v at operation %d", say, n)
			}
			if !hit {
				break
			}
		}
	}
}

// TestEveryCallFails makes all calls of one kind fail for a while: nothing is
// acknowledged that is not stored, and nobody needs to restart.
func TestEveryCallFails(t *testing.T) {
	for _, op := range []crashfs.Op{crashfs.OpOpen, crashfs.OpRemove, crashfs.OpSyncDir, crashfs.OpWrite, crashfs.OpSync, crashfs.OpTruncate} {
		for _, say := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprintf("%s %v", op, say), func(t *testing.T) {
				fsys := crashfs.New(1)
				o := options(fsys)
				withAudit(t, o)
				w := newWitness()
				s := mustOpen(t, o)
				append1 := func(i int) error {
					r, err := s.Append(entry(event(i)))
					if err == nil {
						w.bodies[r.ID] = event(i)
					}
					return err
				}
				if err := append1(0); err != nil {
					t.Fatal(err)
				}
				fsys.Fault(func(at crashfs.Op, _ string, _ int) error {
					if at == op {
						return say
					}
					return nil
				})
				for i := range 20 {
					if err := append1(i + 1); err != nil && !isRefusal(err) {
						t.Fatalf("append: %v is none of its errors", err)
					}
				}
				fsys.Fault(nil)
				if err := append1(100); err != nil {
					t.Fatalf("append after the disk was mended: %v", err)
				}
				mustClose(t, s)
				fsys.Crash()
				w.check(t, o)
			})
		}
	}
}

// TestAFailedSyncIsNeverRetried: on Linux the next sync of that file may say
// nothing of what was lost. crashfs does the same.
func TestAFailedSyncIsNeverRetried(t *testing.T) {
	for seed := range uint64(20) {
		fsys := crashfs.New(seed)
		o := options(fsys)
		withAudit(t, o)
		w := newWitness()
		s := mustOpen(t, o)
		fail := true
		fsys.Fault(func(op crashfs.Op, _ string, _ int) error {
			if op == crashfs.OpSync && fail {
				fail = false
				return syscall.EIO
			}
			return nil
		})
		if _, err := s.Append(entry(event(0))); !errors.Is(err, spool.ErrIO) {
			t.Fatalf("append said %v, want ErrIO", err)
		}
		for i := range 5 {
			w.bodies[mustAppend(t, s, event(i+1))] = event(i + 1)
		}
		mustClose(t, s)
		fsys.Crash()
		w.check(t, o)
	}
}

// probeEvery is how soon the spool notices by itself that it is well again.
const probeEvery = 5 * time.Second

func TestAFullSpoolRefusesAndRecovers(t *testing.T) {
	for name, limit := range map[string]func(o *spool.Options, fsys *crashfs.FS){
		"max_size": func(o *spool.Options, _ *crashfs.FS) { o.MaxSize = 4 << 10 },
		"min_free": func(o *spool.Options, fsys *crashfs.FS) {
			fsys.Resize(6 << 10)
			o.MinFree = 1 << 10
			o.MaxSize = 1 << 20
		},
		"disk": func(o *spool.Options, fsys *crashfs.FS) { fsys.Resize(5 << 10); o.MaxSize = 1 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fsys := crashfs.New(1)
				o := options(fsys)
				o.Retention = time.Hour // gives way where there is no room
				limit(&o, fsys)
				log := &lockedBuffer{}
				o.Log = slog.New(slog.NewTextHandler(log, nil))
				s := mustOpen(t, o)
				defer mustClose(t, s)
				c := mustCursor(t, s, "out")
				for cycle := range 3 {
					// A spare that is just being made takes room, and gives it back later.
					stored := fillUp(t, s, synctest.Wait)
					if stored < 3 {
						t.Fatalf("cycle %d: only %d events fitted", cycle, stored)
					}
					for range 3 { // right away, and after the probe has come by
						if err := s.Writable(); err == nil {
							t.Fatal("writable while it refuses")
						}
						time.Sleep(probeEvery)
					}
					all := drain(t, c)
					if len(all) != stored {
						t.Fatalf("cycle %d: %d events stored, %d read", cycle, stored, len(all))
					}
					// Half is not enough for every disk, but all of it must be.
					if err := settle(c, all[len(all)-1].sequence+1); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * probeEvery)
					if err := s.Writable(); err != nil {
						t.Fatalf("cycle %d: not writable after all was delivered: %v", cycle, err)
					}
				}
				if n := strings.Count(log.String(), "spool refuses events"); n != 3 {
					t.Errorf("%d outages logged, want 3:\n%s", n, log.String())
				}
			})
		})
	}
}

// fillUp appends until the spool refuses and returns how many events it took. Before
// each it calls rest.
func fillUp(t *testing.T, s *spool.Spool, rest ...func()) int {
	t.Helper()
	for i := range 1000 {
		for _, wait := range rest {
			wait()
		}
		_, err := s.Append(entry(event(5)))
		if err == nil {
			continue
		}
		if !errors.Is(err, spool.ErrFull) && !errors.Is(err, spool.ErrNoSpace) {
			t.Fatalf("append said %v, want ErrFull or ErrNoSpace", err)
		}
		return i
	}
	t.Fatal("the spool never refused")
	return 0
}

func TestWhatACursorNeedsIsNeverReleased(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize = 4 << 10
	s := mustOpen(t, o)
	fast := mustCursor(t, s, "fast")
	mustCursor(t, s, "slow")
	stored := fillUp(t, s)
	all := drain(t, fast)
	if err := settle(fast, all[len(all)-1].sequence+1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(entry(event(5))); !errors.Is(err, spool.ErrFull) {
		t.Fatalf("append said %v, want ErrFull: the slow cursor has read nothing", err)
	}
	mustClose(t, s)

	s = mustOpen(t, o) // nobody opens "slow": it left the configuration
	if _, err := s.Append(entry(event(5))); !errors.Is(err, spool.ErrFull) {
		t.Fatalf("append said %v after a restart, want ErrFull", err)
	}
	if n := len(drain(t, mustCursor(t, s, "slow"))); n != stored {
		t.Errorf("the slow cursor got %d events, want %d", n, stored)
	}
	mustClose(t, s)
}

// A removed file takes room for as long as it is open. An output that is idle must
// not hold the newest segment, or nothing would ever come to wake it.
func TestAnIdleCursorGivesRoomBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := crashfs.New(1)
		fsys.Resize(64 << 10)
		o := options(fsys)
		o.MaxSize, o.MinFree, o.Retention = 1<<20, 32<<10, time.Hour // too little is free for a spare
		s := mustOpen(t, o)
		defer mustClose(t, s)
		c := mustCursor(t, s, "out")
		mustAppend(t, s, strings.Repeat("x", 2<<10))
		all := drain(t, c)
		if err := settle(c, all[0].sequence+1); err != nil {
			t.Fatal(err)
		}
		go func() { // as a relay does
			for {
				<-c.Ready()
				if r, ok, err := c.Next(); ok || err != nil {
					if r.Sequence != 2 || err != nil {
						t.Errorf("next: %d %v", r.Sequence, err)
					}
					return
				}
			}
		}()
		fsys.Resize(35 << 10) // somebody else took the rest, but for what is delivered
		_, err := s.Append(entry(strings.Repeat("y", 1<<10)))
		if synctest.Wait(); err != nil {
			_, err = s.Append(entry(strings.Repeat("y", 1<<10)))
		}
		if err != nil {
			t.Errorf("append, with all delivered: %v", err)
			fsys.Resize(0)
			mustAppend(t, s, event(0)) // wakes the goroutine
		}
		synctest.Wait()
	})
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := crashfs.New(1)
		o := options(fsys)
		o.MaxSize, o.Retention = 80<<10, time.Hour
		s := mustOpen(t, o)
		defer mustClose(t, s)
		c := mustCursor(t, s, "out")
		for i := range 200 {
			mustAppend(t, s, event(i))
		}
		all := drain(t, c)
		if err := settle(c, all[99].sequence); err != nil {
			t.Fatal(err)
		}
		before := len(segments(fsys))
		time.Sleep(50 * time.Minute)
		if n := len(segments(fsys)); n != before {
			t.Errorf("%d of %d segments are left inside the retention", n, before)
		}
		time.Sleep(20 * time.Minute)
		if n := len(segments(fsys)); n >= before || n < 2 {
			t.Errorf("%d of %d segments are left after the retention, half are needed still", n, before)
		}
		if again := drain(t, mustCursor(t, s, "late")); len(again) < 101 {
			t.Errorf("%d events are left, the cursor needs 101", len(again))
		}
	})
}

func TestABatchThatDoesNotFitIsStoredInPart(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize = 2 << 10
	s := mustOpen(t, o)
	c := mustCursor(t, s, "out")
	errs := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := s.Append(entry(`{"pad":"` + strings.Repeat("x", 400) + `"}`))
			errs <- err
		}()
	}
	stored := 0
	for range 8 {
		switch err := <-errs; {
		case err == nil:
			stored++
		case !errors.Is(err, spool.ErrFull):
			t.Errorf("append said %v, want ErrFull", err)
		}
	}
	if n := len(drain(t, c)); stored != 4 || n != 4 {
		t.Errorf("%d acknowledged, %d read; 4 fit", stored, n)
	}
	mustClose(t, s)
}

// slowFS holds every Sync back until it is let go.
type slowFS struct {
	spool.FS
	hold chan struct{}
}

type slowFile struct {
	spool.File
	hold chan struct{}
}

func (f slowFS) Open(name string, flag int) (spool.File, error) {
	file, err := f.FS.Open(name, flag)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return file, err
	}
	return slowFile{file, f.hold}, nil
}

func (f slowFile) Sync() error {
	<-f.hold
	return f.File.Sync()
}

func TestASlowDiskIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		o := options(slowFS{crashfs.New(1), hold})
		o.MaxSize = 1 << 30
		s := mustOpen(t, o)
		c := mustCursor(t, s, "out")
		began := time.Now()
		for range 3 { // one batch is with the disk, the others wait for it
			if _, err := s.Append(entry(event(1))); !errors.Is(err, spool.ErrSlow) {
				t.Errorf("append said %v, want ErrSlow", err)
			}
		}
		if waited := time.Since(began); waited > 3*5*time.Second {
			t.Errorf("three appends waited %v", waited)
		}
		if err := s.Writable(); !errors.Is(err, spool.ErrSlow) {
			t.Errorf("while the disk hangs, an event would get %v", err)
		}
		began = time.Now()
		big := []byte(strings.Repeat("x", 5<<20))
		results := make(chan error, 10)
		for range cap(results) { // more than may wait at once
			go func() { _, err := s.Append(spool.Entry{Body: big}); results <- err }()
		}
		for range cap(results) {
			if err := <-results; !errors.Is(err, spool.ErrSlow) {
				t.Errorf("append said %v, want ErrSlow", err)
			}
		}
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("appends that waited for each other took %v", waited)
		}
		close(hold)
		id := mustAppend(t, s, event(2))
		all := drain(t, c)
		if last := all[len(all)-1]; last.id != id {
			t.Errorf("the newest event is %s, want %s", last.id, id)
		}
		if err := s.Writable(); err != nil {
			t.Errorf("after an event was stored, another one would get %v", err)
		}
		mustClose(t, s)
	})
}
