package relay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// batch is the events in hand. The memory of encoded and raw bodies and states is used
// again by the next one; the texts of all messages are one string.
type batch struct {
	msgs    []outputs.Message
	entries []entry // by the index that a message had when it was added
	at      []int   // those indexes
	bodies  arena
	raws    arena
	states  arena
	texts   []byte
	beyond  room // how far the batch may grow after it was gathered, see probe
}

// entry is what the relay knows about a message.
type entry struct {
	lane  *lane
	pass  uint64
	raw   []byte // the body as it was accepted
	retry bool   // it may be a repeat of an earlier delivery

	tries int       // how often it was sent
	sent  time.Time // when first
	blame blame
}

const (
	// keepTexts is how many bytes of texts are kept between batches.
	keepTexts = 1 << 20
	// minRaws is the least that the limit of the raw bodies is: it is there for
	// formats that leave most of a body out, and is not to make small batches.
	minRaws = 8 << 20
	// minBeyond is the least number of events that the batch may grow by after it was
	// gathered; for their bytes minRaws is.
	minBeyond = 100
)

// reset empties the batch, and gives back memory beyond what a batch needs.
func (b *batch) reset(limit Batch) {
	b.bodies.reset(limit.MaxBytes)
	b.raws.reset(limit.maxRaws())
	b.states.reset(limit.MaxBytes)
	if cap(b.texts) > keepTexts {
		b.texts = nil
	}
	if cap(b.msgs) > 2*limit.MaxEvents {
		b.msgs, b.entries, b.at = nil, nil, nil
	}
	b.msgs, b.entries, b.at, b.texts = b.msgs[:0], b.entries[:0], b.at[:0], b.texts[:0]
}

func (b Batch) maxRaws() int { return max(b.MaxBytes, minRaws) }

// from returns the messages from the index n on.
func (b *batch) from(n int) part { return part{b.msgs[n:], b.at[n:]} }

// texts lists the fields of a message that may alias the event it was made of.
func texts(m *outputs.Message) [7]*string {
	return [...]*string{&m.ID, &m.Key, &m.Kind, &m.Company, &m.Dataset, &m.EventKind, &m.Trigger}
}

// add adds an event, whose encoded body is in the batch. Until seal only the lengths of
// the message's texts count.
func (b *batch) add(l *lane, e *normalize.Event, m outputs.Message) {
	m.ID, m.Key, m.Kind, m.Company = e.ID, e.Key, e.Kind, e.Company
	m.Dataset, m.EventKind, m.Trigger = e.Dataset, e.EventKind, e.Trigger
	m.Accepted, m.Sequence, m.SyslogSeverity = e.Accepted, e.Sequence, e.SyslogSeverity
	for _, s := range texts(&m) {
		b.texts = append(b.texts, *s...)
	}
	b.at = append(b.at, len(b.msgs))
	b.msgs = append(b.msgs, m)
	b.entries = append(b.entries, entry{
		lane: l, pass: l.pass, raw: b.raws.copy(l.raw.Body),
		retry: slices.Contains(l.raw.Tags, normalize.TagPossibleRetry),
	})
}

// seal gives every message from the index n on its own texts, once there are no more.
func (b *batch) seal(n int) {
	text := string(b.texts)
	b.texts = b.texts[:0]
	for i := n; i < len(b.msgs); i++ {
		for _, s := range texts(&b.msgs[i]) {
			*s, text = text[:len(*s)], text[len(*s):]
		}
	}
}

// room is how far the batch may grow: to how many messages, bytes of encoded bodies,
// and bytes of raw bodies. The message with the index start has room in any case.
type room struct{ start, msgs, bodies, raws int }

// room is the room for a batch more.
func (b *batch) room(limit Batch) room {
	return room{
		start: len(b.msgs), msgs: len(b.msgs) + limit.MaxEvents,
		bodies: b.bodies.size + limit.MaxBytes, raws: b.raws.size + limit.maxRaws(),
	}
}

func (r room) full(b *batch) bool { return len(b.msgs) >= r.msgs }

// fits tells whether an encoded and a raw body of the given lengths have room.
func (r room) fits(b *batch, body, raw int) bool {
	return len(b.msgs) <= r.start || b.bodies.size+body <= r.bodies && b.raws.size+raw <= r.raws
}

// gather begins a batch. It waits for the first event without an end, and for
// others until Batch.MaxWait after the first. It reports false if ctx ended before
// there was one.
func (r *Relay) gather(ctx context.Context) bool {
	b, limit := &r.batch, r.o.Batch
	b.reset(limit)
	l := r.choose(ctx)
	if l == nil {
		return false
	}
	n := r.fill(ctx, l, limit.MaxWait, b.room(limit))
	limit.MaxEvents, limit.MaxBytes = max(limit.MaxEvents, minBeyond), max(limit.MaxBytes, minRaws)
	b.beyond = b.room(limit)
	return n > 0
}

