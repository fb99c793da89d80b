package deadletter

import (
	"context"
	"database/sql"
	"fmt"
)

// Requeue sets the selected dead letters back to pending, durably, and returns how
// many those are. The queue of their output will return them.
func (s *Store) Requeue(sel Selection) (int, error) {
	n, err := s.move(sel, `UPDATE letters SET state = 1, settled = 1`, func(g group) counts {
		return counts{dead: -g.letters, queued: g.letters}
	})
	if err != nil {
		return 0, fmt.Errorf("queue dead letters: %w", err)
	}
	return n, nil
}

// Drop gives the selected dead letters up, and returns how many those are.
func (s *Store) Drop(sel Selection) (int, error) {
	n, err := s.move(sel, `DELETE FROM letters`, func(g group) counts {
		return counts{dead: -g.letters, bytes: -g.bytes, dropped: g.letters}
	})
	if err != nil {
		return 0, fmt.Errorf("drop dead letters: %w", err)
	}
	return n, nil
}

// group is what a statement does to the letters of one output.
type group struct {
	output         string
	letters, bytes int64
}

// move runs a statement on the selected dead letters and books it.
func (s *Store) move(sel Selection, statement string, book func(group) counts) (int, error) {
	if sel.empty() {
		return 0, fmt.Errorf("%w: All selects every letter", ErrNothingSelected)
	}
	sel.Queued = false
	total := 0
	err := s.change(func(tx *sql.Tx, c *changes) error {
		condition, args := s.where(sel)
		groups, err := groupsOf(tx, condition, args)
		if err != nil || len(groups) == 0 {
			return err
		}
		if _, err := tx.ExecContext(context.Background(), statement+condition, args...); err != nil {
			return err
		}
		for _, g := range groups {
			total += int(g.letters)
			c.add(g.output, book(g))
			c.then = append(c.then, func() {
				if q := s.queues[g.output]; q != nil {
					q.page = nil // an older one may come first now
					q.wakeLocked()
				}
			})
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return total, nil
}

func groupsOf(tx *sql.Tx, condition string, args []any) ([]group, error) {
	query := `SELECT output, COUNT(*), SUM(size) FROM letters` + condition + ` GROUP BY output` //nolint:gosec // every value in the condition is a parameter
	rows, err := tx.QueryContext(context.Background(), query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var groups []group
	for rows.Next() {
		var g group
		if err := rows.Scan(&g.output, &g.letters, &g.bytes); err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, rows.Err()
}

// Delivered says that a replay has delivered the events of these sequences to the
// output: their dead letters leave as delivered.
func (s *Store) Delivered(output string, sequences []uint64) error {
	return s.replayed(output, sequences, func(n int64) counts { return counts{delivered: n} })
}

// Sent is Delivered for a replay on a way that confirms nothing: the letters leave as
// sent.
func (s *Store) Sent(output string, sequences []uint64) error {
	return s.replayed(output, sequences, func(n int64) counts { return counts{sent: n} })
}

// replayed removes the letters of events that a replay has settled; book says what a
// number of them counts as.
func (s *Store) replayed(output string, sequences []uint64, book func(n int64) counts) error {
	s.mu.Lock()
	none := len(sequences) == 0 || s.counts[output].dead == int64(len(s.unsettled[output]))
	s.mu.Unlock()
	if none {
		return nil
	}
	err := s.change(func(tx *sql.Tx, c *changes) error {
		condition, args := s.where(Selection{Output: output})
		condition += ` AND sequence IN (SELECT value FROM json_each(?))`
		args = append(args, jsonArray(sequences))
		groups, err := groupsOf(tx, condition, args)
		if err != nil || len(groups) == 0 {
			return err
		}
		statement := `DELETE FROM letters` + condition //nolint:gosec // every value in the condition is a parameter
		if _, err := tx.ExecContext(context.Background(), statement, args...); err != nil {
			return err
		}
		c.add(output, book(groups[0].letters).plus(counts{dead: -groups[0].letters, bytes: -groups[0].bytes}))
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle %d dead letters of %s: %w", len(sequences), output, err)
	}
	return nil
}
