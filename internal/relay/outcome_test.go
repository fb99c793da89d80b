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
	"github.com/siemrelay/siemrelay/outputs"
)

var errDown = errors.New("connection refused")

// waits are the times between one Send and the next.
func (o *output) waits() []time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []time.Duration
	for i := 1; i < len(o.times); i++ {
		list = append(list, o.times[i].Sub(o.times[i-1]))
	}
	return list
}

func wantWaits(t *testing.T, o *output, want ...time.Duration) {
	t.Helper()
	got := o.waits()
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("waited %v, want %v", got, want)
	}
}

const second = time.Second

// TestBackoff: the limit of the wait doubles from min to max, the wait is a random
// part of it, and success begins anew.
func TestBackoff(t *testing.T) {
	for random, part := range map[float64]time.Duration{0: 4 * second, 0.5: 2 * second, 0.75: second} {
		synctest.Test(t, func(t *testing.T) {
			o := &output{answer: fails(errDown)}
			r := start(t, newSource(events(3)...), o, func(o *relay.Options) {
				o.Retry = relay.Retry{Min: 4 * second, Max: 60 * second}
				o.Rand = func() float64 { return random }
			})
			r.after(5 * time.Minute)
			wantWaits(t, o, part, 2*part, 4*part, 8*part, 15*part, 15*part)
			for _, send := range o.sent() {
				if !slices.Equal(send, upTo(3)) {
					t.Errorf("sent %v, want the whole batch again", send)
				}
			}
			o.set(nil)
			r.after(time.Minute)
			r.wantDelivered(upTo(3)...)
			o.set(fails(errDown))
			n := len(o.sent())
			r.source.add(event(4, "a", "x"))
			r.after(time.Minute)
			if got := o.waits()[n:]; got[0] != part || got[1] != 2*part {
				t.Errorf("after a success it waited %v", got)
			}
			r.end()
		})
	}
}

// TestReceiverAsksForPatience: it gets what it asks for, within reason.
func TestReceiverAsksForPatience(t *testing.T) {
	busy := func(d time.Duration) func(context.Context, []outputs.Message) error {
		return fails(fmt.Errorf("send: %w", &outputs.Wait{Err: errors.New("429"), After: d}))
	}
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: script(
			busy(10*second),   // more than the first wait
			busy(1),           // less than the second
			busy(time.Minute), // more than retry.max
			busy(time.Hour),   // too much
			fails(&outputs.NotReady{Err: &outputs.Wait{Err: errDown, After: time.Hour}}),
			func(context.Context, []outputs.Message) error {
				return &outputs.Partial{Results: []outputs.Result{{}, {Status: outputs.Retry, Err: &outputs.Wait{Err: errDown, After: 7 * second}}}}
			},
		)}
		r := start(t, newSource(events(2)...), o)
		r.after(time.Hour)
		wantWaits(t, o, 10*second, 2*second, time.Minute, 5*time.Minute, 30*second, 7*second)
		r.wantDelivered(1, 2)
		r.end()
	})
}

// TestNotReady: the output is paused with one alarm, tried again at least every
// 30 s whatever retry.max is, and goes on by itself.
func TestNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: fails(fmt.Errorf("send: %w", &outputs.NotReady{Err: errors.New("401: mend the API key")}))}
		r := start(t, newSource(events(2)...), o, func(o *relay.Options) { o.Retry.Max = 10 * time.Minute })
		r.after(4 * time.Minute)
		for _, w := range o.waits() {
			if w > 30*second {
				t.Errorf("waited %v", w)
			}
		}
		r.wantState("paused")
		r.wantLines(1, "level=ERROR")
		r.wantLines(1, "401: mend the API key")
		r.wantCursor(1)
		o.set(nil)
		r.after(30 * second)
		r.wantDelivered(1, 2)
		r.wantState("ok")
		r.wantLines(1, `msg="delivery goes on" `)
		r.end()
	})
}

// limited takes batches of up to n messages.
func limited(n int) func(context.Context, []outputs.Message) error {
	return func(_ context.Context, batch []outputs.Message) error {
		if len(batch) > n {
			return fmt.Errorf("send: %w", outputs.ErrTooLarge)
		}
		return nil
	}
}

// TestTooLarge: halves are sent in order, at once and without an outage.
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(events(10)...), &output{answer: limited(3)})
		r.wantSent(upTo(10), upTo(5), []uint64{1, 2}, []uint64{3, 4, 5}, []uint64{6, 7, 8, 9, 10}, []uint64{6, 7}, []uint64{8, 9, 10})
		r.wantDelivered(upTo(10)...)
		r.wantCursor(11)
		r.wantState("ok")
		r.wantLines(1, "batch.max_bytes")
		r.source.add(events(20)[10:]...)
		synctest.Wait()
		r.wantDelivered(upTo(20)...)
		r.wantLines(1, "batch.max_bytes")
		if n := r.metric("siemrelay_output_retries_total", "too_large"); n != 6 {
			t.Errorf("%v retries were counted, want 6", n)
		}
		r.end()
	})
}

