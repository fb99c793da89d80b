package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
)

// database is the file, open to write. One goroutine at a time uses it.
type database struct {
	path string
	info os.FileInfo // of the file that is open
	db   *sql.DB
	statements

	last   row   // the newest event
	offset int64 // what makes a number of a sequence
}

// row tells where an event is, and when it was accepted.
type row struct{ n, accepted int64 }

// statements are those that run for each event.
type statements struct {
	insert, event, replace, index, unindex   *sql.Stmt
	record, putRecord, dropRecord            *sql.Stmt
	indexRecord, unindexRecord, count, below *sql.Stmt
	above, uncount                           *sql.Stmt
}

// cachePages is what one connection keeps of the file in memory, as PRAGMA cache_size:
// 4 MiB.
const cachePages = "-4096"

// openDatabase opens the file at path to write, and makes it if it isn't there.
func openDatabase(path string) (d *database, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for the local store: %w", err)
	}
	d = &database{path: path}
	d.db, err = sqlitefile.Open(sqlitefile.Options{
		Path: path, Layout: databaseLayout(), Load: d.load,
		Pragmas: []string{
			"journal_mode(wal)", "synchronous(full)", "cache_size(" + cachePages + ")", "mmap_size(0)",
			"journal_size_limit(8388608)", "temp_store(memory)",
		},
	})
	if err != nil {
		return nil, err
	}
	if d.info, err = os.Stat(path); err != nil {
		err = fmt.Errorf("look at the local store: %w", err)
	} else {
		err = sqlitefile.Classify(d.prepare())
	}
	if err != nil {
		return nil, errors.Join(err, d.db.Close())
	}
	return d, nil
}

// load reads what is kept in memory.
func (d *database) load(tx *sql.Tx) error {
	err := tx.QueryRowContext(context.Background(), `SELECT n, accepted FROM events ORDER BY n DESC LIMIT 1`).Scan(&d.last.n, &d.last.accepted)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err = tx.QueryRowContext(context.Background(), `SELECT value FROM settings WHERE name = 'offset'`).Scan(&d.offset)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return nil
}

func (d *database) prepare() error {
	for text, into := range map[string]**sql.Stmt{
		`INSERT INTO events (n, sequence, id, accepted, company, word, packed) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`: &d.insert,
		`SELECT id, accepted, company, word FROM events WHERE n = ?`:                                                                &d.event,
		`UPDATE events SET company = ?, word = ?, packed = ? WHERE n = ?`:                                                           &d.replace,
		`INSERT INTO events_text (rowid, text, company, source, facets) VALUES (?, ?, ?, ?, ?)`:                                     &d.index,
		`DELETE FROM events_text WHERE rowid = ?`:                                                                                   &d.unindex,
		`SELECT n, event, company, version, noted, packed FROM records WHERE hash = ?`:                                              &d.record,
		`INSERT INTO records (n, hash, event, version, noted, updated, company, kind, risk, severity, open, packed)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`: &d.putRecord,
		`DELETE FROM records WHERE n = ?`: &d.dropRecord,
		`INSERT INTO records_text (rowid, text, company, source, facets) VALUES (?, ?, ?, ?, ?)`: &d.indexRecord,
		`DELETE FROM records_text WHERE rowid = ?`:                                               &d.unindexRecord,
		`INSERT INTO counts (span, start, company, word, events) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET events = events + excluded.events`: &d.count,
		`DELETE FROM counts WHERE span = ? AND start = ? AND company = ? AND word = ? AND events <= 0`: &d.uncount,
		`SELECT accepted FROM events WHERE n < ? ORDER BY n DESC LIMIT 1`:                              &d.below,
		`SELECT accepted FROM events WHERE n > ? ORDER BY n LIMIT 1`:                                   &d.above,
	} {
		var err error
		if *into, err = d.db.PrepareContext(context.Background(), text); err != nil {
			return err
		}
	}
	return nil
}

// replaced tells whether another file, or none, is where the database was: what is
// written to it would be gone with it.
func (d *database) replaced() bool {
	info, err := os.Stat(d.path)
	return err != nil || !os.SameFile(info, d.info)
}

func (d *database) close() error {
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close the local store: %w", sqlitefile.Classify(err))
	}
	return nil
}
