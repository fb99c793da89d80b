package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
)

const (
	pageLetters = 64
	pageBytes   = 1 << 20 // of bodies; one that is larger comes alone
)

// Queue is the letters lane of one output: the letters that were set back to pending,
// oldest sequence first. One goroutine uses it at a time.
type Queue struct {
	s      *Store
	output string

	// What follows is guarded by Store.mu.
	page   []Letter      // read and not returned yet
	handed map[int64]int // returned and not committed, with the order
	order  int
	back   map[int64]struct{} // returned, and put back since; until the next Commit
	ready  chan struct{}      // closed when there is something; nil if nobody waits
}

// Outcome counts what became of letters of the queue. Those that are Sent were handed
// over on a way that confirms nothing.
type Outcome struct{ Delivered, Sent, Filtered uint64 }

func (o Outcome) sum() uint64 { return o.Delivered + o.Sent + o.Filtered }

// Queue returns the queue of an output, always the same one.
func (s *Store) Queue(output string) *Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[output]
	if q == nil {
		q = &Queue{s: s, output: output}
		q.rewindLocked()
		s.queues[output] = q
	}
	return q
}

// Rewind returns every queued letter once more, from the oldest.
func (q *Queue) Rewind() {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	q.rewindLocked()
}

func (q *Queue) rewindLocked() {
	q.page = nil
	q.handed = make(map[int64]int)
	q.back = make(map[int64]struct{})
	q.wakeLocked()
}

func (q *Queue) wakeLocked() {
	if q.ready != nil && q.waitingLocked() > 0 {
		close(q.ready)
		q.ready = nil
	}
}

// waitingLocked counts the letters that Next has not returned.
func (q *Queue) waitingLocked() int64 { return q.s.counts[q.output].queued - int64(len(q.handed)) }

// handedLocked tells whether the letter was returned since the last Commit.
func (q *Queue) handedLocked(id int64) bool {
	_, handed := q.handed[id]
	_, back := q.back[id]
	return handed || back
}

// backLocked notes that the letter was put back. Should somebody queue it anew before
// the next Commit, then it is returned anew.
func (q *Queue) backLocked(id int64) {
	delete(q.handed, id)
	q.back[id] = struct{}{}
	q.page = nil
}

// Ready returns a channel that is closed once Next has a letter to return.
func (q *Queue) Ready() <-chan struct{} {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	if q.waitingLocked() > 0 {
		return q.s.always
	}
	if q.ready == nil {
		q.ready = make(chan struct{})
	}
	return q.ready
}

// Next returns the next letter with its body; ok is false if there is none now. A
// letter whose body is not what was stored becomes dead again and is passed over.
// After an error the call may be repeated.
func (q *Queue) Next() (l Letter, ok bool, err error) {
	for {
		l, ok, more := q.take()
		if ok || !more {
			return l, ok, nil
		}
		if err := q.fill(); err != nil {
			return Letter{}, false, fmt.Errorf("read queued dead letters of %s: %w", q.output, err)
		}
	}
}

// take returns a letter of the page; more tells whether there are others in the file.
func (q *Queue) take() (l Letter, ok, more bool) {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	if q.waitingLocked() <= 0 {
		return Letter{}, false, false
	}
	if len(q.page) == 0 {
		return Letter{}, false, true
	}
	l, q.page = q.page[0], q.page[1:]
	q.order++
	q.handed[l.ID] = q.order
	return l, true, true
}

// fill reads a page, and sets letters with a damaged body back to dead.
func (q *Queue) fill() error {
	return q.s.change(func(tx *sql.Tx, c *changes) error {
		page, damaged, err := q.read(tx)
		if err != nil {
			return err
		}
		if len(page)+len(damaged) == 0 {
			return fmt.Errorf("%w: letters are counted that are not there", ErrDamaged)
		}
		for _, l := range damaged {
			q.s.db.log.Error("the body of a dead letter is damaged; it can't be sent again", "output", q.output, "id", l.ID, "event", l.EventID)
			if _, err := tx.ExecContext(context.Background(), `UPDATE letters SET state = ? WHERE id = ?`, stateDead, l.ID); err != nil {
				return err
			}
			c.add(q.output, counts{dead: 1, queued: -1})
		}
		c.then = append(c.then, func() { q.page = page })
		return nil
	})
}

func (q *Queue) read(tx *sql.Tx) (page, damaged []Letter, err error) {
	q.s.mu.Lock()
	handed := jsonArray(slices.Collect(maps.Keys(q.handed)))
	q.s.mu.Unlock()
	rows, err := tx.QueryContext(context.Background(), selectWithBody+` WHERE output = ? AND state = 1
		AND letters.id NOT IN (SELECT value FROM json_each(?)) ORDER BY sequence, pass LIMIT ?`, q.output, handed, pageLetters)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for size := 0; size < pageBytes && rows.Next(); {
		l, err := scanWithBody(rows)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, nil, err
		}
		size += l.Size
		if err != nil {
			damaged = append(damaged, l)
		} else {
			page = append(page, l)
		}
	}
	return page, damaged, rows.Err()
}

// Commit makes durable that as many of the letters that were returned since the last
// Commit, and not put back, have left as o counts, the first ones. Those that were
// returned after them stay in hand. After an error it may be repeated.
//
// A letter that was put back and has left all the same was put by the log's lane,
// which had lost its cursor and came to the event once more: the letter is that
// entry's from then on, and only the queue's one ends.
func (q *Queue) Commit(o Outcome) error {
	q.s.mu.Lock()
	ids := slices.SortedFunc(maps.Keys(q.handed), func(a, b int64) int { return q.handed[a] - q.handed[b] })
	most := uint64(len(ids) + len(q.back))
	q.s.mu.Unlock()
	if n := o.sum(); n > most {
		return fmt.Errorf("commit dead letters of %s: %d have left, %d are in hand", q.output, n, most)
	}
	n := min(o.sum(), uint64(len(ids)))
	ids = ids[:n]
	if o == (Outcome{}) {
		q.s.mu.Lock()
		clear(q.back)
		q.s.mu.Unlock()
		return nil
	}
	err := q.s.change(func(tx *sql.Tx, c *changes) error {
		const these = ` FROM letters WHERE output = ? AND state = 1 AND id IN (SELECT value FROM json_each(?))`
		var rows, bytes int64
		if err := tx.QueryRowContext(context.Background(), `SELECT COUNT(*), COALESCE(SUM(size), 0)`+these, q.output, jsonArray(ids)).Scan(&rows, &bytes); err != nil {
			return err
		}
		if uint64(rows) != n {
			return fmt.Errorf("%w: %d letters are in hand, %d of them are there", ErrDamaged, n, rows)
		}
		if _, err := tx.ExecContext(context.Background(), `DELETE`+these, q.output, jsonArray(ids)); err != nil {
			return err
		}
		c.add(q.output, counts{queued: -rows, bytes: -bytes, delivered: int64(o.Delivered), sent: int64(o.Sent), filtered: int64(o.Filtered)})
		c.then = append(c.then, func() {
			clear(q.back)
			for _, id := range ids {
				delete(q.handed, id)
			}
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("commit dead letters of %s: %w", q.output, err)
	}
	return nil
}
