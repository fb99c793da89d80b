package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// batch is the events in hand. The bodies lie in one buffer, which the next batch
// uses again; the texts of all messages are one string.
type batch struct {
	msgs   []outputs.Message
	bodies []byte
	texts  []byte
}

// keepTexts is how many bytes of texts are kept between batches.
const keepTexts = 1 << 20

// reset empties the batch, and gives back a buffer that is beyond keepBodies or keepTexts.
func (b *batch) reset(keepBodies int) {
	if cap(b.bodies) > keepBodies {
		b.bodies = nil
	}
	if cap(b.texts) > keepTexts {
		b.texts = nil
	}
	b.msgs, b.bodies, b.texts = b.msgs[:0], b.bodies[:0], b.texts[:0]
}

// next is the sequence that follows the batch.
func (b *batch) next() uint64 { return b.msgs[len(b.msgs)-1].Sequence + 1 }

// texts lists the fields of a message that may alias the event it was made of.
func texts(m *outputs.Message) [7]*string {
	return [...]*string{&m.ID, &m.Key, &m.Kind, &m.Company, &m.Dataset, &m.EventKind, &m.Trigger}
}

// add adds the event whose body was appended to b.bodies from the offset start on.
// Until seal only the lengths of the message's texts count.
func (b *batch) add(e *normalize.Event, namespace string, start int) {
	b.msgs = append(b.msgs, outputs.Message{
		ID: e.ID, Key: e.Key, Kind: e.Kind, Company: e.Company, Namespace: namespace,
		Dataset: e.Dataset, EventKind: e.EventKind, Trigger: e.Trigger,
		Accepted: e.Accepted, Sequence: e.Sequence, SyslogSeverity: e.SyslogSeverity,
		Body: b.bodies[start:len(b.bodies):len(b.bodies)],
	})
	for _, s := range texts(&b.msgs[len(b.msgs)-1]) {
		b.texts = append(b.texts, *s...)
	}
}

// seal gives every message its own texts, once there are no more.
func (b *batch) seal() {
	text := string(b.texts)
	for i := range b.msgs {
		for _, s := range texts(&b.msgs[i]) {
			*s, text = text[:len(*s)], text[len(*s):]
		}
	}
}

// gather fills the batch. It waits for the first event without an end, and for
// others until Batch.MaxWait after the first. It reports false if ctx ended before
// there was one.
func (r *Relay) gather(ctx context.Context) bool {
	b := &r.batch
	b.reset(2 * r.o.Batch.MaxBytes)
	var complete time.Time
	for ctx.Err() == nil && len(b.msgs) < r.o.Batch.MaxEvents {
		got, err := r.take()
		if err != nil && len(b.msgs) > 0 || got == noRoom {
			break
		}
		if err != nil {
			why := reasonRead
			if r.held {
				why = reasonEncode
			}
			if !r.wait(ctx, why, err) {
				return false
			}
			continue
		}
		r.settled()
		if got == taken && len(b.msgs) == 1 {
			complete = time.Now().Add(r.o.Batch.MaxWait)
		}
		if got == nothing && !r.more(ctx, complete) {
			break
		}
	}
	b.seal()
	return len(b.msgs) > 0
}

// more waits until there may be another event. It reports false when the batch, if
// it has an event, is complete, or when ctx ends.
func (r *Relay) more(ctx context.Context, complete time.Time) bool {
	var timeout <-chan time.Time
	if len(r.batch.msgs) > 0 {
		left := time.Until(complete)
		if left <= 0 {
			return false
		}
		timer := time.NewTimer(left)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-r.o.Source.Ready():
		return true
	case <-timeout:
		return false
	case <-ctx.Done():
		return false
	}
}

// got is what take came to.
type got int

const (
	taken   got = iota
	nothing     // the source has no event now
	noRoom      // the next event does not fit into this batch
)

// take moves one event from the source into the batch. An event that could not be
// moved, for lack of room or because of an error, is held for the next call.
func (r *Relay) take() (got, error) {
	if !r.held {
		if err := r.read(); err != nil || !r.held {
			return nothing, err
		}
	}
	b := &r.batch
	start := len(b.bodies)
	if err := r.encode(r.o.Mapping); err != nil {
		r.trouble.note(reasonEncode, "event can't be written in full; it is sent in its minimal form", fmt.Errorf("event %s: %w", r.raw.ID, err))
		if err := r.encode(nil); err != nil {
			return nothing, fmt.Errorf("event %s: %w", r.raw.ID, err)
		}
	}
	if len(b.msgs) > 0 && len(b.bodies) > r.o.Batch.MaxBytes {
		b.bodies = b.bodies[:start]
		return noRoom, nil
	}
	b.add(&r.event, r.o.Namespace, start)
	r.held = false
	return taken, nil
}

// read holds the next event of the source, if there is one.
func (r *Relay) read() (err error) {
	defer caught("read the spool", &err)
	r.raw, r.held, err = r.o.Source.Next()
	if err != nil {
		r.held = false
		return fmt.Errorf("read the spool: %w", err)
	}
	return nil
}

// encode appends the event that is held to the batch's bodies. Neither step should
// ever panic; if one does, that event alone must not hold up the others. Without a
// mapping the event is normalize's minimal one, which carries the body and no more.
func (r *Relay) encode(m *normalize.Mapping) (err error) {
	defer caught("encode", &err)
	m.Event(&r.event, r.raw)
	r.batch.bodies = r.o.Encode(r.batch.bodies, &r.event)
	return nil
}
