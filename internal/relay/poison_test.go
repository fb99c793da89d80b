package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// explodingOn panics whenever one of the given events is in a batch.
func explodingOn(sequences ...uint64) func(context.Context, []outputs.Message) error {
	return func(_ context.Context, batch []outputs.Message) error {
		for _, m := range batch {
			if slices.Contains(sequences, m.Sequence) {
				panic("nil map")
			}
		}
		return nil
	}
}

// TestPoison: an event that fails for a reason of its own, ten times in ten minutes
// and more, while others are delivered, becomes a dead letter. Until then it is
// tried again, and what shares its batch does not wait for it.
func TestPoison(t *testing.T) {
	for name, answer := range map[string]func(context.Context, []outputs.Message) error{
		"that fails":      failingOn(4),
		"that explodes":   explodingOn(4),
		"after an outage": script(append(slices.Repeat(scripts{fails(errDown)}, 100), failingFor(failingOn(4), 60)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				raws := events(7)
				raws[5] = event(6, "rec-4", "the record of number 4")
				r := start(t, newSource(raws...), &output{answer: answer})
				if name == "after an outage" {
					r.after(33 * time.Minute)
					r.wantLetters()
				}
				r.after(9 * time.Minute)
				r.wantDelivered(1, 2, 3, 5, 7)
				r.wantLetters()
				r.wantCursor(1)
				r.wantState("retrying")
				r.source.add(event(8, "later", "x"))
				r.after(2 * time.Minute)
				r.wantDelivered(1, 2, 3, 5, 7, 6, 8)
				r.wantLetters("4 poison")
				r.wantSettled(7, 0, 1)
				r.wantCursor(9)
				r.wantState("ok")
				got := r.letters.stored[0]
				if got.Tries < 10 || got.Refused.Sub(got.First) < 10*time.Minute || string(got.Body) != string(raws[3].Body) ||
					!strings.Contains(got.Error, "strange document") && !strings.Contains(got.Error, "nil map") {
					t.Errorf("the dead letter is %+v", got)
				}
				r.end()
			})
		})
	}
}

// scripts are answers for script.
type scripts = []func(context.Context, []outputs.Message) error

func failingFor(answer func(context.Context, []outputs.Message) error, n int) scripts {
	return slices.Repeat(scripts{answer}, n)
}

// TestTenTriesAreNotEnough, nor are ten minutes: it takes both.
func TestTenTriesAreNotEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raws := events(2)
		o := &output{answer: failingOn(1)}
		r := start(t, newSource(raws...), o)
		r.after(9*time.Minute + 55*time.Second)
		if n := len(o.sent()); n < 20 {
			t.Fatalf("only %d tries", n)
		}
		r.wantLetters()
		r.end()
	})
	synctest.Test(t, func(t *testing.T) {
		slowly := func(ctx context.Context, batch []outputs.Message) error {
			_ = slow(5*time.Minute)(ctx, batch)
			return failingOn(1)(ctx, batch)
		}
		o := &output{answer: slowly}
		r := start(t, newSource(events(2)...), o)
		r.after(45 * time.Minute)
		r.wantLetters()
		r.after(15 * time.Minute)
		r.wantLetters("1 poison")
		r.end()
	})
}

// TestPoisonAlone: nothing else was delivered since it failed first, so the relay
// reads on to find out who is at fault. With nothing to read it waits.
func TestPoisonAlone(t *testing.T) {
	for name, answer := range map[string]func(context.Context, []outputs.Message) error{
		"that fails": failingOn(1, 2), "that explodes": explodingOn(1, 2),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newSource(event(1, "a", "x")), &output{answer: answer})
				r.after(time.Hour)
				r.wantLetters()
				r.wantCursor(1)
				// Another one of the kind proves nothing, and what is behind them in
				// their records must not overtake them.
				r.source.add(event(2, "b", "x"), event(3, "a", "x"))
				r.after(time.Hour)
				r.wantDelivered()
				r.wantLetters()
				r.source.add(event(4, "b", "x"), event(5, "c", "x"))
				r.after(30 * time.Second)
				r.wantLetters("1 poison", "2 poison")
				r.wantDelivered(5, 3, 4)
				r.wantSettled(3, 0, 2)
				r.wantCursor(6)
				r.end()
			})
		})
	}
}

// TestPoisonWithABacklog: it costs its lane ten minutes and no more.
func TestPoisonWithABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: failingOn(1)}
		s := newSource(event(1, "a", "x"))
		r := start(t, s, o)
		s.add(eventsFrom(1, 500)...)
		r.after(10 * time.Minute)
		r.wantCursor(1)
		r.after(31 * time.Second)
		r.wantLetters("1 poison")
		r.wantSettled(500, 0, 1)
		r.wantCursor(502)
		r.end()
	})
}

// TestPoisonDoesNotStopOtherLanes for longer: a dead letter that is sent again and
// fails as before must not keep live events waiting.
func TestPoisonDoesNotStopOtherLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := newSource(event(101, "a", "x"))
		r := start(t, newSource(), &output{answer: failingOn(101)}, beside(queue))
		r.source.add(events(25)...)
		r.after(11 * time.Minute)
		r.wantDelivered(upTo(25)...)
		r.wantSettled(25, 0, 0)
		if c := queue.total(); c.Dead != 1 || c.Delivered != 0 || r.letters.stored[0].Pass != 1 {
			t.Errorf("the lane was told %+v, and the dead letters are %+v", c, r.letters.stored)
		}
		r.end()
	})
}

