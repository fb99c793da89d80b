package spool_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// A replay that ends with events that can't be read ends by itself, also where the
// disk fails at the moment that this is noted.
func TestAReplayEndsThoughItsLastCommitFailed(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize = 1 << 20
	s, c, all := delivered(t, o, 6)
	defer mustClose(t, s)
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { return flipIn(b, all[5].body) })
	mustReplay(t, s, 5, 7, 2)
	if _, ok, err := c.Replay().Next(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := c.Replay().Commit(6, spool.Outcome{Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	fsys.Fault(func(op crashfs.Op, name string, _ int) error {
		if op == crashfs.OpSync && strings.Contains(name, "cursor") {
			return syscall.EIO
		}
		return nil
	})
	if _, ok, err := c.Replay().Next(); ok || err == nil {
		t.Fatalf("next said %v, %v; want the disk's error", ok, err)
	}
	fsys.Fault(nil)
	select {
	case <-c.Replay().Ready():
	default:
		t.Error("nobody is told to try again")
	}
	drainReplay(t, c)
	if a := account(t, s, "out"); a.Replaying != 0 || a.Unreadable != 1 {
		t.Errorf("the account is %+v", a)
	}
}

// A replay may begin where one before it was given up.
func TestAReplayBeginsWhereAnotherWasCancelled(t *testing.T) {
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize = 1 << 20
	s, c, all := delivered(t, o, 8)
	defer mustClose(t, s)
	mustReplay(t, s, 1, 9, 8)
	for range 2 {
		if _, ok, err := c.Replay().Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if n, err := s.CancelReplay("out"); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	if got := drainReplay(t, c); len(got) != 0 {
		t.Fatal(got)
	}
	if err := c.Replay().Commit(3, spool.Outcome{Delivered: 2}); err != nil {
		t.Fatal(err)
	}
	fsys.Edit(segments(fsys)[0], func(b []byte) []byte { return flipIn(b, all[3].body) })
	mustReplay(t, s, 3, 5, 2)
	if got := drainReplay(t, c); bodies(got) != bodies(all[2:3]) {
		t.Errorf("read %v", got)
	}
	if err := c.Replay().Commit(4, spool.Outcome{Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	if a := account(t, s, "out"); a.Replaying != 0 || a.Pending != 0 {
		t.Errorf("the account is %+v", a)
	}
}