// fill takes events of one lane until the batch is complete or one of the limits is
// reached, and returns how many it took. Events that the filter leaves out take no room: of those a batch ends
// when Batch.MaxEvents went by without another, or the wait is over.
func (r *Relay) fill(ctx context.Context, l *lane, wait time.Duration, limits ...room) int {
	b := &r.batch
	start, total, filtered := len(b.msgs), 0, 0
	var complete time.Time
	for ctx.Err() == nil && !slices.ContainsFunc(limits, func(r room) bool { return r.full(b) }) {
		if !l.held && l.read() != nil {
			break // choose tells of it, if it lasts
		}
		if !l.held {
			if !r.more(ctx, l, complete) {
				break
			}
			continue
		}
		got := r.take(l, limits)
		if got == noRoom {
			break
		}
		if total++; total == 1 {
			complete = time.Now().Add(wait)
		}
		if got == unwritable {
			break
		}
		if got == leftOut {
			filtered++
			if filtered%r.o.Batch.MaxEvents == 0 && (len(b.msgs) == start || time.Now().After(complete)) {
				break
			}
		}
	}
	b.seal(start)
	return total
}

// got is what take came to.
type got int

const (
	taken      got = iota
	leftOut        // the event is not for this output
	unwritable     // the event can't be encoded, and is a dead letter
	noRoom         // the event does not fit into this batch, and is held
)

// take moves the event that is held into the batch.
func (r *Relay) take(l *lane, limits []room) got {
	b := &r.batch
	tight := func(body []byte) bool {
		return slices.ContainsFunc(limits, func(r room) bool { return !r.fits(b, len(body), len(l.raw.Body)) })
	}
	if tight(nil) {
		return noRoom
	}
	if !r.matches(l) {
		l.passed()
		l.settled.Filtered++
		return leftOut
	}
	body, err := r.encode()
	if err != nil {
		r.trouble.note(reasonEncode, reasonEncode.text(), fmt.Errorf("event %s: %w", l.raw.ID, err))
		_ = r.normalise(nil, l.raw)
		var again error
		if body, again = r.encode(); again != nil {
			r.unwritable(l, err)
			l.passed()
			return unwritable
		}
	}
	if tight(body) {
		return noRoom
	}
	b.add(l, &r.event, outputs.Message{
		Namespace: cmp.Or(r.event.Namespace, r.o.Namespace), Body: b.bodies.keep(body),
		State: r.state(), Overwrite: l.Overwrite != nil && l.Overwrite(),
	})
	l.passed()
	return taken
}

// matches normalises the event that is held and asks the filter.
func (r *Relay) matches(l *lane) bool {
	if err := r.normalise(r.o.Mapping, l.raw); err != nil {
		r.trouble.note(reasonEncode, reasonEncode.text(), fmt.Errorf("event %s: %w", l.raw.ID, err))
		_ = r.normalise(nil, l.raw)
	}
	matches, err := r.o.Filter.match(&r.event)
	if err != nil {
		r.meters.filterErrors.Inc()
		r.trouble.note(reasonFilter, reasonFilter.text(), fmt.Errorf("event %s: %w", l.raw.ID, err))
	}
	return matches
}

// normalise makes r.event of raw. It should never panic; if it does, that event
// alone must not hold up the others. Without a mapping the event is normalize's
// minimal one, which carries the body and no more.
func (r *Relay) normalise(m *normalize.Mapping, raw normalize.Raw) (err error) {
	defer caught("normalise", &err)
	m.Event(&r.event, raw)
	return nil
}

// encode writes r.event into the free memory of the batch's bodies. It should never panic
// either.
func (r *Relay) encode() (body []byte, err error) {
	defer caught("encode", &err)
	return r.o.Encode(r.batch.bodies.room(), &r.event), nil
}

// state takes what r.event says of its record as it is now into the batch, and returns
// it; nil if the output has no use for it, or the event says nothing.
func (r *Relay) state() []byte {
	if r.o.State == nil {
		return nil
	}
	state, err := r.encodeState()
	if err != nil {
		r.trouble.note(reasonEncode, reasonEncode.text(), fmt.Errorf("event %s: its record's state: %w", r.event.ID, err))
		return nil
	}
	if len(state) == 0 {
		return nil
	}
	return r.batch.states.keep(state)
}

func (r *Relay) encodeState() (state []byte, err error) {
	defer caught("encode the state", &err)
	return r.o.State(r.batch.states.room(), &r.event), nil
}
