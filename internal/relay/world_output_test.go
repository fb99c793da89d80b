package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/outputs"
)

func (w *world) Close() error { return nil }

// Unconfirmed is what the output of this process says of itself: the one of the next
// may be another.
func (w *world) Unconfirmed() bool { return w.plan.unconfirmed[(w.process-1)%len(w.plan.unconfirmed)] }

// Send does what the plan says.
func (w *world) Send(_ context.Context, batch []outputs.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return err
	}
	w.judge(batch)
	w.sends++
	outcome := "ok"
	if w.sends <= len(w.plan.outcomes) {
		outcome = w.plan.outcomes[w.sends-1]
	}
	switch outcome {
	case "down":
		return errDown
	case "too large":
		if len(batch) == 1 {
			w.dying[batch[0].Sequence] = relay.TooLarge
		}
		return outputs.ErrTooLarge
	case "not ready":
		return &outputs.NotReady{Err: errors.New("401")}
	case "wait":
		return &outputs.Wait{Err: errors.New("429"), After: time.Minute}
	case "malformed":
		return &outputs.Partial{Results: make([]outputs.Result, len(batch)+1)}
	case "slow":
		w.mu.Unlock()
		pause(time.Second)
		w.mu.Lock()
	}
	if outcome == "panic" || slices.ContainsFunc(batch, func(m outputs.Message) bool { return w.is(m, explosive) }) {
		for _, m := range batch {
			w.blame(m, w.total, len(batch) == 1)
		}
		panic("nil map")
	}
	return w.receive(batch, outcome == "partial")
}

func (w *world) is(m outputs.Message, nature string) bool {
	_, e := w.of(m.Sequence)
	return e.nature == nature
}

// blame notes a failure that a message had a part in, or that was its own.
func (w *world) blame(m outputs.Message, total int, own bool) {
	b := w.blames[m.Sequence]
	if b == nil {
		b = &worldBlame{since: time.Now(), total: total}
		w.blames[m.Sequence] = b
	}
	if own {
		b.fails++
		b.last = total
	}
}

// judge checks what may be sent at all.
func (w *world) judge(batch []outputs.Message) {
	if len(batch) == 0 || len(batch) > w.plan.batch.MaxEvents {
		w.fail("a batch of %d messages was sent", len(batch))
		return
	}
	if len(w.dying) > 0 {
		w.fail("a batch was sent before the dead letters %v were stored", w.dying)
	}
	size := 0
	for i, m := range batch {
		size += len(m.Body)
		l, e := w.of(m.Sequence)
		if m.Sequence < l.cursor || i > 0 && m.Sequence <= batch[i-1].Sequence {
			w.fail("event %d was sent out of turn", m.Sequence)
			return
		}
		if want := fmt.Sprintf("%d threat/17/rec-%d event", m.Sequence, e.record); string(m.Body) != want {
			w.fail("event %d was sent as %q, want %q", m.Sequence, m.Body, want)
		}
		if w.done[m.Sequence] || l.letters[m.Sequence] {
			w.fail("event %d was sent again, though it was settled", m.Sequence)
		}
	}
	if size > w.plan.batch.MaxBytes && len(batch) > 1 {
		w.fail("a batch has %d bytes, more than %d", size, w.plan.batch.MaxBytes)
	}
}

// receive delivers what can be delivered and, if partial, not all of that, by the
// rule for outputs that keep order.
func (w *world) receive(batch []outputs.Message, partial bool) error {
	before, whole := w.total, true
	results := make([]outputs.Result, len(batch))
	held := map[string]bool{}
	for i, m := range batch {
		coin := 0
		if w.coin++; partial {
			coin = w.plan.coins[w.coin%len(w.plan.coins)]
		}
		switch {
		case held[m.Key]:
			results[i] = outputs.Result{Status: outputs.Retry, Err: errors.New("an earlier one waits")}
		case coin == 3 || w.is(m, poisonous):
			results[i] = outputs.Result{Status: outputs.Retry, Err: errors.New("odd")}
			held[m.Key] = true
			w.blame(m, before, true)
		case coin == 2:
			results[i] = outputs.Result{Status: outputs.Refused, Err: errors.New("will never do")}
			w.dying[m.Sequence] = relay.Refused
		case coin == 1:
			results[i] = outputs.Result{Status: outputs.Retry, Err: &outputs.Transient{Err: errors.New("put off")}}
			held[m.Key] = true
		default:
			w.deliver(m)
			continue
		}
		whole = false
	}
	if err := w.step(); err != nil { // a crash after the effect
		return err
	}
	if whole {
		return nil
	}
	return &outputs.Partial{Results: results}
}

// deliver notes that the receiver has m, and checks the order of first copies.
func (w *world) deliver(m outputs.Message) {
	l, e := w.of(m.Sequence)
	inHand := 0
	for q := l.sequence(0); q < l.sequence(l.at); q++ {
		_, other := w.of(q)
		if q < m.Sequence && other.record == e.record && other.nature != elsewhere &&
			!w.delivered[q] && !w.buried[q] && !w.spared[q] && w.dying[q] == "" {
			w.fail("event %d was delivered before %d of the same record", m.Sequence, q)
		}
		if w.done[q] && q >= l.cursor {
			inHand++
		}
	}
	w.delivered[m.Sequence], w.done[m.Sequence] = true, true
	w.total++
	most := w.plan.batch.MaxEvents
	for _, b := range w.blames {
		if b.fails >= 10 { // the relay may have read on
			most = w.plan.batch.MaxEvents + max(w.plan.batch.MaxEvents, 100)
		}
	}
	if inHand >= most {
		w.fail("%d events are delivered and not committed: more than a batch", inHand+1)
	}
}
