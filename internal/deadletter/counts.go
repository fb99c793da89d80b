package deadletter

import (
	"context"
	"database/sql"
	"strconv"
)

// counts is a row of the table outputs. dead and bytes are those of all rows, also of
// letters that are not settled.
type counts struct {
	dead, queued, bytes                               int64
	delivered, sent, filtered, dropped, lost, carried int64
}

func (c counts) plus(d counts) counts {
	return counts{
		dead: c.dead + d.dead, queued: c.queued + d.queued, bytes: c.bytes + d.bytes,
		delivered: c.delivered + d.delivered, sent: c.sent + d.sent, filtered: c.filtered + d.filtered,
		dropped: c.dropped + d.dropped, lost: c.lost + d.lost, carried: c.carried + d.carried,
	}
}

// left counts the letters that have left.
func (c counts) left() int64 { return c.delivered + c.sent + c.filtered + c.dropped + c.lost }

// changes is what a transaction does to the accounts.
type changes struct {
	counts map[string]counts // differences, by output
	// then runs with Store.mu held once the transaction is durable.
	then []func()
}

func (c *changes) add(output string, d counts) { c.counts[output] = c.counts[output].plus(d) }

// change runs f in a transaction that also writes the accounts. What is kept in
// memory changes only after the commit.
func (s *Store) change(f func(*sql.Tx, *changes) error) error {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	c := changes{counts: make(map[string]counts)}
	s.mu.Lock()
	mark := s.mark[:len(s.mark):len(s.mark)]
	s.mu.Unlock()
	err := s.db.update(func(tx *sql.Tx) error {
		if len(mark) > 0 {
			if _, err := tx.ExecContext(context.Background(), `UPDATE letters SET settled = 1 WHERE id IN (SELECT value FROM json_each(?))`, jsonArray(mark)); err != nil {
				return err
			}
		}
		if err := f(tx, &c); err != nil {
			return err
		}
		return s.save(tx, c.counts)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark = append([]int64(nil), s.mark[len(mark):]...)
	for output, d := range c.counts {
		s.counts[output] = s.counts[output].plus(d)
		s.used += d.bytes
	}
	for _, then := range c.then {
		then()
	}
	return nil
}

// save writes the accounts that change: a start on a full disk must not have to write.
func (s *Store) save(tx *sql.Tx, differences map[string]counts) error {
	for output, d := range differences {
		if d == (counts{}) && s.hasCounts(output) {
			continue
		}
		c := s.countsOf(output).plus(d)
		_, err := tx.ExecContext(context.Background(), `INSERT OR REPLACE INTO outputs
			(output, dead, queued, bytes, delivered, sent, filtered, dropped, lost, carried) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			output, c.dead, c.queued, c.bytes, c.delivered, c.sent, c.filtered, c.dropped, c.lost, c.carried)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) countsOf(output string) counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[output]
}

func (s *Store) hasCounts(output string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.counts[output]
	return has
}

// jsonArray writes numbers as SQLite's json_each reads them: one parameter, however
// many there are.
func jsonArray[N int64 | uint64](numbers []N) string {
	b := make([]byte, 0, 2+8*len(numbers))
	b = append(b, '[')
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(append(b, ']'))
}
