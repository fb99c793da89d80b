package spool

import (
	"fmt"
	"sync"
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

	settle sync.Once
	timer  *time.Timer
	done   chan struct{} // closed when the outcome is known
	outcome
}

// buffers are what a batch is written into.
type buffers struct {
	buf  []byte
	ends []int // where each record ends in buf
}

// outcome is what became of a batch.
type outcome struct {
	first    uint64 // sequence of the first record
	accepted int64  // its acceptance time, Unix nanoseconds; one more for each next record
	stored   int    // this many records, from the first, are durable
	err      error  // what became of the others
}

// finish tells the waiters the outcome; the first call holds, and returns true.
func (b *batch) finish(o outcome) (told bool) {
	b.settle.Do(func() {
		b.outcome = o
		b.timer.Stop()
		close(b.done)
		told = true
	})
	return told
}

// Append stores body and returns its event id once it is durable. The body is
// copied: the caller may reuse it at once. The error is one of ErrFull,
// ErrNoSpace, ErrIO, ErrSlow and ErrClosed; after ErrSlow and ErrIO the event
// may be stored all the same.
func (s *Spool) Append(body []byte) (string, error) {
	if len(body) > MaxBody {
		return "", fmt.Errorf("append event of %d bytes: more than %d", len(body), MaxBody)
	}
	b, i, late, err := s.enqueue(body)
	if err == nil {
		select {
		case <-b.done:
			if i >= b.stored {
				err = b.err
			}
		case <-late:
			err = ErrSlow
		}
	}
	if err != nil {
		s.metrics.refused(err)
		return "", err
	}
	return s.eventID(b.first+uint64(i), b.accepted+int64(i)), nil
}

// enqueue adds a record to the batch that the committer takes next and returns
// its index there. Where it had to wait for that, late tells when the time of the
// whole Append is over; it is nil where the batch's own timer is enough.
func (s *Spool) enqueue(body []byte) (_ *batch, i int, late <-chan time.Time, _ error) {
	sum := checksum(body)
	s.mu.Lock()
	for s.pending != nil && len(s.pending.buf)+len(body) > maxPending && !s.closed {
		taken := s.pending.taken
		s.mu.Unlock()
		if late == nil {
			late = time.After(s.o.AppendTimeout)
		}
		select {
		case <-taken:
		case <-late:
			return nil, 0, nil, ErrSlow
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, nil, ErrClosed
	}
	b := s.pending
	if b == nil {
		b = &batch{buffers: s.takeFreeLocked(), taken: make(chan struct{}), done: make(chan struct{})}
		b.timer = time.AfterFunc(s.o.AppendTimeout, func() { s.expire(b) })
		s.pending = b
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	b.buf = appendRecord(b.buf, body, sum)
	b.ends = append(b.ends, len(b.buf))
	if len(b.ends) == s.expected {
		select {
		case s.gathered <- struct{}{}:
		default:
		}
	}
	return b, len(b.ends) - 1, late, nil
}

// expire answers those who have waited for b too long. A batch that the
// committer has not taken yet is given up: the sender will come again.
func (s *Spool) expire(b *batch) {
	s.mu.Lock()
	if s.pending == b {
		close(b.taken)
		s.pending = nil
	}
	s.mu.Unlock()
	if b.finish(outcome{err: ErrSlow}) {
		s.noteHealth(ErrSlow)
	}
}

// take returns the batch that waits, nil if none does.
func (s *Spool) take() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.pending
	if b != nil {
		close(b.taken)
		s.pending = nil
	}
	return b
}

// takeFreeLocked returns empty buffers, used before if there are any.
func (s *Spool) takeFreeLocked() buffers {
	n := len(s.free)
	if n == 0 {
		return buffers{}
	}
	f := s.free[n-1]
	s.free = s.free[:n-1]
	return buffers{f.buf[:0], f.ends[:0]}
}

// recycle keeps the buffers of a finished batch for a later one, unless they have
// grown out of the ordinary.
func (s *Spool) recycle(b *batch) {
	const ordinary, enough = 1 << 20, 2
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(b.buf) <= ordinary && len(s.free) < enough {
		s.free = append(s.free, b.buffers)
	}
}
