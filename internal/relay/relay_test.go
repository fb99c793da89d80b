package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

func TestOptionsMistakes(t *testing.T) {
	_, err := relay.New(relay.Options{
		Batch: relay.Batch{MaxWait: -1}, Retry: relay.Retry{Max: -1}, Grace: -1,
	})
	if err == nil {
		t.Fatal("New takes options without anything")
	}
	for _, want := range []string{
		"name is missing", "source is missing", "mapping is missing", "encoder is missing", "output is missing",
		"max events 0", "max bytes 0", "max wait -1ns", "retry min 0s", "retry max -1ns", "grace -1ns",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

// TestMessages: an event's facts and body arrive as they are, though the source,
// the mapping and the batch all use their buffers again.
func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raws := []normalize.Raw{
			event(1, "abc", "x"),
			{ID: strings.Repeat("a", 32), Sequence: 2, Body: []byte("no json")},
			event(3, "with/slash and ünï", "x"),
		}
		o := &output{}
		r := start(t, newSource(raws...), o, func(o *relay.Options) { o.Namespace = "customer" })
		r.source.add(event(4, "ABC", "other"), event(5, "xyz", "other"))
		synctest.Wait()
		r.end()
		want := []outputs.Message{
			{ID: raws[0].ID, Key: "threat/17/abc", Kind: "threat", Company: "17", Dataset: "defensecom.threat", EventKind: "event", Trigger: "update", SyslogSeverity: 4, Accepted: raws[0].Accepted},
			{ID: raws[1].ID, Key: "other//event:" + raws[1].ID, Kind: "other", Dataset: "defensecom.other", EventKind: "pipeline_error", Trigger: "other", SyslogSeverity: 4},
			{ID: raws[2].ID, Key: "threat/17/with%2Fslash%20and%20%C3%BCn%C3%AF", Kind: "threat", Company: "17", Dataset: "defensecom.threat", EventKind: "event", Trigger: "update", SyslogSeverity: 4, Accepted: raws[2].Accepted},
			{Key: "threat/17/ABC"}, {Key: "threat/17/xyz"},
		}
		if len(o.delivered) != len(want) {
			t.Fatalf("%d messages were delivered, want %d", len(o.delivered), len(want))
		}
		for i, got := range o.delivered {
			w := want[i]
			if wantBody := fmt.Sprintf("%d %s %s", i+1, w.Key, got.EventKind); string(got.Body) != wantBody {
				t.Errorf("body %q, want %q", got.Body, wantBody)
			}
			if i > 2 {
				continue
			}
			w.Sequence, w.Namespace, w.Body = uint64(i+1), "customer", got.Body
			if fmt.Sprint(got) != fmt.Sprint(w) {
				t.Errorf("message\n%+v, want\n%+v", got, w)
			}
		}
		r.wantCursor(6)
	})
}

func TestBatchByCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(events(25)...), &output{}, func(o *relay.Options) { o.Batch.MaxWait = time.Minute })
		// A full batch goes at once; the rest waits for more.
		r.wantSent(upTo(10), upTo(20)[10:])
		r.wantCursor(21)
		r.after(59 * time.Second)
		r.wantCursor(21)
		r.after(time.Second)
		r.wantDelivered(upTo(25)...)
		r.wantCursor(26)
		r.end()
	})
}

// TestBatchByBytes: the limit holds for the encoded bytes, and one event that is
// larger goes alone.
func TestBatchByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sizes := []int{0, 40, 40, 20, 30, 101, 10, 90, 1}
		var raws []normalize.Raw
		for i := 1; i < len(sizes); i++ {
			raws = append(raws, event(i, "a", "x"))
		}
		r := start(t, newSource(raws...), &output{}, func(o *relay.Options) {
			o.Batch.MaxBytes, o.Batch.MaxWait = 100, time.Minute
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				return append(dst, strings.Repeat("x", sizes[e.Sequence])...)
			}
		})
		r.after(time.Minute)
		r.wantSent([]uint64{1, 2, 3}, []uint64{4}, []uint64{5}, []uint64{6, 7}, []uint64{8})
		r.wantCursor(9)
		r.end()
	})
}

// TestBatchByWait: the wait counts from the first event of a batch.
func TestBatchByWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(), &output{}, func(o *relay.Options) { o.Batch.MaxWait = 10 * time.Second })
		r.after(time.Hour)
		r.source.add(event(1, "a", "x"))
		r.after(6 * time.Second)
		r.source.add(event(2, "a", "x"))
		r.after(3 * time.Second)
		r.wantSent()
		r.after(time.Second)
		r.wantSent([]uint64{1, 2})
		r.source.add(event(3, "a", "x"))
		r.after(9 * time.Second)
		r.wantCursor(3)
		r.after(time.Second)
		r.wantSent([]uint64{1, 2}, []uint64{3})
		r.end()
	})
}

// TestNothingIsCommittedBeforeItIsSafe is what the whole program stands on.
func TestNothingIsCommittedBeforeItIsSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{}
		block := make(chan struct{})
		o.answer = func(context.Context, []outputs.Message) error {
			<-block
			return nil
		}
		r := start(t, newSource(events(3)...), o)
		r.after(time.Hour)
		r.wantCursor(1)
		close(block)
		synctest.Wait()
		r.wantCursor(4)
		r.end()
	})
}