// TestReceiverIsAtFault: whatever it does to all events alike, however long it
// lasts, no event becomes a dead letter, and afterwards all are delivered. Of the
// events behind, at most those of a batch, or a hundred, are read to find out.
func TestReceiverIsAtFault(t *testing.T) {
	each := func(err error) func(context.Context, []outputs.Message) error {
		return func(_ context.Context, batch []outputs.Message) error {
			p := &outputs.Partial{}
			for range batch {
				p.Results = append(p.Results, outputs.Result{Status: outputs.Retry, Err: err})
			}
			return p
		}
	}
	odd := errors.New("strange document")
	for name, answer := range map[string]func(context.Context, []outputs.Message) error{
		"down":                              fails(errDown),
		"not ready":                         fails(&outputs.NotReady{Err: odd}),
		"panics":                            func(context.Context, []outputs.Message) error { panic("nil map") },
		"makes no sense":                    outcomes("d?"),
		"throttles":                         each(&outputs.Wait{Err: odd, After: time.Second}),
		"throttles, and tells each":         each(&outputs.Transient{Err: odd}),
		"is slow":                           each(context.DeadlineExceeded),
		"lacks a topic":                     each(&outputs.NotReady{Err: odd}),
		"gives no reason":                   each(nil),
		"finds all documents strange":       each(odd),
		"finds a batch too large, and down": script(append(scripts{fails(outputs.ErrTooLarge)}, failingFor(fails(errDown), 1000)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &output{answer: answer}
				s := newSource(events(300)...)
				r := start(t, s, o)
				r.after(3 * time.Hour)
				r.wantDelivered()
				r.wantLetters()
				r.wantCursor(1)
				s.mu.Lock()
				if s.at > 10+100+1 {
					t.Errorf("%d events were read", s.at)
				}
				s.mu.Unlock()
				o.set(nil)
				r.after(10 * time.Minute)
				if got := o.got(); !slices.Equal(slices.Sorted(slices.Values(got)), upTo(300)) {
					t.Errorf("delivered %v", got)
				}
				r.wantLetters()
				r.wantSettled(300, 0, 0)
				r.end()
			})
		})
	}
}

// TestPutOffForEver: one event that the receiver puts off again and again, while it
// takes the others, is not to blame, however long it lasts.
func TestPutOffForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		later := outputs.Result{Status: outputs.Retry, Err: &outputs.Transient{Err: errors.New("429")}}
		r := start(t, newSource(events(7)...), &output{answer: statusOf(later, 4)})
		r.after(3 * time.Hour)
		r.wantDelivered(1, 2, 3, 5, 6, 7)
		r.wantLetters()
		r.end()
	})
}

// TestWhatIsInHandIsBounded, in bytes too, also when the relay reads on to find out.
func TestWhatIsInHandIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var raws []normalize.Raw
		for i := range 40 {
			raws = append(raws, event(i+1, fmt.Sprint(i), strings.Repeat("x", 1<<20)))
		}
		o := &output{answer: failingOn(upTo(40)...)}
		s := newSource(raws...)
		r := start(t, s, o)
		if got := o.sent(); !slices.Equal(got[0], upTo(7)) {
			t.Errorf("a batch has the events %v, more than 8 MiB", got[0])
		}
		r.after(2 * time.Hour)
		s.mu.Lock()
		if s.at != 7+7+1 { // one was read and found no room
			t.Errorf("%d events of 1 MiB are in hand", s.at)
		}
		s.mu.Unlock()
		o.set(nil)
		r.after(time.Minute)
		r.wantCursor(41)
		r.end()
	})
}

// TestReceiverIsMended at any moment: that others are delivered from then on proves
// nothing against those that failed before.
func TestReceiverIsMended(t *testing.T) {
	for name, broken := range map[string]func(context.Context, []outputs.Message) error{
		"fails": failingOn(upTo(100)...), "panics": func(context.Context, []outputs.Message) error { panic("nil map") },
	} {
		t.Run(name, func(t *testing.T) {
			for mended := range uint64(5) {
				synctest.Test(t, func(t *testing.T) {
					o := &output{answer: broken}
					r := start(t, newSource(events(30)...), o, func(o *relay.Options) { o.Batch.MaxEvents = 2 })
					r.after(time.Hour)
					// From the first Send on that has event 3, 4 and so on it works.
					o.set(func(ctx context.Context, batch []outputs.Message) error {
						if slices.Contains(sequences(batch), mended+2) {
							o.set(nil)
							return nil
						}
						return broken(ctx, batch)
					})
					r.after(time.Hour)
					r.wantLetters()
					r.wantSettled(30, 0, 0)
					r.end()
				})
			}
		})
	}
}

// TestPoisonWhileThrottled: what the receiver does to all is not counted against one.
func TestPoisonWhileThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: failingOn(2)}
		s := newSource(events(3)...)
		r := start(t, s, o)
		r.after(5 * time.Minute)
		o.set(fails(&outputs.Wait{Err: errors.New("429"), After: time.Second}))
		r.after(2 * time.Hour)
		r.wantLetters()
		o.set(nil)
		r.after(time.Minute)
		r.wantDelivered(1, 3, 2)
		r.wantLetters()
		r.end()
	})
}
