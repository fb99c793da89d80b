package spool

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// Outcome counts what became of the events that a commit settles.
type Outcome struct {
	Delivered uint64 // safe with the receiver
	Sent      uint64 // handed over, and nobody says whether they were received
	Filtered  uint64 // not for this output
	Dead      uint64 // kept as dead letters
}

func (o Outcome) sum() uint64 { return o.Delivered + o.Sent + o.Filtered + o.Dead }

// Cursor is where one output is in the log, and its account, both durable in one
// file. It is the output's first lane: the log as it grows; Replay is the second.
// One goroutine uses both lanes.
type Cursor struct {
	s    *Spool
	name string
	log  reader

	mu     sync.Mutex // guards what follows
	file   *cursorFile
	replay ReplayLane
}

func (s *Spool) newCursor(name string, f *cursorFile) *Cursor {
	c := &Cursor{s: s, name: name, file: f, log: reader{s: s, name: name}}
	c.replay = ReplayLane{c: c, reader: reader{s: s, name: name}}
	return c
}

// Ready returns a channel that is closed once Next has a record to return, or a
// removed file to let go of.
func (c *Cursor) Ready() <-chan struct{} {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.log.pos < s.next || c.log.holdsDroppedLocked() {
		return s.always
	}
	if s.more == nil {
		s.more = make(chan struct{})
	}
	return s.more
}

// Next returns the next record, ok false if none is there yet. Records that
// can't be read are counted, their file is kept aside, and the next good one is
// returned. After an error, which is the disk's, the call may be repeated.
func (c *Cursor) Next() (Record, bool, error) {
	r, ok, err := c.log.next(math.MaxUint64)
	if !ok && c.log.pos != c.log.returned && c.position().next == c.log.returned {
		// Nothing but lost records since the last commit: nobody else would save that.
		err = errors.Join(err, c.Commit(c.log.returned, Outcome{}))
	}
	return r, ok, err
}

// Commit makes durable, in one step, that every record before the sequence next is
// settled, and what became of those that Next returned since the last commit. It
// never moves back. After an error it may be repeated.
func (c *Cursor) Commit(next uint64, o Outcome) error {
	if next == c.log.returned {
		next = c.log.pos // lost records behind it are settled too
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.file.at
	if next <= p.next && o == (Outcome{}) {
		return nil
	}
	lost := c.log.passed(next)
	if err := checkOutcome(next-p.next, o, lost); err != nil {
		return fmt.Errorf("commit cursor %s at %d: %w", c.name, next, err)
	}
	if next == c.log.pos {
		p.before = c.log.before
	}
	p.next = next
	p.add(o, lost)
	if err := c.saveLocked(p); err != nil {
		return err
	}
	c.log.returned = max(c.log.returned, next)
	c.log.forgetGaps(next)
	return nil
}

// checkOutcome refuses an account that does not add up. Only a mistake in this
// program makes one.
func checkOutcome(passed uint64, o Outcome, lost uint64) error {
	if o.sum()+lost != passed {
		return fmt.Errorf("%d events are accounted for as %d delivered, %d sent, %d filtered, %d dead and %d unreadable",
			passed, o.Delivered, o.Sent, o.Filtered, o.Dead, lost)
	}
	return nil
}

// saveLocked makes a position durable and then shows it to the spool; c.mu is held.
func (c *Cursor) saveLocked(p position) error {
	if err := c.file.save(p); err != nil {
		return err
	}
	c.s.settle(c.name, c.file.at)
	return nil
}

func (c *Cursor) position() position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.at
}

// Position is how far the lanes of a cursor have come.
type Position struct {
	// Next is the sequence of the first event in the log that is not settled.
	Next uint64
	// Pass is the number of the latest replay, from 1; 0 if there was none.
	Pass uint64
	// ReplayNext is the sequence of the first event of that replay that is not
	// settled; where nothing is left of it, or there was none, what follows the last.
	ReplayNext uint64
	// Dead is how many events both lanes have handed over as dead letters.
	Dead uint64
}

// Position returns what is durable of the cursor's position.
func (c *Cursor) Position() Position {
	p := c.position()
	pos := Position{Next: p.next, Pass: p.pass, ReplayNext: p.replayNext, Dead: p.dead}
	if p.pass == 0 {
		pos.ReplayNext = math.MaxUint64
	}
	return pos
}

// begin makes the cursor's file, at the sequence at, with an account that begins
// there.
func (c *Cursor) begin(at uint64) error {
	c.mu.Lock()
	err := c.file.save(position{next: at, began: at})
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.s.adopt(c)
	return nil
}

func (c *Cursor) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.log.close(), c.replay.reader.close(), c.file.close())
}
