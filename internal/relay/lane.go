package relay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// Source is where the events of a lane come from: the spool as one output sees it,
// a replay of a part of it, or dead letters that are to be sent again. One
// goroutine, that of Run, uses all sources of a relay.
type Source interface {
	// Next returns the next event; ok is false if there is none yet. It does not
	// wait. raw is valid until the next call. After an error the call may be repeated.
	Next() (raw normalize.Raw, ok bool, err error)
	// Ready returns a channel that is closed once Next should be called, which may be
	// already: it has an event, or something of its own to do.
	Ready() <-chan struct{}
	// Commit makes durable what became of the events that Next returned since the
	// last Commit. After an error the call may be repeated, with the same argument.
	Commit(s Settled) error
}

// Settled says what became of the events that a Source returned since its last
// Commit: each of them is counted once.
type Settled struct {
	// Next is the sequence behind the last of them.
	Next uint64
	// Delivered are safe with the receiver, Filtered are not for this output, Dead
	// are kept by Letters. Sent are what would be Delivered, of an output that confirms
	// nothing: of the two only one counts.
	Delivered, Sent, Filtered, Dead uint64
	// Sequences are those of the events that were delivered or sent, rising, if the
	// lane wants them. They are valid during the call.
	Sequences []uint64
}

// Lane is one of the ways on which events come to the output.
type Lane struct {
	Source Source
	// Pass numbers the entry of the event that Next returned last: with output and
	// sequence it is a dead letter's key. Nil is always 0, the event's first entry.
	Pass func() uint64
	// WantSequences asks for Settled.Sequences.
	WantSequences bool
	// Overwrite tells whether the event that Next returned last is to replace what the
	// receiver has of it, Message.Overwrite. Nil is never.
	Overwrite func() bool
}

// maxLanes is how many lanes a relay can have.
const maxLanes = 3

// lane is a Lane with what the relay knows about it.
type lane struct {
	Lane
	// raw is an event that was read and is in no batch yet, if held is set; pass is
	// the number of its entry.
	raw  normalize.Raw
	pass uint64
	held bool
	// unconfirmed: the output calls done what it has only handed over.
	unconfirmed bool
	// failed is set while the source can't be read.
	failed bool
	// settled is what became of the events in hand, if open is set: if there are some.
	settled Settled
	open    bool
}

// passed notes that the event that is held is in the batch, or needs no place there.
func (l *lane) passed() {
	l.held = false
	l.open = true
	l.settled.Next = l.raw.Sequence + 1
}

// done counts an event that the output called done.
func (l *lane) done(sequence uint64) {
	if l.unconfirmed {
		l.settled.Sent++
	} else {
		l.settled.Delivered++
	}
	if l.WantSequences {
		l.settled.Sequences = append(l.settled.Sequences, sequence)
	}
}

// committed begins the next account.
func (l *lane) committed() {
	l.open = false
	l.settled = Settled{Sequences: l.settled.Sequences[:0]}
}

// choose waits until a lane has an event and returns the lane, or nil if ctx ended
// before.
func (r *Relay) choose(ctx context.Context) *lane {
	for ctx.Err() == nil {
		l, err := r.peek(r.turns())
		switch {
		case err == nil:
			r.settled()
		case l != nil:
			r.trouble.note(reasonRead, reasonRead.text(), err)
		}
		if l != nil {
			r.turn(l)
			return l
		}
		r.idle(ctx, err)
	}
	return nil
}

// turns lists the lanes in the order of their claims. The first lane has the live
// events and goes first, but after a batch of it the others are asked, in turn.
func (r *Relay) turns() (list [maxLanes]*lane) {
	first, others := r.lanes[0], r.lanes[1:]
	n := 0
	if r.last != first {
		list[n] = first
		n++
	}
	for i := range others {
		list[n] = others[(r.other+i)%len(others)]
		n++
	}
	if r.last == first {
		list[n] = first
	}
	return list
}

// turn notes that l has the next batch.
func (r *Relay) turn(l *lane) {
	r.last = l
	for i, other := range r.lanes[1:] {
		if other == l {
			r.other = i + 1
		}
	}
}

// peek returns the first of the lanes that has an event, nil if none has, and an
// error if one of those before it can't be read.
func (r *Relay) peek(lanes [maxLanes]*lane) (found *lane, failed error) {
	for _, l := range lanes {
		if l == nil {
			break
		}
		if !l.held {
			if err := l.read(); err != nil {
				failed = err
				continue
			}
		}
		if l.held {
			return l, failed
		}
	}
	return nil, failed
}

// read holds the next event of the source, if there is one.
func (l *lane) read() (err error) {
	l.failed = true
	defer caught("read events", &err)
	raw, ok, err := l.Source.Next()
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if ok && l.Pass != nil {
		l.pass = l.Pass()
	}
	l.raw, l.held, l.failed = raw, ok, false
	return nil
}

// idle waits until a lane may have an event or, if a lane can't be read because of
// err, until it is time to try again; or until ctx ends.
func (r *Relay) idle(ctx context.Context, err error) {
	var again <-chan time.Time
	if err != nil {
		r.trouble.failed(reasonRead, err)
		timer := time.NewTimer(r.backoff.next(reasonRead, outputs.RetryAfter(err)))
		defer timer.Stop()
		again = timer.C
	}
	ready := r.ready(nil)
	select {
	case <-ready[0]:
	case <-ready[1]:
	case <-ready[2]:
	case <-again:
	case <-ctx.Done():
	}
}

// ready returns the channels of all lanes that can be read, but for one.
func (r *Relay) ready(but *lane) (channels [maxLanes]<-chan struct{}) {
	for i, l := range r.lanes {
		if l != but && !l.failed {
			channels[i] = l.Source.Ready()
		}
	}
	return channels
}

// more waits until l may have another event. It reports false when the batch is
// complete: at the given time, when another lane has something to do, or when ctx ends.
func (r *Relay) more(ctx context.Context, l *lane, complete time.Time) bool {
	left := time.Until(complete)
	if left <= 0 || l.failed {
		return false
	}
	for _, other := range r.lanes {
		if other != l && other.held {
			return false
		}
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	others := r.ready(l)
	select {
	case <-l.Source.Ready():
		return true
	case <-others[0]:
	case <-others[1]:
	case <-others[2]:
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// commit makes durable what became of the events in hand, lane by lane. It reports
// false if that was not possible before ctx ended.
func (r *Relay) commit(ctx context.Context) bool {
	for _, l := range r.lanes {
		for l.open {
			slices.Sort(l.settled.Sequences)
			err := l.save()
			if err == nil {
				l.committed()
				r.settled()
			} else if !r.wait(ctx, reasonCommit, err) {
				return false
			}
		}
	}
	if len(r.batch.msgs) > 0 {
		r.meters.batches.Inc()
	}
	return true
}

func (l *lane) save() (err error) {
	defer caught("save the cursor", &err)
	if err := l.Source.Commit(l.settled); err != nil {
		return fmt.Errorf("save the cursor: %w", err)
	}
	return nil
}
