package spool

import (
	"math"
	"slices"
	"sort"
	"time"
)

// retryAfter is the least time between two attempts of the sender to deliver one
// event. What comes sooner is not its retry.
const retryAfter = 30 * time.Second

// moment is a time by two clocks.
type moment struct {
	wall  int64         // Unix nanoseconds; people and NTP set it
	since time.Duration // since the spool was opened; nobody sets it
}

// known is an event as the index of retries remembers it. There are many of them.
type known struct {
	record, body digest
	sequence     uint64
	accepted     int64         // Unix nanoseconds
	came         time.Duration // its first delivery, see moment.since
	again        uint32        // how long after that its newest delivery came, in milliseconds, rounded up
	unanswered   bool
	tagged       bool

	older links // what the index's chains go on with; the index's own
}

// tried is when the newest delivery of the event came, see moment.since.
func (e *known) tried() time.Duration { return e.came + time.Duration(e.again)*time.Millisecond }

// retries tells a retry from a repeat. The rule: what equals an earlier event of its
// record, within the window, is a retry of it if the body is unique by nature,
// whatever came between and whatever the wall clock says; or if the event is the
// record's latest and its answer was lost. Else it is a new event that may be a
// retry.
//
// It remembers the newest events that are durable, by record and body; those in
// flight are with their batches, see flights. It is only logic: the caller holds the
// spool's lock and says what time it is. It errs towards "new": what was forgotten
// is never merged with.
type retries struct {
	window time.Duration
	max    int // entries

	// Entry n, for first <= n < next, in order of sequence, is in the place n%max. Places
	// lie in pieces of ringPiece, which are made when they are needed.
	pieces      [][]known
	first, next uint64
	chains      chains
}

const ringPiece = 4096

func newRetries(window time.Duration, entries int) *retries {
	return &retries{window: window, max: entries, chains: newChains(entries)}
}

// flights are the events of a batch that is not settled yet, by their place in it.
type flights struct {
	events []known
	byBody map[uint64]int // the newest, by bodyKey
}

func (f *flights) add(e known) {
	f.events = append(f.events, e)
	if e.record == (digest{}) { // it takes its place and is never looked for
		return
	}
	if f.byBody == nil {
		f.byBody = map[uint64]int{}
	}
	f.byBody[bodyKey(e.record, e.body)] = len(f.events) - 1
}

// clear makes f ready for another batch.
func (f *flights) clear() {
	f.events = f.events[:0]
	clear(f.byBody)
}

// has tells whether there is an event of the record from place i on. It is asked
// only where little else is left that speaks against a retry, which is rare.
func (f *flights) has(record digest, i int) bool {
	return slices.ContainsFunc(f.events[i:], func(e known) bool { return e.record == record })
}

// earlier is what is known of the deliveries that equal a new one.
type earlier struct {
	event *known // the newest with the same record and bytes in the window, or nil
	retry bool   // the new one is a retry of event
	batch int    // the batch that event is in flight with, -1 if it is durable
	index int    // its place there
}

// look finds what a delivery that comes now repeats. The batches in flight are
// given newest first; nil ones are passed over.
func (x *retries) look(d *envelope, now moment, batches ...*flights) earlier {
	key := bodyKey(d.record, d.body)
	for b, f := range batches {
		if f == nil {
			continue
		}
		if i, ok := f.byBody[key]; ok && x.same(&f.events[i], d, now) {
			e := &f.events[i]
			retry := d.unique || x.lostAnswer(e, now) && !f.has(d.record, i+1) && !anyHas(batches[:b], d.record)
			return earlier{event: e, retry: retry, batch: b, index: i}
		}
	}
	if e := x.newestWith(d.record, d.body); e != nil && x.same(e, d, now) {
		retry := d.unique || x.lostAnswer(e, now) && x.newestOf(d.record) == e && !anyHas(batches, d.record)
		return earlier{event: e, retry: retry, batch: -1}
	}
	return earlier{}
}

func anyHas(batches []*flights, record digest) bool {
	return slices.ContainsFunc(batches, func(f *flights) bool { return f != nil && f.has(record, 0) })
}

// same tells whether d repeats e within the window.
func (x *retries) same(e *known, d *envelope, now moment) bool {
	return e.record == d.record && e.body == d.body && now.since-e.came <= x.window
}

// lostAnswer tells whether the sender may be delivering e again because it has no
// answer. Both clocks must say that e is in the window, for one may have been set or
// have stood still.
func (x *retries) lostAnswer(e *known, now moment) bool {
	return e.unanswered && now.since-e.tried() >= retryAfter && now.wall-e.accepted <= int64(x.window)
}

// recognise notes that e was delivered again: the answer to that takes the place
// of the one before.
func (e *known) recognise(now moment) {
	e.unanswered = false
	after := (now.since - e.came + time.Millisecond - 1) / time.Millisecond
	e.again = max(e.again, uint32(min(max(after, 0), math.MaxUint32)))
}

// add remembers an event that has become durable. Its sequence is higher than all
// before.
func (x *retries) add(e known, now time.Duration) {
	// A few at a time: after a quiet hour many are out of the window at once.
	for range 4 {
		if x.len() > 0 && now-x.at(x.first).came > x.window {
			x.forgetOldest()
		}
	}
	if x.len() == x.max {
		x.forgetOldest()
	}
	n := x.next
	if place := int(n % uint64(x.max)); place/ringPiece == len(x.pieces) {
		x.pieces = append(x.pieces, make([]known, min(ringPiece, x.max-place)))
	}
	x.next++
	e.older = x.chains.push(n, &e)
	*x.at(n) = e
}

func (x *retries) len() int { return int(x.next - x.first) }

func (x *retries) at(n uint64) *known {
	place := n % uint64(x.max)
	return &x.pieces[place/ringPiece][place%ringPiece]
}

func (x *retries) forgetOldest() { x.first++ }

// find returns the event with that sequence, nil if it is not remembered.
func (x *retries) find(sequence uint64) *known {
	i := sort.Search(x.len(), func(i int) bool { return x.at(x.first+uint64(i)).sequence >= sequence })
	if i == x.len() {
		return nil
	}
	if e := x.at(x.first + uint64(i)); e.sequence == sequence {
		return e
	}
	return nil
}
