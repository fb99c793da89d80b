package spool_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// timedFS has a disk whose syncs of segments take a while.
type timedFS struct {
	spool.FS
	takes time.Duration
}

type timedFile struct {
	spool.File
	takes time.Duration
}

func (f timedFS) Open(name string, flag int) (spool.File, error) {
	file, err := f.FS.Open(name, flag)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return file, err
	}
	return timedFile{file, f.takes}, nil
}

func (f timedFile) Sync() error {
	time.Sleep(f.takes)
	return f.File.Sync()
}

// appendInTurns has each of the writers append one event after the other, and
// returns how many commits that took, how many of them had one event, and the time.
func appendInTurns(t *testing.T, writers, each int) (commits, singles uint64, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		o := options(timedFS{crashfs.New(1), 400 * time.Microsecond})
		o.MaxSize = 1 << 30
		reg := prometheus.NewRegistry()
		o.Registry = reg
		s := mustOpen(t, o)
		defer mustClose(t, s)
		mustCursor(t, s, "out")
		began := time.Now()
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for i := range each {
					mustAppend(t, s, event(i))
				}
			})
		}
		wg.Wait()
		took = time.Since(began)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "siemrelay_spool_commit_events" {
				h := f.GetMetric()[0].GetHistogram()
				commits, singles = h.GetSampleCount(), h.GetBucket()[0].GetCumulativeCount()
			}
		}
	})
	return commits, singles, took
}

func TestASingleSenderNeverWaits(t *testing.T) {
	commits, _, took := appendInTurns(t, 1, 50)
	if commits != 50 || took != 50*400*time.Microsecond {
		t.Errorf("50 appends took %d commits and %v", commits, took)
	}
}

// The first of many to come back doesn't get a sync for itself while the others
// queue behind it.
func TestTheFirstToComeBackWaitsForTheOthers(t *testing.T) {
	const writers, each = 8, 50
	commits, singles, took := appendInTurns(t, writers, each)
	if singles > commits/5 {
		t.Errorf("%d of %d commits had one event, with %d senders", singles, commits, writers)
	}
	if limit := each * 2 * 400 * time.Microsecond; took > limit {
		t.Errorf("it took %v, more than the time of %d commits", took, 2*each)
	}
}

// What senders get a second, on two processors of which each event takes 20 µs: all wait
// for one commit where all come back soon, beside a disk that takes longer, and else one
// half is committed while the other half comes back.
func TestCommitsAreShared(t *testing.T) {
	for _, c := range []struct {
		disk    time.Duration
		senders int
		want    float64 // events a second; what another rule gives is in the comment
	}{
		{500 * time.Microsecond, 2, 3_500},     // 2,000: each has a commit
		{500 * time.Microsecond, 8, 13_000},    // 8,000: halves
		{500 * time.Microsecond, 64, 57_000},   // 48,000: all wait for all
		{1500 * time.Microsecond, 64, 27_000},  // 21,000: halves
		{1500 * time.Microsecond, 256, 77_000}, // 66,000: as many as the last commit had
	} {
		t.Run(fmt.Sprintf("%d/%v", c.senders, c.disk), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := sharedRate(t, c.senders, c.disk); got < c.want {
					t.Errorf("%.0f events a second, want %.0f", got, c.want)
				}
			})
		})
	}
}

// sharedRate is how many events a second the senders append together.
func sharedRate(t *testing.T, senders int, disk time.Duration) float64 {
	const total = 12_000
	o := options(timedFS{crashfs.New(1), disk})
	o.MaxSize = 1 << 30
	s := mustOpen(t, o)
	defer mustClose(t, s)
	mustCursor(t, s, "out")
	processors := make(chan struct{}, 2)
	began := time.Now()
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(sender), 2))
			for i := range total / senders {
				processors <- struct{}{}
				<-time.After(time.Duration(10+random.IntN(20)) * time.Microsecond)
				<-processors
				mustAppend(t, s, event(i))
			}
		})
	}
	wg.Wait()
	return total / time.Since(began).Seconds()
}
