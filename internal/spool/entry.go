package spool

import "time"

// Entry is what Append stores.
type Entry struct {
	// Body is the event, 1 to MaxBody bytes.
	Body []byte
	// Record is the first half of the SHA-256 of the record's key. Zero: it has no
	// usable id, and is never taken for a retry.
	Record [16]byte
	// Unique: no two events have this body. Its trigger is create, or it has the
	// time of a note.
	Unique bool
}

// Receipt is what Append answers.
type Receipt struct {
	// ID is event.id: 32 lower-case hex digits.
	ID string
	// Sequence counts accepted events from 1.
	Sequence uint64
	// Duplicate: the entry was the sender's retry of an event that is stored, and
	// the receipt is that event's.
	Duplicate bool
}

// delivery is an entry on its way into the log.
type delivery struct {
	envelope envelope
	encoded  [envelopeSize]byte
	size     int // of encoded; 0 if retries are not looked for
	body     []byte
	sum      uint32
	at       moment
}

// arrive makes a delivery of an entry: all that needs no lock.
func (s *Spool) arrive(d *delivery, e Entry) {
	d.body, d.at = e.Body, s.now()
	if s.retries == nil {
		d.sum = payloadSum(nil, d.body)
		return
	}
	d.envelope = envelope{record: e.Record, came: d.at.wall, unique: e.Unique}
	if d.envelope.hasRecord() {
		d.envelope.body = digestOf(e.Body)
	}
	d.encode()
}

func (d *delivery) encode() {
	d.size = len(d.envelope.appendTo(d.encoded[:0]))
	d.sum = payloadSum(d.encoded[:d.size], d.body)
}

// tag marks a delivery that may be a retry.
func (d *delivery) tag() {
	d.envelope.possibleRetry = true
	d.encode()
}

func (s *Spool) now() moment {
	return moment{wall: s.o.Now().UnixNano(), since: time.Since(s.opened)}
}

// known is what the index remembers of d. It is not numbered yet.
func (d *delivery) known() known {
	return known{
		record: d.envelope.record, body: d.envelope.body,
		accepted: d.at.wall, came: d.at.since,
		tagged: d.envelope.possibleRetry,
	}
}
