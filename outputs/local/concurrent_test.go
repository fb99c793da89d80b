package local_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs/local"
)

// TestReadersWhileWriting: each sees one moment: batches whole or not at all, the
// index and the rows agreeing, and counts that match.
func TestReadersWhileWriting(t *testing.T) {
	r := newRig(t)
	tr := newTraffic(r)
	tr.fill(50)
	r.pass(time.Hour)
	all, err := local.ParseQuery("-nothingofthat", noon)
	r.must(err)
	done := make(chan struct{})
	var readers sync.WaitGroup // the test waits for them
	for _, q := range []local.Query{{}, all, {}, all} {
		readers.Go(func() {
			seen := 0
			for {
				events, _, err := r.Events(context.Background(), q, local.Page{Limit: 10_000})
				if err != nil {
					t.Error(err)
					return
				}
				if len(events)%50 != 0 || len(events) < seen {
					t.Errorf("sees %d events after %d: batches have 50", len(events), seen)
				}
				seen = len(events)
				if o, err := r.Overview(context.Background(), "", 2*time.Hour); err != nil || o.Events%50 != 0 || o.Events < seen {
					t.Errorf("counts %d events after %d: %v", o.Events, seen, err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 20 {
		tr.fill(50)
	}
	close(done)
	readers.Wait()
	if got := len(r.find("")); got != 1000 {
		t.Errorf("%d events, find returns at most 1000 of 1050", got)
	}
}

// TestCancelledSearch: a search ends with its context.
func TestCancelledSearch(t *testing.T) {
	r := newRig(t)
	newTraffic(r).fill(100)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := r.Events(ctx, local.Query{}, local.Page{Limit: 1}); err == nil {
		t.Error("it went on")
	}
	if got := r.find(""); len(got) != 100 {
		t.Errorf("%d events after one that was cancelled", len(got))
	}
}