// TestTooLargeThenBroken: a later half never overtakes an earlier one.
func TestTooLargeThenBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newSource(events(4)...), &output{answer: script(fails(outputs.ErrTooLarge), fails(errDown), fails(errDown))})
		r.after(time.Minute)
		r.wantSent(upTo(4), []uint64{1, 2}, []uint64{1, 2}, []uint64{1, 2}, []uint64{3, 4})
		r.wantCursor(5)
		r.end()
	})
}

// TestOneIsTooLarge: it becomes a dead letter, and nothing waits for it.
func TestOneIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raws := events(8)
		raws[5] = event(6, "rec-3", "x") // as number 3
		o := &output{answer: func(_ context.Context, batch []outputs.Message) error {
			if slices.Contains(sequences(batch), 3) {
				return outputs.ErrTooLarge
			}
			return nil
		}}
		r := start(t, newSource(raws...), o)
		r.wantDelivered(1, 2, 4, 5, 6, 7, 8)
		r.wantLetters("3 too_large")
		r.wantSettled(7, 0, 1)
		r.wantCursor(9)
		r.wantState("ok")
		r.end()
	})
}

// outcomes answers message by message: d done, r retry, x refused.
func outcomes(pattern string) func(context.Context, []outputs.Message) error {
	return func(context.Context, []outputs.Message) error {
		p := &outputs.Partial{}
		for _, c := range pattern {
			p.Results = append(p.Results, map[rune]outputs.Result{
				'd': {},
				'r': {Status: outputs.Retry, Err: errors.New("put off")},
				'x': {Status: outputs.Refused, Err: errors.New("will never do")},
				'n': {Status: outputs.Retry, Err: &outputs.NotReady{Err: errors.New("no such topic")}},
				'?': {Status: 9, Err: errors.New("what")},
			}[c])
		}
		return fmt.Errorf("send: %w", p)
	}
}

// TestPartial: what is done is never sent again; what was put off is sent again
// alone, in order, before anything else is read.
func TestPartial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: script(outcomes("drdr"), outcomes("rd"))}
		r := start(t, newSource(events(4)...), o, func(o *relay.Options) { o.Batch.MaxEvents = 4 })
		r.source.add(event(5, "a", "x"))
		r.after(time.Minute)
		r.wantSent(upTo(4), []uint64{2, 4}, []uint64{2}, []uint64{5})
		wantWaits(t, o, second, second, 0) // there was progress each time
		r.wantCursor(6)
		r.end()
	})
}

// TestPartialNotReady: one topic is missing, for example.
func TestPartialNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: script(outcomes("dnr"), outcomes("nn"), outcomes("nn"), outcomes("nn"))}
		r := start(t, newSource(events(3)...), o)
		r.wantState("paused")
		r.after(time.Minute)
		r.wantLines(1, "no such topic")
		r.wantCursor(4)
		r.wantState("ok")
		r.end()
	})
}

// TestMalformed: an answer that makes no sense settles nothing.
func TestMalformed(t *testing.T) {
	for name, answer := range map[string]func(context.Context, []outputs.Message) error{
		"too few results":  outcomes("d"),
		"too many results": outcomes("dddd"),
		"no results":       outcomes(""),
		"unknown status":   outcomes("d?d"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newSource(events(3)...), &output{answer: script(answer)})
				r.after(time.Minute)
				r.wantSent(upTo(3), upTo(3))
				r.wantCursor(4)
				if n := r.metric("siemrelay_output_retries_total", "malformed"); n != 1 {
					t.Errorf("%v retries were counted, want 1", n)
				}
				r.end()
			})
		})
	}
}

// TestPanic: it is an error like any other. Its stack is in the log, once for the
// halving and once for the outage, and the batch in halves is no storm of Sends.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &output{answer: func(context.Context, []outputs.Message) error { panic("nil map") }}
		r := start(t, newSource(events(3)...), o)
		r.wantSent(upTo(3), []uint64{1}, []uint64{2, 3}, []uint64{2}, []uint64{3})
		r.after(3 * time.Minute)
		r.wantCursor(1)
		r.wantLines(1, `msg="delivery is held up"`)
		r.wantLines(2, "panic: nil map")
		r.wantLines(2, "outcome_test.go") // the stack
		for _, send := range o.sent()[5:] {
			if len(send) != 1 {
				t.Errorf("sent %v, though it had panicked", send)
			}
		}
		o.set(nil)
		r.after(20 * second)
		r.wantDelivered(upTo(3)...)
		r.wantLetters()
		r.wantCursor(4)
		r.end()
	})
}

// TestErrorsThatPanic: a nil pointer for an error is the output's mistake, and no
// reason for the process to end.
func TestErrorsThatPanic(t *testing.T) {
	var partial *outputs.Partial
	var wait *outputs.Wait
	var notReady *outputs.NotReady
	for name, err := range map[string]error{
		"Partial":         partial,
		"Wait":            wait,
		"NotReady":        notReady,
		"wrapped Partial": &outputs.NotReady{Err: partial},
		"empty Wait":      &outputs.Wait{},
		"in a result":     &outputs.Partial{Results: []outputs.Result{{Status: outputs.Retry, Err: wait}}},
		"no error at all": &outputs.Partial{Results: []outputs.Result{{Status: outputs.Retry}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newSource(events(1)...), &output{answer: script(fails(err))})
				r.after(time.Minute)
				r.wantDelivered(1)
				r.wantCursor(2)
				r.end()
			})
		})
	}
}
