package spool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// send delivers create bodies of n records as their sender does, again until each is
// accepted or the disk is gone, and notes the ids.
func send(s *spool.Spool, n int, ids map[int]string) error {
	for i := range n {
		r, err := s.Append(entryOf(fmt.Sprint("record", i), "create"))
		if err != nil {
			return err
		}
		if before, again := ids[i]; again && (before != r.ID || !r.Duplicate) {
			return fmt.Errorf("event %d was acknowledged as %s, its retry got %+v", i, before, r)
		}
		ids[i] = r.ID
	}
	return nil
}

// TestRetriesAcrossPowerCuts cuts the power at the k-th operation for every k, again
// and again, and delivers everything again after each cut: no body that is unique
// ever becomes two events.
func TestRetriesAcrossPowerCuts(t *testing.T) {
	const n = 12
	for seed := range uint64(6) {
		for k, crashed := 1, true; crashed; k++ {
			fsys := crashfs.New(seed*1000 + uint64(k))
			o := options(fsys)
			o.RetryWindow, o.MaxSize = time.Hour, 64<<10
			withAudit(t, o)
			ids := map[int]string{}
			crashed = false
			for cut := range 3 {
				fsys.CrashAt(k + 7*cut)
				if s, err := spool.Open(o); err == nil {
					err = send(s, n, ids)
					if err != nil && !isRefusal(err) {
						t.Fatalf("seed %d, power cut at operation %d: %v", seed, k, err)
					}
					s.Close()
				}
				crashed = crashed || fsys.Crashed()
				fsys.Crash()
			}
			s := mustOpen(t, o)
			if err := send(s, n, ids); err != nil {
				t.Fatalf("seed %d, power cut at operation %d: %v", seed, k, err)
			}
			if all := drain(t, mustCursor(t, s, "audit")); len(all) != n {
				t.Fatalf("seed %d, power cut at operation %d: %d events, want %d", seed, k, len(all), n)
			}
			mustClose(t, s)
		}
	}
}

// TestHowItStoppedIsKnown cuts the power at the k-th operation for every k, of a
// process that found a clean mark: the start after it takes the stop for a clean one
// only where Close was at work, and always where Close had ended.
func TestHowItStoppedIsKnown(t *testing.T) {
	now := time.Date(2026, 6, 19, 9, 30, 0, 0, time.UTC)
	for seed := range uint64(12) {
		for k, crashed := 1, true; crashed; k++ {
			fsys := crashfs.New(seed*1000 + uint64(k))
			o := options(fsys)
			o.RetryWindow, o.MaxSize = time.Hour, 64<<10
			o.Now = func() time.Time { return now }
			mustClose(t, mustOpen(t, o))
			fsys.CrashAt(k)
			var acked, closing bool
			var first spool.Receipt
			if s, err := spool.Open(o); err == nil {
				first, err = s.Append(entryOf("A", "update"))
				acked = err == nil
				closing = !fsys.Crashed()
				s.Close()
			}
			crashed = fsys.Crashed()
			fsys.Crash()
			if !acked {
				continue
			}
			o.Now = func() time.Time { return now.Add(time.Minute) }
			s := mustOpen(t, o)
			r, err := s.Append(entryOf("A", "update"))
			if err != nil {
				t.Fatal(err)
			}
			clean := !r.Duplicate
			if clean && !closing || !clean && !crashed || r.Duplicate != (r.ID == first.ID) {
				t.Fatalf("seed %d, power cut at operation %d: closing %t, crashed %t; the repeat of %+v got %+v", seed, k, closing, crashed, first, r)
			}
			mustClose(t, s)
		}
	}
}
