package relay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/outputs"
)

// slow succeeds after a time.
func slow(d time.Duration) func(context.Context, []outputs.Message) error {
	return func(ctx context.Context, _ []outputs.Message) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestStop: at whatever it is doing, the relay stops at once or within its grace,
// and the batch in hand is finished if that can be.
func TestStop(t *testing.T) {
	never := func(ctx context.Context, _ []outputs.Message) error {
		<-ctx.Done()
		return ctx.Err()
	}
	commitFails := func(s *source) {
		s.commitErr = func() error { return errors.New("no space left on device") }
	}
	for name, c := range map[string]struct {
		source *source
		answer func(context.Context, []outputs.Message) error
		wait   time.Duration // Batch.MaxWait
		set    func(s *source)
		takes  time.Duration
		cursor uint64
	}{
		"while idle":                  {source: newSource(), cursor: 1},
		"while a batch fills":         {source: newSource(events(2)...), wait: time.Hour, cursor: 3},
		"while a send succeeds":       {source: newSource(events(12)...), answer: slow(2 * time.Second), takes: 2 * time.Second, cursor: 11},
		"while a send hangs":          {source: newSource(events(2)...), answer: never, takes: 5 * time.Second, cursor: 1},
		"while a send takes too long": {source: newSource(events(2)...), answer: slow(6 * time.Second), takes: 5 * time.Second, cursor: 1},
		"while it waits to try again": {source: newSource(events(2)...), answer: fails(errors.New("down")), cursor: 1},
		"while it is paused":          {source: newSource(events(2)...), answer: fails(&outputs.NotReady{Err: errors.New("login")}), cursor: 1},
		"while a receiver wants rest": {source: newSource(events(2)...), answer: fails(&outputs.Wait{Err: errors.New("busy"), After: time.Hour}), cursor: 1},
		"while the cursor is stuck":   {source: newSource(events(2)...), set: commitFails, cursor: 1},
		"while a batch is in parts":   {source: newSource(events(4)...), answer: script(fails(outputs.ErrTooLarge), slow(2*time.Second), slow(2*time.Second)), takes: 4 * time.Second, cursor: 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.source.more = make(chan struct{}) // of this bubble
				if c.set != nil {
					c.set(c.source)
				}
				r := start(t, c.source, &output{answer: c.answer}, func(o *relay.Options) { o.Batch.MaxWait = c.wait })
				began := time.Now()
				r.end()
				if took := time.Since(began); took != c.takes {
					t.Errorf("stopping took %v, want %v", took, c.takes)
				}
				r.wantCursor(c.cursor)
				r.wantLines(0, "context canceled") // stopping is no outage
			})
		})
	}
}

// TestStopBeforeStart: a relay whose context has ended does nothing.
func TestStopBeforeStart(t *testing.T) {
	o := &output{}
	rl, err := relay.New(relay.Options{
		Name: "test", Lanes: []relay.Lane{{Source: newSource(events(1)...)}}, Letters: &letters{}, Mapping: mapping(t), Encode: encodeKey, Output: o,
		Batch: relay.Batch{MaxEvents: 1, MaxBytes: 1}, Retry: relay.Retry{Min: 1, Max: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := rl.Run(ctx); err != nil || len(o.sends) > 0 {
		t.Errorf("Run returned %v and sent %v", err, o.sends)
	}
}
