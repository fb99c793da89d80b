package local_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// TestRetentionByAge: what is older goes, with its part of the index and of the
// counts; threats that are open stay.
func TestRetentionByAge(t *testing.T) {
	r := newRig(t, func(c *local.Config) { c.Retention = time.Hour })
	r.send(1, threat("open", "create"), threat("closed", "closed", "state", "remediated"))
	r.pass(30 * time.Minute)
	r.send(1500, threat("later", "closed", "state", "remediated"))
	r.pass(45 * time.Minute)
	r.Prune()
	if got := r.find(""); len(got) != 1 || got[0] != 1500 {
		t.Errorf("found %v, want what is not an hour old", got)
	}
	for text, want := range map[string]int{"": 2, "id:open": 1, "id:closed": 0, "id:later": 1, "status:closed": 1} {
		if got := r.records(text); len(got) != want {
			t.Errorf("%s: %d records, want %d", text, len(got), want)
		}
	}
	if got := r.records("id:open"); len(got) == 1 && got[0].Events != 0 {
		t.Errorf("%d events, want none", got[0].Events)
	}
	o, err := r.Overview(context.Background(), "", 24*time.Hour)
	r.must(err)
	if o.Events != 1 || o.OpenThreats["high"] != 1 || !o.Oldest.Equal(noon.Add(1500*time.Second)) {
		t.Errorf("%+v", o)
	}
	if found, err := r.Check(); err != nil || found != "ok" {
		t.Errorf("check: %s %v", found, err)
	}
}

// TestUpkeep: old events go also while none come.
func TestUpkeep(t *testing.T) {
	r := newRig(t, func(c *local.Config) { c.Retention = time.Hour })
	r.must(r.Output.Close())
	var err error
	r.Output, err = local.New(r.c, local.Options{Now: r.clock, Upkeep: time.Millisecond})
	r.must(err)
	r.send(1, threat("a", "create"))
	r.pass(2 * time.Hour)
	for end := time.Now().Add(time.Minute); len(r.find("")) > 0; {
		if time.Now().After(end) {
			t.Fatal("an old event stays")
		}
		<-time.After(time.Millisecond)
	}
}

// TestRetentionBySize: the file stops growing, the newest events stay, and the index
// agrees.
func TestRetentionBySize(t *testing.T) {
	const limit = 2 * config.MiB
	r := newRig(t, func(c *local.Config) { c.Retention = 0 })
	r.SetMaxSize(limit)
	tr := newTraffic(r)
	for range 20 {
		tr.fill(100)
	}
	info, err := os.Stat(r.path)
	r.must(err)
	if size := info.Size(); size > int64(limit)*3/2 {
		t.Errorf("the file has %d bytes, the limit is %d", size, limit)
	}
	events, more, err := r.Events(context.Background(), local.Query{}, local.Page{Limit: 100_000})
	r.must(err)
	if more || len(events) < 300 || len(events) == tr.made {
		t.Errorf("%d events of %d are there", len(events), tr.made)
	}
	for i, e := range events {
		if e.Sequence != uint64(tr.made-i) {
			t.Fatalf("event %d is number %d, want the newest without a gap", i, e.Sequence)
		}
	}
	o, err := r.Overview(context.Background(), "", time.Hour)
	r.must(err)
	if o.Events != len(events) {
		t.Errorf("%d are counted, %d are there", o.Events, len(events))
	}
	if all := r.find("-nothingofthat"); len(all) != min(1000, len(events)) {
		t.Errorf("the index has %d", len(all))
	}
	gone := r.find(fmt.Sprintf("id:%032x", 7919))
	if len(gone) != 0 {
		t.Errorf("the first event is still found: %v", gone)
	}
	if found, err := r.Check(); err != nil || found != "ok" {
		t.Errorf("check: %s %v", found, err)
	}
	t.Logf("%d of %d events in %d bytes", len(events), tr.made, info.Size())
}
