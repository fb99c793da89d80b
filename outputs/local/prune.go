package local

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
)

// pruneLeast is how many old events a Send lets go of besides twice as many as it
// stores, so that a lowered limit is reached soon and no Send takes long for it.
const pruneLeast = 200

// prune lets go of at most n of the oldest events: those that are older than the
// retention, and as many as there are too many for the size.
func (o *Output) prune(w *writing, n int) error {
	before := int64(0)
	if o.c.Retention > 0 {
		before = o.o.Now().Add(-o.c.Retention).UnixNano()
	}
	gone, err := w.dropEvents(before, n)
	if err != nil {
		return err
	}
	if gone < n {
		full, err := w.full(int64(o.c.MaxSize))
		if err != nil {
			return err
		}
		if full {
			if gone, err = w.dropEvents(1<<63-1, n-gone); err != nil {
				return err
			}
			if gone == 0 { // then it is the records that fill it
				return w.dropRecords(n, maxNumber)
			}
			// The index lets go of what was deleted as it is merged.
			if _, err := w.tx.ExecContext(context.Background(), `INSERT INTO events_text (events_text, rank) VALUES ('merge', 500)`); err != nil {
				return err
			}
		}
	}
	return w.dropRecords(n, before)
}

// full tells whether the database takes more than it may.
func (w *writing) full(limit int64) (bool, error) {
	var pages, free, size int64
	err := w.tx.QueryRowContext(context.Background(), `SELECT a.page_count, b.freelist_count, c.page_size
		FROM pragma_page_count a, pragma_freelist_count b, pragma_page_size c`).Scan(&pages, &free, &size)
	return (pages-free)*size > limit, err
}

// dropEvents deletes at most n of the oldest events that were accepted before a time.
func (w *writing) dropEvents(before int64, n int) (gone int, err error) {
	rows, err := w.tx.QueryContext(context.Background(),
		`SELECT n, accepted, company, word FROM events WHERE accepted < ? ORDER BY accepted LIMIT ?`, before, n)
	if err != nil {
		return 0, err
	}
	var list []int64
	err = each(rows, func() error {
		var n, accepted, company int64
		var word int
		if err := rows.Scan(&n, &accepted, &company, &word); err != nil {
			return err
		}
		w.counted(accepted/int64(time.Second), company, word, -1)
		list = append(list, n)
		return nil
	})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	slices.Sort(list)
	for _, n := range list {
		if err := w.exec(w.unindex, n); err != nil {
			return 0, err
		}
		if _, err := w.tx.ExecContext(context.Background(), `DELETE FROM events WHERE n = ?`, n); err != nil {
			return 0, err
		}
	}
	return len(list), w.flush()
}

// dropRecords deletes at most n of the oldest records that have not changed since a
// time: those that are not open, or all if it is maxNumber.
func (w *writing) dropRecords(n int, before int64) error {
	rows, err := w.tx.QueryContext(context.Background(),
		`SELECT n FROM records WHERE updated < ?1 AND (open = 0 OR ?1 = ?2) ORDER BY updated LIMIT ?3`, before, maxNumber, n)
	if err != nil {
		return err
	}
	var list []int64
	err = each(rows, func() error {
		var n int64
		list = append(list, 0)
		err := rows.Scan(&n)
		list[len(list)-1] = n
		return err
	})
	if err != nil {
		return err
	}
	slices.Sort(list)
	return w.dropNumbers(list)
}

// each calls f for every row and closes rows.
func each(rows *sql.Rows, f func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := f(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// upkeep lets go of old events while none come. It runs until Close.
func (o *Output) upkeep() {
	tick := time.NewTicker(o.o.Upkeep)
	defer tick.Stop()
	for {
		select {
		case <-o.stop:
			return
		case <-tick.C:
			o.prunes()
		}
	}
}

// prunes prunes a database that is open, a part at a time.
func (o *Output) prunes() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.db == nil {
		return
	}
	err := o.write(func(d *database) error {
		return sqlitefile.Transact(d.db, func(tx *sql.Tx) error {
			return o.prune(o.begin(d, tx), 20*pruneLeast)
		})
	})
	if err != nil {
		o.o.Logger.Warn("old events could not be deleted from the local store", "file", o.c.Path, "error", err)
	}
}
