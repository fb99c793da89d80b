package spool

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// SequenceAt returns the sequence of the first event that was accepted at t or
// later and can be read; where there is none, the sequence of the next event that
// is accepted.
func (s *Spool) SequenceAt(t time.Time) (uint64, error) {
	at := t.UnixNano()
	if t.Before(time.Unix(0, math.MinInt64)) || t.After(time.Unix(0, math.MaxInt64)) {
		return 0, fmt.Errorf("find the events of %s: the time is out of range", t)
	}
	h, found, err := s.find(func(g *segment) bool { return g.before < at }, func(h header) bool { return h.accepted >= at })
	if err != nil {
		return 0, fmt.Errorf("find the events of %s: %w", t, err)
	}
	if !found {
		return s.head(), nil
	}
	return h.sequence, nil
}

// AcceptedAt returns when the first event from the sequence on that can be read was
// accepted; the zero time where there is none.
func (s *Spool) AcceptedAt(sequence uint64) (time.Time, error) {
	h, found, err := s.find(func(g *segment) bool { return g.first <= sequence }, func(h header) bool { return h.sequence >= sequence })
	if err != nil {
		return time.Time{}, fmt.Errorf("find event %d: %w", sequence, err)
	}
	if !found {
		return time.Time{}, nil
	}
	return time.Unix(0, h.accepted).UTC(), nil
}

func (s *Spool) head() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// find returns the first readable record that match is true for. It begins with the
// newest segment that mayHold is true for, whose header could be read.
func (s *Spool) find(mayHold func(*segment) bool, match func(header) bool) (h header, found bool, err error) {
	type part struct {
		path       string
		limit, end int64
	}
	s.mu.Lock()
	from := len(s.segments) - 1
	for from > 0 && (s.segments[from].headerErr != nil || !mayHold(s.segments[from])) {
		from--
	}
	var parts []part
	for i := max(from, 0); i < len(s.segments); i++ {
		parts = append(parts, part{s.segments[i].path, s.segments[i].size, int64(s.endLocked(i))})
	}
	s.mu.Unlock()
	for _, p := range parts {
		f, err := s.fs.Open(p.path, os.O_RDONLY)
		if errors.Is(err, os.ErrNotExist) {
			continue // let go of since
		}
		if err != nil {
			return header{}, false, err
		}
		h, found, err = firstMatch(f, p.limit, func(h header) bool { return match(h) && int64(h.sequence) < p.end })
		if err = errors.Join(err, f.Close()); err != nil || found {
			return h, found, err
		}
	}
	return header{}, false, nil
}

func firstMatch(f File, limit int64, match func(header) bool) (header, bool, error) {
	sc := scanner{file: f, limit: limit, off: segmentHeaderSize}
	for {
		h, _, err := sc.next()
		if errors.Is(err, io.EOF) {
			return header{}, false, nil
		}
		if err != nil {
			return header{}, false, err
		}
		if match(h) {
			return h, true, nil
		}
	}
}
