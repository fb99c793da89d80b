package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Selection is a set of settled letters: those that meet every condition that is set.
// List and Count take an empty one as all letters; Requeue and Drop need All for that.
type Selection struct {
	Output string
	IDs    []int64
	// Sequence is that of the event; 0 is any.
	Sequence uint64
	// Reason, Kind and Company are compared exactly.
	Reason, Kind, Company string
	// Since and Before compare the time of the last refusal: Since <= t < Before.
	Since, Before time.Time
	// Queued: the letters that were set back to pending, instead of the dead ones.
	// Only List and Count know it.
	Queued bool
	All    bool
}

func (sel Selection) empty() bool {
	return sel.Output == "" && sel.IDs == nil && sel.Sequence == 0 && sel.Reason == "" && sel.Kind == "" && sel.Company == "" &&
		sel.Since.IsZero() && sel.Before.IsZero() && !sel.All
}

// where returns the condition and its parameters. Every value is a parameter.
func (s *Store) where(sel Selection) (condition string, args []any) {
	state := stateDead
	if sel.Queued {
		state = stateQueued
	}
	conditions := []string{"state = ?", "letters.id NOT IN (SELECT value FROM json_each(?))"}
	args = []any{state, jsonArray(s.unsettledIDs())}
	for _, c := range []struct {
		set       bool
		condition string
		value     any
	}{
		{sel.Output != "", "output = ?", sel.Output},
		{sel.IDs != nil, "letters.id IN (SELECT value FROM json_each(?))", jsonArray(sel.IDs)},
		{sel.Sequence != 0, "sequence = ?", int64(sel.Sequence)},
		{sel.Reason != "", "reason = ?", sel.Reason},
		{sel.Kind != "", "kind = ?", sel.Kind},
		{sel.Company != "", "company = ?", sel.Company},
		{!sel.Since.IsZero(), "refused >= ?", nano(sel.Since)},
		{!sel.Before.IsZero(), "refused < ?", nano(sel.Before)},
	} {
		if c.set {
			conditions = append(conditions, c.condition)
			args = append(args, c.value)
		}
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}

func (s *Store) unsettledIDs() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []int64
	for _, ids := range s.unsettled {
		for id := range ids {
			all = append(all, id)
		}
	}
	return all
}

const (
	selectColumns = `SELECT letters.id, output, pass, sequence, state, event, accepted, possible_retry, overwrite, kind, company, record, title, code,
		reason, error, tries, first, refused, body_size`
	selectWithBody = selectColumns + `, body_crc, body FROM letters LEFT JOIN bodies ON bodies.id = letters.id`
)

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner, more ...any) (Letter, error) {
	var l Letter
	var accepted, first, refused int64
	dest := append([]any{
		&l.ID, &l.Output, &l.Pass, &l.Sequence, &l.Queued, &l.EventID, &accepted, &l.PossibleRetry, &l.Overwrite, &l.Kind, &l.Company,
		&l.Record, &l.Title, &l.Code, &l.Reason, &l.Error, &l.Tries, &first, &refused, &l.Size,
	}, more...)
	if err := row.Scan(dest...); err != nil {
		return Letter{}, err
	}
	l.Accepted, l.First, l.Refused = fromNano(accepted), fromNano(first), fromNano(refused)
	return l, nil
}

// scanWithBody returns the letter with ErrDamaged if its body is not what was stored.
func scanWithBody(row scanner) (Letter, error) {
	var crc int64
	var body []byte
	l, err := scan(row, &crc, &body)
	if err != nil {
		return Letter{}, err
	}
	l.Body = body
	if len(body) != l.Size || int64(checksum(body)) != crc {
		return l, fmt.Errorf("%w: the body of letter %d is not what was stored", ErrDamaged, l.ID)
	}
	return l, nil
}

// maxListed is the most that one listing returns.
const maxListed = 1000

// List returns the selected letters without bodies, by number, those after the number
// after, at most limit, which is 1 to 1,000.
func (s *Store) List(sel Selection, limit int, after int64) ([]Letter, error) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	condition, args := s.where(sel)
	var letters []Letter
	err := s.db.update(func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(context.Background(), selectColumns+` FROM letters`+condition+` AND letters.id > ? ORDER BY letters.id LIMIT ?`,
			append(args, after, min(max(limit, 1), maxListed))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			l, err := scan(rows)
			if err != nil {
				return err
			}
			letters = append(letters, l)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

// Get returns a settled letter, dead or queued, with its body. With ErrDamaged it
// returns the letter as far as it can be read.
func (s *Store) Get(id int64) (l Letter, err error) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var damage error // of this body alone
	err = s.db.update(func(tx *sql.Tx) (err error) {
		l, err = scanWithBody(tx.QueryRowContext(context.Background(),
			selectWithBody+` WHERE letters.id = ? AND letters.id NOT IN (SELECT value FROM json_each(?))`, id, jsonArray(s.unsettledIDs())))
		if errors.Is(err, ErrDamaged) {
			damage = err
			return nil
		}
		return err
	})
	if err == nil {
		err = damage
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return l, fmt.Errorf("read dead letter %d: %w", id, err)
	}
	return l, nil
}

// Count returns how many letters are selected and what they take of MaxSize.
func (s *Store) Count(sel Selection) (letters int, bytes int64, err error) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	condition, args := s.where(sel)
	err = s.db.update(func(tx *sql.Tx) error {
		return tx.QueryRowContext(context.Background(), `SELECT COUNT(*), COALESCE(SUM(size), 0) FROM letters`+condition, args...).Scan(&letters, &bytes)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count dead letters: %w", err)
	}
	return letters, bytes, nil
}
