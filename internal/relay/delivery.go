package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// deliver sends the batch until every message is delivered or a dead letter. It
// reports false if that was not possible: ctx ended, and with it all waiting, or the
// time of grace did.
func (r *Relay) deliver(ctx, grace context.Context) bool {
	d := &r.delivery
	d.begin(r.batch.from(0))
	for r.bury(ctx) {
		p := d.next()
		if p.empty() && len(d.parked) == 0 {
			r.delivered()
			return true
		}
		if p.empty() && r.probe(ctx) {
			continue
		}
		if p.empty() {
			if !r.wait(ctx, d.why, d.err) {
				return false
			}
			d.unpark()
			continue
		}
		if !r.try(ctx, grace, p) {
			return false
		}
	}
	return false
}

// delivered notes that the batch is settled.
func (r *Relay) delivered() {
	r.settled()
	if n := len(r.batch.msgs); n > 0 {
		r.meters.size.Observe(float64(n))
		r.meters.bytes.Observe(float64(r.batch.bodies.size))
	}
}

// try sends a part, acts on the outcome, and waits if that is called for.
func (r *Relay) try(ctx, grace context.Context, p part) bool {
	began := r.done
	r.count(p)
	err := r.send(grace, p.msgs)
	why, now := r.settle(p, err)
	if r.done > began {
		r.meters.done(int(r.done - began))
		r.trouble.success()
		r.backoff.reset()
		r.retryDue()
	}
	switch {
	case grace.Err() != nil && err != nil:
		return false
	case why == "":
		return true
	case now:
		r.meters.retries[why].Inc()
		r.trouble.note(why, why.text(), err)
		return true
	}
	return r.bury(ctx) && r.wait(ctx, why, err)
}

// count notes a try of each message.
func (r *Relay) count(p part) {
	now := time.Now()
	for _, at := range p.at {
		e := &r.batch.entries[at]
		if e.tries++; e.tries == 1 {
			e.sent = now
		}
	}
}

func (r *Relay) send(ctx context.Context, msgs []outputs.Message) (err error) {
	defer caught("send", &err)
	defer r.meters.sent(time.Now())
	err = r.o.Output.Send(ctx, msgs)
	if err != nil {
		// Everything that reads the error later relies on having been done once here:
		// a nil pointer in it panics now, and is then an error like any other.
		_, _ = err.Error(), outputs.RetryAfter(err)
		var p *outputs.Partial
		if errors.As(err, &p) {
			for _, result := range p.Results {
				outputs.IsTransient(result.Err)
			}
		}
	}
	return err
}

// settle acts on the outcome of sending p. If something of it is to be sent again
// in this round, why says why, and now whether that is at once.
func (r *Relay) settle(p part, err error) (why reason, now bool) {
	var partial *outputs.Partial
	var notReady *outputs.NotReady
	var panicked *panicError
	d := &r.delivery
	switch {
	case err == nil:
		for i, at := range p.at {
			r.safe(at, p.msgs[i].Sequence)
		}
		return "", false
	case errors.As(err, &partial):
		return r.settleEach(p, partial), false
	case errors.Is(err, outputs.ErrTooLarge) && len(p.msgs) == 1:
		r.refuse(&p.msgs[0], p.at[0], TooLarge, fmt.Errorf("alone: %w", err))
		return "", false
	case errors.Is(err, outputs.ErrTooLarge):
		d.halve(p)
		return reasonTooLarge, true
	case errors.As(err, &notReady):
		why = reasonNotReady
	case errors.As(err, &panicked):
		return r.settlePanic(p, err)
	default:
		why = reasonUnavailable
	}
	d.push(p)
	return why, false
}

// safe notes that a message is done.
func (r *Relay) safe(at int, sequence uint64) {
	r.done++
	r.batch.entries[at].lane.done(sequence)
}

// settleEach is settle for a part whose messages have outcomes of their own.
func (r *Relay) settleEach(p part, outcome *outputs.Partial) reason {
	d := &r.delivery
	if !wellFormed(outcome, len(p.msgs)) {
		d.push(p)
		return reasonMalformed
	}
	began := r.done
	again := p.none()
	tried := map[string]bool{} // the records of again: an output that keeps order tries only their first
	var why reason             // why the receiver is to blame for some of them
	free := false              // what is behind poison in its record is not to wait
	for i, m := range p.msgs {
		at, result := p.at[i], outcome.Results[i]
		e := &r.batch.entries[at]
		switch result.Status {
		case outputs.Done:
			r.safe(at, m.Sequence)
			continue
		case outputs.Refused:
			r.refuse(&m, at, Refused, result.Err)
			continue
		}
		var notReady *outputs.NotReady
		switch {
		case errors.As(result.Err, &notReady):
			why = reasonNotReady
		case tried[m.Key]:
		case !outputs.IsTransient(result.Err):
			e.blame.again(began)
			if e.blame.poison(began) {
				r.refuse(&m, at, Poison, result.Err)
				tried[m.Key], free = true, true
				continue
			}
		case why == "":
			why = reasonPartial
		}
		tried[m.Key] = true
		again.add(m, at)
	}
	if why == "" && !free {
		d.park(again, reasonPartial, outcome)
		return ""
	}
	d.push(again)
	return why
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
