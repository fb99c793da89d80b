package deadletter

import (
	"context"
	"database/sql"
	"fmt"
)

// Position is how far the lanes of an output's cursor have come, durably.
type Position struct {
	// Next is the sequence that follows the last one that the log lane has passed.
	Next uint64
	// Pass is the number of the latest replay, 0 if there was none, ReplayNext what
	// follows the last sequence that it has passed.
	Pass, ReplayNext uint64
	// Dead counts the letters that the cursor says it has handed over.
	Dead uint64
}

// Begin is called for every output that has a cursor, after Open and before anything
// is read for it. Unsettled letters that the cursor has not passed are deleted: their
// events are pending and will be sent again. What is left is settled, and compared
// with the counts: letters that are missing are lost, letters that the cursor does
// not know of are carried.
func (s *Store) Begin(output string, p Position) error {
	var lost, carried int64
	err := s.change(func(tx *sql.Tx, c *changes) error {
		gone, bytes, err := s.deleteAhead(tx, output, p)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(context.Background(), `UPDATE letters SET settled = 1 WHERE output = ? AND settled = 0`, output); err != nil {
			return err
		}
		now := s.countsOf(output)
		here := now.dead - gone + now.queued
		due := int64(p.Dead) + now.carried - now.left()
		lost, carried = max(due-here, 0), max(here-due, 0)
		c.add(output, counts{dead: -gone, bytes: -bytes, lost: lost, carried: carried})
		c.then = append(c.then, func() {
			delete(s.unsettled, output)
			if q := s.queues[output]; q != nil {
				q.rewindLocked()
			}
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin with the dead letters of %s: %w", output, err)
	}
	if lost > 0 {
		s.db.log.Error("dead letters are missing; they count as unreadable", "output", output, "count", lost)
	}
	if carried > 0 {
		s.db.log.Warn("there are dead letters that the output's cursor does not know of; they are kept", "output", output, "count", carried)
	}
	return nil
}

// deleteAhead deletes the letters that Begin says are to go. Queued ones are settled.
func (s *Store) deleteAhead(tx *sql.Tx, output string, p Position) (gone, bytes int64, err error) {
	const ahead = ` FROM letters WHERE output = ? AND settled = 0 AND
		(pass = 0 AND sequence >= ? OR pass > 0 AND pass = ? AND sequence >= ? OR pass > ?)`
	args := []any{output, int64(p.Next), int64(p.Pass), int64(p.ReplayNext), int64(p.Pass)}
	if err := tx.QueryRowContext(context.Background(), `SELECT COUNT(*), COALESCE(SUM(size), 0)`+ahead, args...).Scan(&gone, &bytes); err != nil || gone == 0 {
		return 0, 0, err
	}
	_, err = tx.ExecContext(context.Background(), `DELETE`+ahead, args...)
	return gone, bytes, err
}

// Forget deletes every letter of an output and its account. No relay may run for it.
func (s *Store) Forget(output string) error {
	err := s.change(func(tx *sql.Tx, c *changes) error {
		for _, statement := range []string{`DELETE FROM letters WHERE output = ?`, `DELETE FROM outputs WHERE output = ?`} {
			if _, err := tx.ExecContext(context.Background(), statement, output); err != nil {
				return err
			}
		}
		c.then = append(c.then, func() {
			s.used -= s.counts[output].bytes
			delete(s.counts, output)
			delete(s.unsettled, output)
			delete(s.queues, output)
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget the dead letters of %s: %w", output, err)
	}
	return nil
}
