package spool

import (
	"encoding/binary"
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

// known is an event as the index of retries remembers it.
type known struct {
	record, body digest
	sequence     uint64
	accepted     int64         // Unix nanoseconds
	came, tried  time.Duration // its first and its newest delivery, see moment.since
	unanswered   bool
	tagged       bool
}

// retries tells a retry from a repeat: it remembers the newest events that are
// durable, by record and body. Events in flight are with their batches, see
// flights. It is only logic: the caller holds the spool's lock and says what time
// it is. It errs towards "new": whatever was forgotten, or is hidden by a collision
// of keys, is never merged with.
type retries struct {
	window time.Duration
	max    int // entries

	// Entry n is ring[n%len(ring)], for first <= n < next, in order of sequence.
	ring        []known
	first, next uint64
	byRecord    map[uint64]uint64 // the newest entry of a record
	byBody      map[uint64]uint64 // the newest entry of a record with a body
}

func newRetries(window time.Duration, entries int) *retries {
	return &retries{window: window, max: entries, byRecord: map[uint64]uint64{}, byBody: map[uint64]uint64{}}
}

func recordKey(record digest) uint64 { return binary.LittleEndian.Uint64(record[:]) }

func bodyKey(record, body digest) uint64 {
	return binary.LittleEndian.Uint64(record[8:]) ^ binary.LittleEndian.Uint64(body[:])
}

// flights are the events of a batch that is not settled yet, by their place in it.
type flights struct {
	events           []known
	byRecord, byBody map[uint64]int // as in retries, of this batch
}

func (f *flights) add(e known) {
	f.events = append(f.events, e)
	if e.record == (digest{}) { // it takes its place and is never looked for
		return
	}
	if f.byRecord == nil {
		f.byRecord, f.byBody = map[uint64]int{}, map[uint64]int{}
	}
	i := len(f.events) - 1
	f.byRecord[recordKey(e.record)] = i
	f.byBody[bodyKey(e.record, e.body)] = i
}

// clear makes f ready for another batch.
func (f *flights) clear() {
	f.events = f.events[:0]
	clear(f.byRecord)
	clear(f.byBody)
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
	rk, bk := recordKey(d.record), bodyKey(d.record, d.body)
	latest := true // no event of the record is newer than those still to be looked at
	for b, f := range batches {
		if f == nil {
			continue
		}
		newest, has := f.byRecord[rk]
		if i, ok := f.byBody[bk]; ok && x.same(&f.events[i], d, now) {
			e := &f.events[i]
			return earlier{event: e, retry: x.isRetry(e, d, latest && newest == i, now), batch: b, index: i}
		}
		latest = latest && !has
	}
	if n, ok := x.byBody[bk]; ok {
		if e := x.at(n); x.same(e, d, now) {
			return earlier{event: e, retry: x.isRetry(e, d, latest && x.byRecord[rk] == n, now), batch: -1}
		}
	}
	return earlier{}
}

// same tells whether d repeats e within the window.
func (x *retries) same(e *known, d *envelope, now moment) bool {
	return e.record == d.record && e.body == d.body && now.since-e.came <= x.window
}

// isRetry is the rule: see DESIGN.md, "Retry or repeat?". latest tells that e is
// the newest event of its record. A body that is unique by nature can't be a
// repeat, so no clock that was set makes a difference; of another one both clocks
// must say that it is in the window.
func (x *retries) isRetry(e *known, d *envelope, latest bool, now moment) bool {
	if d.unique {
		return true
	}
	return latest && e.unanswered && now.since-e.tried >= retryAfter && now.wall-e.accepted <= int64(x.window)
}

// recognise notes that e was delivered again: the answer to that takes the place
// of the one before.
func (e *known) recognise(now moment) {
	e.unanswered = false
	e.tried = max(e.tried, now.since)
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
	if x.len() == len(x.ring) {
		x.grow()
	}
	n := x.next
	x.next++
	*x.at(n) = e
	x.byRecord[recordKey(e.record)] = n
	x.byBody[bodyKey(e.record, e.body)] = n
}

func (x *retries) len() int { return int(x.next - x.first) }

func (x *retries) at(n uint64) *known { return &x.ring[n%uint64(len(x.ring))] }

func (x *retries) forgetOldest() {
	e := x.at(x.first)
	if k := recordKey(e.record); x.byRecord[k] == x.first {
		delete(x.byRecord, k)
	}
	if k := bodyKey(e.record, e.body); x.byBody[k] == x.first {
		delete(x.byBody, k)
	}
	x.first++
}

func (x *retries) grow() {
	const least = 64
	bigger := make([]known, min(x.max, max(least, 2*len(x.ring))))
	for n := x.first; n < x.next; n++ {
		bigger[n%uint64(len(bigger))] = *x.at(n)
	}
	x.ring = bigger
}

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
