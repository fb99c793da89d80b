package relay

import (
	"context"
	"time"
)

// A poison event is one that the receiver, or the output, fails on again and again
// and yet never refuses. These are the limits of what counts as again and again.
const (
	poisonTries = 10
	poisonTime  = 10 * time.Minute
)

// blame is what speaks against a message: failures for a reason of its own, while
// the receiver neither throttled nor was away. They prove nothing as long as all
// others fail as well: then the receiver is at fault.
type blame struct {
	fails int
	// since is when the first such Send was, and done how many messages the output
	// had called safe before it.
	since time.Time
	done  uint64
}

// suspect notes a failed Send that the message had a part in; done is how many
// messages the output had called safe before.
func (b *blame) suspect(done uint64) {
	if b.since.IsZero() {
		b.since, b.done = time.Now(), done
	}
}

// again notes that the message failed for a reason of its own.
func (b *blame) again(done uint64) {
	b.suspect(done)
	b.fails++
}

// due tells whether the message failed for so long that it is poison or the receiver
// is broken.
func (b *blame) due() bool { return b.fails >= poisonTries && time.Since(b.since) >= poisonTime }

// poison tells whether a message that failed once more is poison. The proof is that
// others were called safe between its first failure and this one: a receiver that is
// mended at this moment proves nothing.
func (b *blame) poison(done uint64) bool { return b.due() && done > b.done }

// settlePanic acts on a panic in Send, as on a batch that is too large: what panics
// is found by halving, and is then alone to blame.
func (r *Relay) settlePanic(p part, err error) (why reason, now bool) {
	for _, at := range p.at {
		r.batch.entries[at].blame.suspect(r.done)
	}
	if len(p.msgs) > 1 {
		r.delivery.halve(p)
		return reasonPanic, true
	}
	e := &r.batch.entries[p.at[0]]
	e.blame.again(r.done)
	if e.blame.poison(r.done) {
		r.refuse(&p.msgs[0], p.at[0], Poison, err)
	} else {
		r.delivery.park(p, reasonPanic, err)
	}
	return "", false
}

// retryDue tries what is parked again, without waiting for the end of the round, if
// something of it is due: others succeeded just now, so it fails for the last time.
func (r *Relay) retryDue() {
	if r.due() {
		r.delivery.unpark()
	}
}

// probe finds out who is at fault when everything in hand has failed, and something
// of it for so long that it is poison or the receiver is broken: it reads further
// events, of any lane, to see whether they succeed. What it adds to the batch in hand
// is at most another one, or minBeyond events and minRaws bytes if that is more. It
// reports whether there is something new to do.
func (r *Relay) probe(ctx context.Context) bool {
	b := &r.batch
	if !r.due() {
		return false
	}
	for ctx.Err() == nil && !b.beyond.full(b) {
		var lanes [maxLanes]*lane
		copy(lanes[:], r.lanes)
		l, _ := r.peek(lanes)
		if l == nil {
			return false
		}
		n := len(b.msgs)
		if r.fill(ctx, l, 0, b.beyond, b.room(r.o.Batch)) == 0 {
			return false
		}
		r.delivery.push(b.from(n))
		if len(b.msgs) > n || len(r.letters) > 0 {
			return true
		}
	}
	return false
}

// due tells whether anything that is parked would be poison, were there a proof.
func (r *Relay) due() bool {
	for _, p := range r.delivery.parked {
		for _, at := range p.at {
			if r.batch.entries[at].blame.due() {
				return true
			}
		}
	}
	return false
}
