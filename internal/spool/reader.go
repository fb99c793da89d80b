package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// reader walks the log for one lane of a cursor: the good records from pos on, in
// order. What it had to pass over is kept as gaps. One goroutine uses it.
type reader struct {
	s    *Spool
	name string // of the cursor

	pos      uint64 // sequence that next returns next
	returned uint64 // follows the last record that next returned
	before   int64  // acceptance time of that record
	gaps     []gap  // that no commit has passed yet, in order

	seg  *segment // the segment that scan reads, nil at first
	end  uint64   // records below it are within scan.limit
	scan scanner
}

// gap is a run of records that can't be read.
type gap struct {
	end   uint64 // the sequence that follows it
	count uint64
}

// next returns the next record before the sequence limit, ok false if none is
// there. After an error, which is the disk's, the call may be repeated.
func (r *reader) next(limit uint64) (rec Record, ok bool, err error) {
	for {
		for r.pos >= r.end {
			if more, err := r.refresh(limit); err != nil || !more {
				return Record{}, false, err
			}
		}
		h, body, err := r.scan.next()
		switch {
		case errors.Is(err, io.EOF), err == nil && h.sequence >= r.end:
			r.lose(r.end, r.seg)
		case err != nil:
			return Record{}, false, fmt.Errorf("read segment %s: %w", r.seg.path, err)
		case h.sequence < r.pos:
			// Settled before, and passed on the way to pos.
		default:
			r.lose(h.sequence, r.seg)
			r.pos = h.sequence + 1
			r.returned, r.before = r.pos, h.accepted
			return Record{
				ID:            r.s.eventID(h.sequence, h.accepted),
				Sequence:      h.sequence,
				Accepted:      time.Unix(0, h.accepted).UTC(),
				PossibleRetry: h.possibleRetry,
				Body:          body,
			}, true, nil
		}
	}
}

// refresh looks at how far the log has grown, and opens the segment that pos is
// in. more is false if pos is not before limit, or the log, yet.
func (r *reader) refresh(limit uint64) (more bool, err error) {
	s := r.s
	s.mu.Lock()
	limit = min(limit, s.next)
	if r.pos >= limit {
		dropped := r.holdsDroppedLocked()
		s.mu.Unlock()
		if dropped { // the disk keeps it for as long as it is open
			return false, r.close()
		}
		return false, nil
	}
	i := s.segmentOfLocked(r.pos)
	if i < 0 {
		to := min(limit, s.oldestLocked())
		s.mu.Unlock()
		r.lose(to, nil)
		return true, nil
	}
	g, size, end := s.segments[i], s.segments[i].size, min(limit, s.endLocked(i))
	s.mu.Unlock()
	if g != r.seg {
		if err := r.open(g); err != nil {
			return false, err
		}
	}
	r.scan.limit, r.end = size, end
	return true, nil
}

// segmentOfLocked returns the index of the segment that sequence belongs to, -1 if
// it is before all of them.
func (s *Spool) segmentOfLocked(sequence uint64) int {
	i := len(s.segments) - 1
	for i >= 0 && s.segments[i].first > sequence {
		i--
	}
	return i
}

func (r *reader) holdsDroppedLocked() bool { return r.seg != nil && r.seg.dropped }

func (r *reader) open(g *segment) error {
	if err := r.close(); err != nil {
		return err
	}
	f, err := r.s.fs.Open(g.path, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	r.seg, r.end = g, 0
	r.scan = scanner{file: f, off: segmentHeaderSize, buf: r.scan.buf[:0]}
	if g.headerErr != nil {
		r.s.keepAside(g)
	}
	return nil
}

// lose passes the records before the sequence to, which can't be read in g or,
// if g is nil, are in no segment that is there.
func (r *reader) lose(to uint64, g *segment) {
	if to <= r.pos {
		return
	}
	lost := to - r.pos
	attrs := []any{"output", r.name, "first", r.pos, "count", lost}
	if g != nil {
		r.s.keepAside(g)
		attrs = append(attrs, "file", g.path)
	}
	r.s.log.Error("events in the spool can't be read", attrs...)
	r.gaps = append(r.gaps, gap{end: to, count: lost})
	r.pos = to
}

// passed returns how many of the records before next were lost, of those that no
// commit has passed yet.
func (r *reader) passed(next uint64) (lost uint64) {
	for _, g := range r.gaps {
		if g.end <= next {
			lost += g.count
		}
	}
	return lost
}

// forgetGaps ends the account of what a commit has passed.
func (r *reader) forgetGaps(next uint64) {
	kept := r.gaps[:0]
	for _, g := range r.gaps {
		if g.end > next {
			kept = append(kept, g)
		}
	}
	r.gaps = kept
}

// jump moves the reader to another place in the log, and has it forget all that it
// knew of the one before, be it the same.
func (r *reader) jump(to uint64) error {
	r.pos, r.returned, r.before, r.gaps, r.end = to, to, 0, nil, 0
	return r.close()
}

func (r *reader) close() error {
	if r.seg == nil {
		return nil
	}
	r.seg = nil
	return r.scan.file.Close()
}
