package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// eventsFrom are n events of seven records, with sequences after first.
func eventsFrom(first, n int) []normalize.Raw {
	var raws []normalize.Raw
	for i := first + 1; i <= first+n; i++ {
		raws = append(raws, event(i, fmt.Sprint("rec-", i%7), "x"))
	}
	return raws
}

// beside adds lanes to those of a rig.
func beside(sources ...*source) func(o *relay.Options) {
	return func(o *relay.Options) {
		for i, s := range sources {
			o.Lanes = append(o.Lanes, relay.Lane{Source: s, Pass: func() uint64 { return uint64(i + 1) }, WantSequences: true})
		}
	}
}

// TestLanesTakeTurns: the first lane has every second turn, the others share the
// rest, and none waits for Batch.MaxWait while another has something to do.
func TestLanesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, queue, replay := newSource(eventsFrom(0, 35)...), newSource(eventsFrom(100, 20)...), newSource(eventsFrom(200, 30)...)
		r := start(t, log, &output{}, beside(queue, replay), func(o *relay.Options) { o.Batch.MaxWait = time.Minute })
		var turns []uint64
		for _, send := range r.output.sent() {
			turns = append(turns, send[0])
		}
		if want := []uint64{1, 101, 11, 201, 21, 111, 31, 211, 221}; !slices.Equal(turns, want) {
			t.Errorf("the batches begin with %v, want %v", turns, want)
		}
		if log.cursor() != 36 || queue.cursor() != 121 || replay.cursor() != 231 {
			t.Errorf("the cursors are %d, %d and %d", log.cursor(), queue.cursor(), replay.cursor())
		}
		r.end()
	})
}

// TestLiveEventsComeFirst: one that arrives during a long replay has the next turn.
func TestLiveEventsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: slow(time.Second)}
		r := start(t, newSource(), o, beside(newSource(eventsFrom(100, 100)...)))
		r.after(3500 * time.Millisecond)
		r.source.add(event(1, "a", "x"))
		r.after(time.Minute)
		if got := o.sent(); !slices.Equal(got[4], []uint64{1}) {
			t.Errorf("the batches are %v", got)
		}
		r.end()
	})
}

// TestEveryLaneWakes: an event in any lane ends the waiting.
func TestEveryLaneWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, queue, replay := newSource(), newSource(), newSource()
		r := start(t, log, &output{}, beside(queue, replay))
		for i, s := range []*source{replay, log, queue} {
			r.after(time.Hour)
			s.add(event(i+1, "a", "x"))
			synctest.Wait()
			if got := r.output.got(); len(got) != i+1 {
				t.Errorf("delivered %v", got)
			}
		}
		r.end()
	})
}

// TestHeldEventsOfLanes: each lane keeps the event that found no room in a batch,
// and its body, while the others have their turns.
func TestHeldEventsOfLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := newSource(eventsFrom(100, 9)...)
		r := start(t, newSource(eventsFrom(0, 9)...), &output{}, beside(queue), func(o *relay.Options) {
			o.Batch.MaxBytes = 70 // two events and a half
			o.Encode = func(dst []byte, e *normalize.Event) []byte { return fmt.Appendf(dst, "%-28d", e.Sequence) }
		})
		r.wantSettled(9, 0, 0)
		if c := queue.total(); c.Delivered != 9 || !slices.Equal(c.Sequences, []uint64{101, 102, 103, 104, 105, 106, 107, 108, 109}) {
			t.Errorf("the other lane was told %+v", c)
		}
		if c := r.source.total(); c.Sequences != nil {
			t.Errorf("a lane got sequences that it did not want: %v", c.Sequences)
		}
		for _, m := range r.output.delivered {
			if got := fmt.Sprintf("%-28d", m.Sequence); string(m.Body) != got || m.ID != fmt.Sprintf("%032x", m.Sequence) {
				t.Errorf("event %d has the body %q and the id %s", m.Sequence, m.Body, m.ID)
			}
		}
		r.end()
	})
}

// TestLaneThatCannotBeRead: the others go on, and so does it when it can again.
func TestLaneThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replay := newSource(eventsFrom(100, 3)...)
		broken := true
		replay.readErr = func() error {
			if broken {
				return errors.New("input/output error")
			}
			return nil
		}
		log := newSource()
		r := start(t, log, &output{}, beside(replay))
		r.after(2 * time.Minute)
		r.wantState("retrying")
		r.wantLines(1, "input/output error")
		for i := range 100 {
			log.add(event(i+1, "a", "x"))
			synctest.Wait()
			r.wantCursor(uint64(i + 2)) // at once, whatever the wait for the other lane
		}
		replay.mu.Lock()
		broken = false
		replay.mu.Unlock()
		r.after(20 * time.Second)
		if replay.cursor() != 104 {
			t.Errorf("the cursor of the lane is at %d, want 104", replay.cursor())
		}
		r.wantState("ok")
		r.end()
	})
}

// TestLaneThatCannotBeSaved: nothing is sent again for it, and nothing else sent.
func TestLaneThatCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := newSource(eventsFrom(100, 3)...)
		failing := 3
		queue.commitErr = func() error {
			if failing--; failing >= 0 {
				return errors.New("no space left on device")
			}
			return nil
		}
		r := start(t, newSource(), &output{}, beside(queue))
		r.source.add(event(1, "a", "x"))
		r.after(2 * time.Second)
		r.wantSent([]uint64{101, 102, 103})
		r.after(time.Minute)
		r.wantSent([]uint64{101, 102, 103}, []uint64{1})
		if c := queue.total(); c.Delivered != 3 || len(queue.commits) != 1 {
			t.Errorf("the lane was told %+v", queue.commits)
		}
		r.end()
	})
}

// handOver is an output that confirms nothing.
type handOver struct{ *output }

func (handOver) Unconfirmed() bool { return true }

// TestHandedOver: what nobody confirms is settled as sent, on every lane, and nothing as
// delivered; what is left out or refused is so all the same.
func TestHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: script(func(_ context.Context, batch []outputs.Message) error {
			results := make([]outputs.Result, len(batch))
			results[1] = outputs.Result{Status: outputs.Refused, Err: errors.New("too odd")}
			return &outputs.Partial{Results: results}
		})}
		replay := newSource(eventsFrom(100, 5)...)
		r := start(t, newSource(events(8)...), o, beside(replay), func(options *relay.Options) { options.Output = handOver{o} })
		if c := r.source.total(); c.Delivered != 0 || c.Sent != 7 || c.Dead != 1 {
			t.Errorf("of the log %+v was committed, want 7 sent and 1 dead", c)
		}
		if c := replay.total(); c.Delivered != 0 || c.Sent != 5 || !slices.Equal(c.Sequences, []uint64{101, 102, 103, 104, 105}) {
			t.Errorf("of the replay %+v was committed, want 5 sent, and which", c)
		}
		r.end()
	})
}
