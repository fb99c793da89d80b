package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// List returns rejected bodies, without the bodies, by number: those after the number
// after, at most limit, which is 1 to 1,000. It sees what was kept before the call.
func (r *Rejects) List(limit int, after int64) ([]Rejected, error) {
	r.flush()
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	var list []Rejected
	err := r.db.update(func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(context.Background(), `SELECT id, at, address, reason, size FROM rejected WHERE id > ? ORDER BY id LIMIT ?`,
			after, min(max(limit, 1), maxListed))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			x, err := scanRejected(rows)
			if err != nil {
				return err
			}
			list = append(list, x)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list rejected bodies: %w", err)
	}
	return list, nil
}

// Count returns how many bodies are kept. It sees what was kept before the call.
func (r *Rejects) Count() (n int, err error) {
	r.flush()
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	err = r.db.update(func(tx *sql.Tx) error {
		return tx.QueryRowContext(context.Background(), `SELECT COUNT(*) FROM rejected`).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count rejected bodies: %w", err)
	}
	return n, nil
}

func scanRejected(row scanner, more ...any) (Rejected, error) {
	var x Rejected
	var at int64
	if err := row.Scan(append([]any{&x.ID, &at, &x.Address, &x.Reason, &x.Size}, more...)...); err != nil {
		return Rejected{}, err
	}
	x.At = fromNano(at)
	return x, nil
}

// Get returns one with its body, or ErrNotFound.
func (r *Rejects) Get(id int64) (x Rejected, err error) {
	r.flush()
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	var body []byte
	err = r.db.update(func(tx *sql.Tx) (err error) {
		x, err = scanRejected(tx.QueryRowContext(context.Background(), `SELECT id, at, address, reason, size, body FROM rejected WHERE id = ?`, id), &body)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Rejected{}, fmt.Errorf("read rejected body %d: %w", id, err)
	}
	x.Body = body
	return x, nil
}

// Remove deletes one, or returns ErrNotFound.
func (r *Rejects) Remove(id int64) error {
	r.flush()
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	kept, size := r.keptNow()
	at := -1
	for i, k := range kept {
		if k.id == id {
			at = i
		}
	}
	if at < 0 {
		return fmt.Errorf("remove rejected body %d: %w", id, ErrNotFound)
	}
	err := r.db.update(func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), `DELETE FROM rejected WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove rejected body %d: %w", id, err)
	}
	left := append(append([]keptBody(nil), kept[:at]...), kept[at+1:]...)
	r.setKept(left, size-kept[at].size)
	return nil
}
