package spool

import (
	"errors"
	"fmt"
)

// ErrReplaying says that a replay of the output is still under way.
var ErrReplaying = errors.New("a replay is under way")

// ErrNoCursor says that the spool has no cursor of that name.
var ErrNoCursor = errors.New("the spool knows no such output")

// ReplayLane reads events that a replay has entered again. It has its own place in
// the log, kept in the cursor's file.
type ReplayLane struct {
	c *Cursor
	// reader.pos is guarded by Cursor.mu where others look at it.
	reader    reader
	pass      uint64 // the replay that reader is in
	overwrite bool
	begun     chan struct{} // closed when a replay begins, nil if nobody waits
}

// Replay returns the cursor's second lane.
func (c *Cursor) Replay() *ReplayLane { return &c.replay }

// Range is what a replay enters again: the events from the sequence From up to, not
// including, To.
type Range struct {
	From, To uint64
	// Overwrite: what the receiver has of them is to be replaced.
	Overwrite bool
}

// StartReplay enters the events of a range again at the output called name, and
// returns how many those are: what the spool no longer holds, and what the output has
// not come to yet, is left out. It is durable when it returns nil. The error is
// ErrReplaying, ErrNoCursor, or the disk's.
func (s *Spool) StartReplay(name string, r Range) (entries uint64, err error) {
	c, err := s.cursorOf(name)
	if err != nil {
		return 0, fmt.Errorf("replay to %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.file.at
	if p.replaying() > 0 {
		return 0, fmt.Errorf("replay to %s: %w: %d of its events are not settled", name, ErrReplaying, p.replaying())
	}
	from, to := s.hold(name, r.From, min(r.To, p.next))
	defer s.unhold(name)
	if from >= to {
		return 0, nil
	}
	p.pass++
	p.replayNext, p.replayEnd, p.overwrite = from, to, r.Overwrite
	p.replayed += to - from
	if err := c.saveLocked(p); err != nil {
		return 0, err
	}
	if c.replay.begun != nil {
		close(c.replay.begun)
		c.replay.begun = nil
	}
	return to - from, nil
}

// CancelReplay gives up what is left of a replay, but for the events that the
// output has in hand, and returns how many events that is. They count as dropped.
func (s *Spool) CancelReplay(name string) (dropped uint64, err error) {
	return s.cancelReplay(name, false)
}

// Cancelable returns what CancelReplay would.
func (s *Spool) Cancelable(name string) (events uint64, err error) { return s.cancelReplay(name, true) }

func (s *Spool) cancelReplay(name string, dryRun bool) (dropped uint64, err error) {
	c, err := s.cursorOf(name)
	if err != nil {
		return 0, fmt.Errorf("cancel replay to %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.file.at
	end := p.replayNext
	if c.replay.pass == p.pass {
		end = max(end, min(c.replay.reader.pos, p.replayEnd))
	}
	if end == p.replayEnd {
		return 0, nil
	}
	dropped = p.replayEnd - end
	if dryRun {
		return dropped, nil
	}
	p.replayEnd = end
	p.dropped += dropped
	return dropped, c.saveLocked(p)
}

// hold keeps the segments from the sequence from on, until unhold, and returns the
// part of the range that the spool still has.
func (s *Spool) hold(name string, from, to uint64) (heldFrom, heldTo uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from = max(from, s.oldestLocked())
	s.held[name] = from
	return from, to
}

func (s *Spool) unhold(name string) {
	s.mu.Lock()
	delete(s.held, name)
	s.mu.Unlock()
}

// Ready is Cursor.Ready for this lane.
func (l *ReplayLane) Ready() <-chan struct{} {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.pendingLocked() || l.lostLocked() || l.reader.seg != nil {
		return c.s.always
	}
	if l.begun == nil {
		l.begun = make(chan struct{})
	}
	return l.begun
}

// pendingLocked tells whether there are events that Next has not returned.
func (l *ReplayLane) pendingLocked() bool {
	p := l.c.file.at
	return p.replaying() > 0 && (l.pass != p.pass || l.reader.pos < p.replayEnd)
}

// lostLocked tells whether nothing but lost records came since the last commit:
// nobody else would save that.
func (l *ReplayLane) lostLocked() bool {
	r := &l.reader
	return l.pass == l.c.file.at.pass && r.pos != r.returned && l.c.file.at.replayNext == r.returned
}

// Next is Cursor.Next for this lane.
func (l *ReplayLane) Next() (Record, bool, error) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.file.at
	if l.pass != p.pass {
		if err := l.reader.jump(p.replayNext); err != nil {
			return Record{}, false, err
		}
		l.pass, l.overwrite = p.pass, p.overwrite
	}
	var r Record
	var ok bool
	var err error
	if l.reader.pos < p.replayEnd {
		r, ok, err = l.reader.next(p.replayEnd)
	} else {
		err = l.reader.close()
	}
	if !ok && l.lostLocked() {
		err = errors.Join(err, l.commitLocked(l.reader.returned, Outcome{}))
	}
	return r, ok, err
}

// Commit is Cursor.Commit for this lane.
func (l *ReplayLane) Commit(next uint64, o Outcome) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return l.commitLocked(next, o)
}

func (l *ReplayLane) commitLocked(next uint64, o Outcome) error {
	c := l.c
	if next == l.reader.returned {
		next = l.reader.pos
	}
	p := c.file.at
	if next <= p.replayNext && o == (Outcome{}) {
		return nil
	}
	lost := l.reader.passed(next)
	if err := checkOutcome(next-p.replayNext, o, lost); err != nil {
		return fmt.Errorf("commit replay of %s at %d: %w", c.name, next, err)
	}
	p.replayNext = next
	p.add(o, lost)
	if err := c.saveLocked(p); err != nil {
		return err
	}
	l.reader.returned = max(l.reader.returned, next)
	l.reader.forgetGaps(next)
	return nil
}

// Overwrite tells whether the last event is to replace what the receiver has of it.
func (l *ReplayLane) Overwrite() bool { return l.overwrite }

// Pass numbers the replay that the last event came from, from 1.
func (l *ReplayLane) Pass() uint64 { return l.pass }
