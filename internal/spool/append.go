package spool

import (
	"fmt"
	"time"
)

// maxPending bounds the bytes that wait for the committer. An Append that would
// pass it waits until the committer has taken what is there.
const maxPending = 16 << 20

// batch is the records that share one write and one sync. They are encoded by
// the goroutines that append them, numbered and written by the committer.
type batch struct {
	buffers
	taken chan struct{} // closed when the committer takes the batch

	timer   *time.Timer
	done    chan struct{} // closed when the batch is settled
	over    chan struct{} // closed then too, or before that when the time of those who appended is over
	late    bool          // it is over, and the batch was not settled; set before over is closed
	settled bool          // guarded by Spool.mu
	outcome               // valid once it is settled
}

// buffers are what a batch is written into.
type buffers struct {
	buf     []byte
	ends    []int   // where each record ends in buf
	flights flights // the events, if retries are looked for
}

// outcome is what became of a batch.
type outcome struct {
	first    uint64 // sequence of the first record
	accepted int64  // its acceptance time, Unix nanoseconds; one more for each next record
	stored   int    // this many records, from the first, are durable
	err      error  // what became of the others
}

// Append stores an entry and returns its receipt once it is durable; where the
// entry is the sender's retry of an event, that event's receipt, even if nothing
// can be stored now. The body is copied: the caller may reuse it at once. The error
// is one of ErrFull, ErrNoSpace, ErrIO, ErrSlow and ErrClosed; after ErrSlow and
// ErrIO the event may be stored all the same.
func (s *Spool) Append(e Entry) (Receipt, error) {
	if len(e.Body) > MaxBody {
		return Receipt{}, fmt.Errorf("append event of %d bytes: more than %d", len(e.Body), MaxBody)
	}
	d := s.deliveries.Get().(*delivery)
	s.arrive(d, e)
	t, err := s.enqueue(d)
	*d = delivery{} // the body is the caller's
	s.deliveries.Put(d)
	if err == nil {
		err = s.await(&t)
	}
	if err != nil {
		s.metrics.refused(err)
		return Receipt{}, err
	}
	if t.duplicate {
		s.metrics.retries.Inc()
	}
	return Receipt{ID: s.eventID(t.sequence, t.accepted), Sequence: t.sequence, Duplicate: t.duplicate}, nil
}

// Unanswered notes that the sender did not hear of r: the answer could not be
// written, or said something else. Call it once for a receipt at most: a later
// delivery may have been answered since.
func (s *Spool) Unanswered(r Receipt) {
	if s.retries == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.retries.find(r.Sequence); e != nil {
		e.unanswered = true
	}
}

// ticket is what an Append waits for: record i of b, or nothing if b is nil.
type ticket struct {
	b         *batch
	i         int
	duplicate bool
	late      <-chan time.Time // when the time of the whole Append is over, nil if the batch's own timer is enough
	sequence  uint64           // known once b is settled
	accepted  int64
}

// enqueue adds a record to the batch that the committer takes next, or finds the
// event that it is a retry of.
func (s *Spool) enqueue(d *delivery) (t ticket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = true
	for {
		known := s.lookLocked(d)
		if known.retry {
			return s.joinLocked(known, d.at), nil
		}
		if s.closed {
			return t, ErrClosed
		}
		if s.pending == nil || len(s.pending.buf)+len(d.body) <= maxPending {
			if known.event != nil {
				d.tag()
			}
			t.b, t.i = s.appendLocked(d)
			return t, nil
		}
		if t.late == nil {
			t.late = time.After(s.o.AppendTimeout)
		}
		if !s.awaitTakenLocked(t.late) {
			return t, ErrSlow
		}
	}
}

// awaitTakenLocked unlocks s until the committer has taken the pending batch, false
// if it is late before that.
func (s *Spool) awaitTakenLocked(late <-chan time.Time) bool {
	taken := s.pending.taken
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-taken:
		return true
	case <-late:
		return false
	}
}

// lookLocked finds what d repeats.
func (s *Spool) lookLocked(d *delivery) earlier {
	if s.retries == nil || !d.envelope.hasRecord() {
		return earlier{}
	}
	var waiting, committing *flights
	if s.pending != nil {
		waiting = &s.pending.flights
	}
	if s.committing != nil {
		committing = &s.committing.flights
	}
	return s.retries.look(&d.envelope, d.at, waiting, committing)
}

