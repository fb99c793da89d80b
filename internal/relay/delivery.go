package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// delivery is what is left to do of the batch in hand.
//
// The messages lie in parts on a stack, the earliest on top, and what must be sent
// again goes back there. So no message is sent before the earlier ones of its
// record are settled. When a message is refused, what is left of its record waits
// with it for the next round.
type delivery struct {
	todo [][]outputs.Message
	// stuck are the messages that were refused in this round, and those that wait
	// with them; stuckKeys are their records.
	stuck     []outputs.Message
	stuckKeys map[string]bool
	refused   int   // how many of stuck were refused themselves
	why       error // why the first of them was
	// spare was the stuck of the round before; its array holds this round's parts.
	spare []outputs.Message
}

func (d *delivery) begin(msgs []outputs.Message) {
	d.todo = append(d.todo[:0], msgs)
	d.clearRound()
	if d.stuckKeys == nil {
		d.stuckKeys = map[string]bool{}
	}
}

// again begins the next round with what was stuck in the last, in order.
func (d *delivery) again() {
	slices.SortFunc(d.stuck, func(a, b outputs.Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
	d.todo = append(d.todo[:0], d.stuck)
	d.stuck, d.spare = d.spare, d.stuck
	d.clearRound()
}

func (d *delivery) clearRound() {
	d.stuck, d.refused, d.why = d.stuck[:0], 0, nil
	clear(d.stuckKeys)
}

// next takes the next part from the stack. It is empty when nothing, or nothing
// but stuck messages, is left.
func (d *delivery) next() []outputs.Message {
	for len(d.todo) > 0 {
		part := d.todo[len(d.todo)-1]
		d.todo = d.todo[:len(d.todo)-1]
		if len(d.stuckKeys) > 0 {
			part = d.holdBack(part)
		}
		if len(part) > 0 {
			return part
		}
	}
	return nil
}

// holdBack moves the messages that must wait with a refused one out of part.
func (d *delivery) holdBack(part []outputs.Message) []outputs.Message {
	free := part[:0]
	for _, m := range part {
		if d.stuckKeys[m.Key] {
			d.stuck = append(d.stuck, m)
		} else {
			free = append(free, m)
		}
	}
	return free
}

func (d *delivery) push(part []outputs.Message) {
	if len(part) > 0 {
		d.todo = append(d.todo, part)
	}
}

func (d *delivery) refuse(m outputs.Message, why error) {
	d.stuck = append(d.stuck, m)
	d.stuckKeys[m.Key] = true
	d.refused++
	if why == nil {
		why = errors.New("no reason is given")
	}
	if d.why == nil {
		d.why = fmt.Errorf("event %s, number %d in the spool: %w", m.ID, m.Sequence, why)
	}
}

// settle acts on the outcome of sending part. It returns how many messages are
// done, and, if there is something to send again, why.
func (d *delivery) settle(part []outputs.Message, err error) (done int, why reason) {
	var p *outputs.Partial
	var notReady *outputs.NotReady
	var panicked *panicError
	switch {
	case err == nil:
		return len(part), ""
	case errors.As(err, &p):
		return d.settleEach(part, p)
	case errors.Is(err, outputs.ErrTooLarge) && len(part) == 1:
		d.refuse(part[0], fmt.Errorf("alone: %w", err))
		return 0, ""
	case errors.Is(err, outputs.ErrTooLarge):
		half := len(part) / 2
		d.push(part[half:])
		d.push(part[:half])
		return 0, reasonTooLarge
	case errors.As(err, &notReady):
		why = reasonNotReady
	case errors.As(err, &panicked):
		why = reasonPanic
	default:
		why = reasonUnavailable
	}
	d.push(part)
	return 0, why
}

// settleEach is settle for a batch whose messages have outcomes of their own.
func (d *delivery) settleEach(part []outputs.Message, p *outputs.Partial) (done int, why reason) {
	if !wellFormed(p, len(part)) {
		d.push(part)
		return 0, reasonMalformed
	}
	again := part[:0]
	for i, m := range part {
		r := p.Results[i]
		switch {
		case r.Status == outputs.Done:
			done++
		case d.stuckKeys[m.Key]:
			d.stuck = append(d.stuck, m)
		case r.Status == outputs.Refused:
			d.refuse(m, r.Err)
		default:
			again = append(again, m)
			var notReady *outputs.NotReady
			if errors.As(r.Err, &notReady) {
				why = reasonNotReady
			} else if why == "" {
				why = reasonPartial
			}
		}
	}
	d.push(again)
	return done, why
}

func wellFormed(p *outputs.Partial, n int) bool {
	if len(p.Results) != n {
		return false
	}
	for _, r := range p.Results {
		if r.Status > outputs.Refused {
			return false
		}
	}
	return true
}

// deliver sends the batch until every message is done. It reports false if that
// was not possible: ctx ended, and with it all waiting, or the time of grace did.
func (r *Relay) deliver(ctx, grace context.Context) bool {
	d := &r.delivery
	d.begin(r.batch.msgs)
	for {
		part := d.next()
		if len(part) == 0 {
			if len(d.stuck) == 0 {
				break
			}
			if !r.wait(ctx, reasonRefused, fmt.Errorf("%d events are refused, the first: %w", d.refused, d.why)) {
				return false
			}
			d.again()
			continue
		}
		err := r.send(grace, part)
		done, why := d.settle(part, err)
		if done > 0 {
			r.meters.done(done)
			r.backoff.reset()
		}
		switch {
		case grace.Err() != nil && err != nil:
			return false
		case why == reasonTooLarge:
			r.meters.retries[why].Inc()
			r.trouble.note(why, why.text(), err)
		case why != "" && !r.wait(ctx, why, err):
			return false
		}
	}
	r.settled()
	r.meters.events.Observe(float64(len(r.batch.msgs)))
	r.meters.bytes.Observe(float64(len(r.batch.bodies)))
	return true
}

func (r *Relay) send(ctx context.Context, part []outputs.Message) (err error) {
	defer caught("send", &err)
	defer r.meters.sent(time.Now())
	err = r.o.Output.Send(ctx, part)
	if err != nil {
		// Everything that reads the error later relies on having been done once here:
		// a nil pointer in it panics now, and is then an error like any other.
		_, _ = err.Error(), outputs.RetryAfter(err)
	}
	return err
}
