package spool_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// TestTheClockJumps: the wall clock jumps by up to a day, forwards and backwards, each
// time that it is read, and by a day at a restart. No append waits for it, no event that
// a cursor still needs goes because it looks old, order and numbers do not depend on it,
// and the times that are stored only grow.
func TestTheClockJumps(t *testing.T) {
	const events, restarts = 120, 4
	day := int64(24 * time.Hour)
	fsys := crashfs.New(1)
	o := options(fsys)
	o.MaxSize, o.Retention, o.RetryWindow = 1<<20, time.Hour, time.Hour
	var mu sync.Mutex
	now, random := time.Date(2026, 6, 19, 9, 30, 0, 0, time.UTC), rand.New(rand.NewPCG(1, 2))
	o.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now.Add(time.Duration(random.Int64N(2*day) - day))
	}
	var want []string // ids
	var prompt []got
	for restart := range restarts {
		s := mustOpen(t, o)
		fast, slow := mustCursor(t, s, "fast"), mustCursor(t, s, "slow")
		for n := range events {
			want = append(want, mustAppend(t, s, event(n)))
			prompt = append(prompt, drain(t, fast)...)
			if err := settle(fast, uint64(len(want)+1)); err != nil {
				t.Fatal(err)
			}
		}
		if restart < restarts-1 {
			mustClose(t, s)
			mu.Lock()
			now = now.Add(time.Duration([]int64{day, -2 * day, -day}[restart]))
			mu.Unlock()
			continue
		}
		late := drain(t, slow)
		for name, all := range map[string][]got{"fast": prompt, "slow": late} {
			var ids []string
			var last got
			for i, g := range all {
				if g.sequence != uint64(i+1) || i > 0 && !g.accepted.After(last.accepted) {
					t.Fatalf("cursor %s: event %d has number %d and was accepted at %v, the one before at %v", name, i+1, g.sequence, g.accepted, last.accepted)
				}
				ids, last = append(ids, g.id), g
			}
			if !slices.Equal(ids, want) {
				t.Errorf("cursor %s read %d events, want the %d that were accepted, in order", name, len(ids), len(want))
			}
		}
		if a := account(t, s, "slow"); a.Entered != uint64(len(want)) || a.Pending != a.Entered {
			t.Errorf("account: %+v", a)
		}
		mustClose(t, s)
	}
}