// TestCommitFails: the batch is not sent again for it, nothing further is read,
// and the log says it once.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(events(3)...)
		failing := true
		s.commitErr = func() error {
			if failing {
				return errors.New("no space left on device")
			}
			return nil
		}
		r := start(t, s, &output{})
		s.add(event(4, "a", "x"))
		r.after(3 * time.Minute)
		r.wantSent(upTo(3))
		r.wantState("retrying")
		r.wantLines(1, "cursor can't be saved")
		s.mu.Lock()
		failing = false
		s.mu.Unlock()
		r.after(20 * time.Second)
		r.wantSent(upTo(3), []uint64{4})
		r.wantCursor(5)
		r.wantState("ok")
		r.wantLines(1, "well again")
		r.end()
	})
}

// TestReadFails: what was read before goes out; the loop stays alive.
func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(events(5)...)
		calls, failing := 0, true
		s.readErr = func() error {
			if calls++; calls > 2 && failing {
				return errors.New("input/output error")
			}
			return nil
		}
		r := start(t, s, &output{})
		r.wantSent([]uint64{1, 2})
		r.wantCursor(3)
		r.after(3 * time.Minute)
		r.wantLines(1, "spool can't be read")
		r.wantState("retrying")
		s.mu.Lock()
		failing = false
		s.mu.Unlock()
		r.after(20 * time.Second)
		r.wantSent([]uint64{1, 2}, []uint64{3, 4, 5})
		r.wantState("ok")
		r.wantLines(1, "well again")
		r.end()
	})
}

// TestSourcePanics: a mistake in the spool is an error of the spool.
func TestSourcePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(events(2)...)
		reads, commits := 0, 0
		s.readErr = func() error {
			if reads++; reads == 2 {
				panic("index out of range")
			}
			return nil
		}
		s.commitErr = func() error {
			if commits++; commits == 1 {
				panic("index out of range")
			}
			return nil
		}
		r := start(t, s, &output{})
		r.after(time.Minute)
		r.wantDelivered(1, 2)
		r.wantCursor(3)
		r.end()
	})
}

// TestEventThatCannotBeEncoded: it goes out in the minimal form; nothing is stuck.
func TestEventThatCannotBeEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{}
		r := start(t, newSource(events(3)...), o, func(o *relay.Options) {
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				dst = append(dst, "half"...)
				if e.Sequence == 2 && e.EventKind != "pipeline_error" {
					panic("nil map")
				}
				return encodeKey(dst[:len(dst)-4], e)
			}
		})
		r.wantDelivered(1, 2, 3)
		if got, want := string(o.delivered[1].Body), "2 other//event:"+o.delivered[1].ID+" pipeline_error"; got != want {
			t.Errorf("the event became %q, want %q", got, want)
		}
		r.wantLines(1, "minimal form")
		r.wantLines(1, o.delivered[1].ID)
		r.wantState("ok")
		r.end()
	})
}

// TestEventThatCannotBeEncodedAtAll: it holds the cursor, and nothing is lost.
func TestEventThatCannotBeEncodedAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		r := start(t, newSource(events(3)...), &output{}, func(o *relay.Options) {
			o.Encode = func(dst []byte, e *normalize.Event) []byte {
				if !mended.Load() && e.Sequence == 2 {
					panic("nil map")
				}
				return encodeKey(dst, e)
			}
		})
		r.after(3 * time.Minute)
		r.wantDelivered(1)
		r.wantCursor(2)
		r.wantState("paused")
		r.wantLines(1, "level=ERROR")
		mended.Store(true)
		r.after(30 * time.Second)
		r.wantDelivered(1, 2, 3)
		r.wantCursor(4)
		r.wantState("ok")
		r.end()
	})
}

// TestStop: at whatever it is doing, the relay stops at once or within its grace,
// and the batch in hand is finished if that can be.
func TestStop(t *testing.T) {
	never := func(ctx context.Context, _ []outputs.Message) error {
		<-ctx.Done()
		return ctx.Err()
	}
	slow := func(d time.Duration) func(context.Context, []outputs.Message) error {
		return func(ctx context.Context, _ []outputs.Message) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
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
			})
		})
	}
}

// TestStopBeforeStart: a relay whose context has ended does nothing.
func TestStopBeforeStart(t *testing.T) {
	o := &output{}
	rl, err := relay.New(relay.Options{
		Name: "test", Source: newSource(events(1)...), Mapping: mapping(t), Encode: encodeKey, Output: o,
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

// TestOutputsDoNotWaitForEachOther: two relays of one process, one of them stuck.
func TestOutputsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := start(t, newSource(events(3)...), &output{answer: func(ctx context.Context, _ []outputs.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		well := start(t, newSource(events(100)...), &output{})
		if got := well.output.got(); !slices.Equal(got, upTo(100)) {
			t.Errorf("beside a stuck output %d of 100 events were delivered", len(got))
		}
		well.end()
		stuck.end()
	})
}
