package endtoend

import (
	"fmt"
	"slices"
)

// Ledger is what became of a load in one output: its lines, and where the
// process was ended. It checks the promises that a sender and a reader of the
// output can check.
type Ledger struct {
	Format string
	// Unordered says that events may have come late, as dead letters do that are sent
	// again: neither the order of lines nor which ones are there again is checked.
	Unordered bool
	// Partial says that some events were given up, and so may be missing.
	Partial bool
	tail    Tail
	lines   []Line
	ends    []int // how many lines there were when a process had ended
}

// NewLedger returns the ledger of an output that has nothing yet.
func NewLedger(o Output) *Ledger { return &Ledger{Format: o.Format, tail: Tail{Path: o.Path}} }

// Read reads what the output has got since the last time.
func (l *Ledger) Read() error {
	lines, err := l.tail.Read()
	if err != nil {
		return err
	}
	for _, text := range lines {
		line, err := ParseLine(l.Format, text)
		if err != nil {
			return fmt.Errorf("line %d of %s: %w", len(l.lines)+1, l.tail.Path, err)
		}
		l.lines = append(l.lines, line)
	}
	return nil
}

// Ended reads, and notes that the process has ended: some of what it wrote last
// may now be written again.
func (l *Ledger) Ended() error {
	err := l.Read()
	l.ends = append(l.ends, len(l.lines))
	return err
}

// Finish reads the rest; nothing may be torn any more.
func (l *Ledger) Finish() error {
	if err := l.Read(); err != nil {
		return err
	}
	torn, err := l.tail.Torn()
	if err == nil && torn > 0 {
		err = fmt.Errorf("the last %d bytes of %s are no whole line", torn, l.tail.Path)
	}
	return err
}

// Lines is how many lines were read.
func (l *Ledger) Lines() int { return len(l.lines) }

// Again is how many lines repeat an earlier one.
func (l *Ledger) Again() int {
	seen := map[string]bool{}
	for _, line := range l.lines {
		seen[line.EventID] = true
	}
	return len(l.lines) - len(seen)
}

type deliveryKey struct {
	record string
	number int
}

// Check returns what is wrong: nothing if every delivery that was accepted is
// there under the id of its answer and with its bytes; every line is of a
// delivery, and no delivery has two ids; the first copies are in the order in
// which each record's webhooks were sent, and in that of event.sequence; and
// after each end of a process at most maxAgain lines are there again, the last
// ones before it, in their order.
func (l *Ledger) Check(sent []Delivery, maxAgain int) []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	ids := l.checkLines(sent, add)
	for _, d := range sent {
		id := ids[deliveryKey{d.Record, d.Number}]
		switch {
		case d.Accepted() && id == "" && !l.Partial:
			add("webhook %d of record %s was accepted as %s and is lost", d.Number, d.Record, d.Answer.ID)
		case d.Accepted() && id != "" && id != d.Answer.ID:
			add("webhook %d of record %s was accepted as %s and came as %s", d.Number, d.Record, d.Answer.ID, id)
		}
	}
	if !l.Unordered {
		l.checkAgain(maxAgain, add)
	}
	return problems
}

// checkLines looks at every line and returns the event id of each delivery.
func (l *Ledger) checkLines(sent []Delivery, add func(string, ...any)) map[deliveryKey]string {
	hashes := map[deliveryKey]string{}
	for _, d := range sent {
		hashes[deliveryKey{d.Record, d.Number}] = d.Hash
	}
	ids := map[deliveryKey]string{}
	seen := map[string]bool{}
	newest := map[string]int{}
	var sequence uint64
	for i, line := range l.lines {
		key := deliveryKey{line.Record, line.number()}
		hash, known := hashes[key]
		switch {
		case !known:
			add("line %d is of no webhook that was sent: %+v", i+1, line)
		case line.Hash != "" && line.Hash != hash:
			add("line %d has another body than webhook %d of record %s", i+1, key.number, key.record)
		}
		if other := ids[key]; other != "" && other != line.EventID {
			add("webhook %d of record %s came as %s and as %s", key.number, key.record, other, line.EventID)
		}
		ids[key] = line.EventID
		if seen[line.EventID] || l.Unordered {
			continue
		}
		seen[line.EventID] = true
		if key.number <= newest[key.record] {
			add("line %d: webhook %d of record %s came after %d", i+1, key.number, key.record, newest[key.record])
		}
		newest[key.record] = key.number
		if line.Sequence != 0 && line.Sequence <= sequence {
			add("line %d: event.sequence %d came after %d", i+1, line.Sequence, sequence)
		}
		sequence = line.Sequence
	}
	return ids
}

// checkAgain looks for lines that are there again. Each process may begin with what the
// one before had not settled, at most maxAgain lines, in their order, and goes on to the
// newest line before it sends a new one. One that ended in between leaves the rest of
// them to the next.
func (l *Ledger) checkAgain(maxAgain int, add func(string, ...any)) {
	begin := 0
	place := map[string]int{} // of each event's first copy among all first copies
	for _, end := range append(slices.Clone(l.ends), len(l.lines)) {
		known := len(place)
		again, next := 0, -1 // where the next copy has to be from
		for i := begin; i < end; i++ {
			id := l.lines[i].EventID
			at, seen := place[id]
			if !seen {
				place[id] = len(place)
				if next >= 0 && next < known {
					add("line %d is new, and of what the process before it had sent last %d were not sent again", i+1, known-next)
				}
				next = -1
				continue
			}
			if first := i == begin; first && at < known-maxAgain || !first && at != next {
				add("line %d is there again, and is not of the last batch before line %d, where a process began: at most %d may be", i+1, begin+1, maxAgain)
				break
			}
			again, next = again+1, at+1
		}
		for _, line := range l.lines[begin:end] { // also what a problem left out
			if _, seen := place[line.EventID]; !seen {
				place[line.EventID] = len(place)
			}
		}
		if again > maxAgain {
			add("%d lines are there again from line %d on, where a process began; at most %d may be", again, begin+1, maxAgain)
		}
		begin = end
	}
}
