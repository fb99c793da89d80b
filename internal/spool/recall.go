package spool

import (
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"time"
)

// crashWindow: of the events that were accepted in the last so much before an
// unclean stop nobody knows whether the sender was answered.
const crashWindow = 10 * time.Second

// recalled is an event that the index is filled with when the spool is opened.
type recalled struct {
	known
	wall int64 // the clock when it came, Unix nanoseconds
	ok   bool  // it has an envelope
}

// recallRetries fills the index from the log, the newest segments first, until it
// is full or the window has passed. It reads headers and envelopes only. What can't
// be read is not remembered.
func (s *Spool) recallRetries() {
	if s.o.RetryWindow <= 0 {
		return
	}
	s.retries = newRetries(s.o.RetryWindow, s.o.RetryEntries)
	now := s.now()
	horizon := now.wall - int64(s.o.RetryWindow)
	var parts [][]recalled // by segment, of the newest first
	for i, n := len(s.segments)-1, 0; i >= 0 && n < s.o.RetryEntries; i-- {
		if after := i + 1; after < len(s.segments) && s.segments[after].headerErr == nil && s.segments[after].before < horizon {
			break
		}
		events, err := s.recallSegment(s.segments[i], s.endLocked(i))
		parts = append(parts, events)
		n += len(events)
		if err != nil {
			s.log.Warn("could not read the log for what was accepted before: a retry of it is taken for a new event",
				"file", s.segments[i].path, "error", err)
			break
		}
	}
	if !s.clean {
		markUnanswered(parts, now.wall, s.note.quiet)
	}
	before := time.Duration(math.MinInt64)
	for _, events := range slices.Backward(parts) {
		for _, e := range events {
			if !e.ok {
				continue
			}
			// None came before the one before it, nor after now, though a clock that was
			// set says so.
			e.came = max(before, now.since+time.Duration(min(e.wall-now.wall, 0)))
			before = e.came
			if e.record != (digest{}) {
				s.retries.add(e.known, now.since)
			}
		}
	}
}

// recallSegment returns the events of a segment before the sequence end.
func (s *Spool) recallSegment(g *segment, end uint64) (events []recalled, err error) {
	f, err := s.fs.Open(g.path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sc := &scanner{file: f, limit: g.size, off: segmentHeaderSize}
	for {
		h, b, err := sc.skim()
		if errors.Is(err, io.EOF) || err == nil && h.sequence >= end {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		e, ok := parseEnvelope(b)
		events = append(events, recalled{
			known: known{record: e.record, body: e.body, sequence: h.sequence, accepted: h.accepted},
			wall:  e.came, ok: ok,
		})
	}
}

// markUnanswered marks the newest events of the log, of the last 10 s that it has
// seen, after an unclean stop. It goes back from the newest one as long as it
// knows all that came, and stops where something is missing or the clock was set:
// of what is before that, the newest event of its record is not known, or not how
// old it is. now is the wall clock; what is before the sequence quiet is in no doubt.
func markUnanswered(parts [][]recalled, now int64, quiet uint64) {
	var newest, next *recalled
	for _, events := range parts {
		for i := len(events) - 1; i >= 0; i-- {
			e := &events[i]
			if newest == nil {
				newest = e
			}
			age := time.Duration(newest.wall - e.wall)
			if e.sequence < quiet || !e.ok || e.wall > now || age > crashWindow || age < -crashWindow || next != nil && next.sequence != e.sequence+1 {
				return
			}
			e.unanswered = true
			next = e
		}
	}
}