// joinLocked has a retry share the outcome of what it repeats.
func (s *Spool) joinLocked(e earlier, at moment) ticket {
	e.event.recognise(at)
	t := ticket{duplicate: true, i: e.index, sequence: e.event.sequence, accepted: e.event.accepted}
	switch e.batch {
	case 0:
		t.b = s.pending
	case 1:
		t.b = s.committing
	default:
		return t
	}
	t.late = time.After(s.o.AppendTimeout)
	return t
}

// appendLocked adds d to the pending batch and returns its place there.
func (s *Spool) appendLocked(d *delivery) (*batch, int) {
	b := s.pending
	if b == nil {
		b = &batch{buffers: s.takeFreeLocked(), taken: make(chan struct{}), done: make(chan struct{}), over: make(chan struct{})}
		b.timer = time.AfterFunc(s.o.AppendTimeout, func() { s.expire(b) })
		s.pending = b
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	b.buf = appendRecord(b.buf, payload{d.encoded[:d.size], d.body, d.sum})
	b.ends = append(b.ends, len(b.buf))
	if s.retries != nil {
		b.flights.add(d.known())
	}
	if len(b.ends) == s.gathering.expected {
		select {
		case s.gathered <- struct{}{}:
		default:
		}
	}
	return b, len(b.ends) - 1
}

// await waits until the record of t is durable.
func (s *Spool) await(t *ticket) error {
	if t.b == nil {
		return nil
	}
	over := t.b.over
	if t.duplicate {
		over = t.b.done // the other is about those who came first
	}
	if t.late == nil {
		<-over // one channel, as nearly always, costs less than a choice
	} else {
		select {
		case <-over:
		case <-t.late:
			return s.leave(t)
		}
	}
	if !t.duplicate && t.b.late {
		return s.leave(t)
	}
	return t.settle()
}

// leave gives up waiting, and remembers that the sender is not told of its event,
// which may be stored yet.
func (s *Spool) leave(t *ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.b.settled {
		return t.settle()
	}
	if s.retries != nil {
		t.b.flights.events[t.i].unanswered = true
	}
	return ErrSlow
}

// settle takes the outcome of the batch.
func (t *ticket) settle() error {
	if t.i >= t.b.stored {
		return t.b.err
	}
	t.sequence, t.accepted = t.b.first+uint64(t.i), t.b.accepted+int64(t.i)
	return nil
}

// expire answers those who have waited for b too long. A batch that the
// committer has not taken yet is given up: the sender will come again.
func (s *Spool) expire(b *batch) {
	s.mu.Lock()
	if b.settled {
		s.mu.Unlock()
		return
	}
	if s.pending == b {
		s.pending = nil
		close(b.taken)
		b.settled, b.outcome = true, outcome{err: ErrSlow}
		close(b.done)
	}
	b.late = true
	close(b.over)
	s.mu.Unlock()
	s.noteHealth(ErrSlow)
}

// take returns the batch that waits, nil if none does.
func (s *Spool) take() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.pending
	if b != nil {
		close(b.taken)
		s.pending, s.committing = nil, b
	}
	return b
}

// conclude notes what became of the batch that was taken, remembers its events,
// and keeps its buffers for a later one. Nobody is told before finish.
func (s *Spool) conclude(b *batch, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.settled, b.outcome = true, o
	s.committing = nil
	if s.retries != nil {
		s.rememberLocked(b)
	}
	s.recycleLocked(b)
}

// finish tells those who wait the outcome.
func (b *batch) finish() {
	b.timer.Stop()
	close(b.done)
	if !b.late {
		close(b.over)
	}
}

// rememberLocked moves the events of b that are durable from flight to the index.
func (s *Spool) rememberLocked(b *batch) {
	now := time.Since(s.opened)
	tagged := 0
	for i, e := range b.flights.events[:b.stored] {
		e.sequence, e.accepted = b.first+uint64(i), b.accepted+int64(i)
		if e.tagged {
			tagged++
		}
		if e.record != (digest{}) {
			s.retries.add(e, now)
		}
	}
	s.metrics.possibleRetries.Add(float64(tagged))
}

// takeFreeLocked returns empty buffers, used before if there are any.
func (s *Spool) takeFreeLocked() buffers {
	n := len(s.free)
	if n == 0 {
		return buffers{}
	}
	f := s.free[n-1]
	s.free = s.free[:n-1]
	f.buf, f.ends = f.buf[:0], f.ends[:0]
	f.flights.clear()
	return f
}

// recycleLocked keeps the buffers of a settled batch for a later one, unless they
// have grown out of the ordinary.
func (s *Spool) recycleLocked(b *batch) {
	const ordinary, enough = 1 << 20, 2
	if cap(b.buf) <= ordinary && len(s.free) < enough {
		s.free = append(s.free, b.buffers)
	}
}
