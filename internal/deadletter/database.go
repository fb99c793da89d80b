package deadletter

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
)

// Errors of both stores, told apart by errors.Is.
var (
	// ErrFull: max_size is reached.
	ErrFull = errors.New("dead letters are full")
	// ErrNoSpace: the disk is full.
	ErrNoSpace = sqlitefile.ErrNoSpace
	// ErrIO: the disk failed, or the file may not be written.
	ErrIO = sqlitefile.ErrIO
	// ErrDamaged: what is stored can't be read, or isn't what was stored.
	ErrDamaged = sqlitefile.ErrDamaged
	// ErrLocked: another process has the database open.
	ErrLocked = sqlitefile.ErrLocked
	// ErrVersion: a newer siemrelay wrote the database.
	ErrVersion = sqlitefile.ErrVersion
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrNotFound: there is none of that number.
	ErrNotFound = errors.New("not found")
	// ErrNothingSelected: an empty Selection does not mean all; Selection.All does.
	ErrNothingSelected = errors.New("nothing is selected")
)

// layout is one kind of database.
type layout struct {
	sqlitefile.Layout
	synchronous string
}

// database is an open SQLite file with one connection.
type database struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex // held for a whole operation: they come one after another
	db     *sql.DB
	closed bool
}

// openDatabase opens the file at path, makes it if it isn't there, and has load read
// what its owner needs. A damaged file is moved aside.
func openDatabase(path string, l layout, o databaseOptions) (*database, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	d := &database{path: path, log: o.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	err = d.open(l, o.load)
	if errors.Is(err, ErrDamaged) {
		aside, moveErr := sqlitefile.MoveAside(path)
		if moveErr != nil {
			return nil, fmt.Errorf("open %s: %w", path, errors.Join(err, moveErr))
		}
		d.log.Error("database is damaged; it is kept aside and a new one is begun", "file", path, "aside", aside, "err", err)
		err = d.open(l, o.load)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return d, nil
}

type databaseOptions struct {
	Log *slog.Logger
	// load is called again with a new file after one was moved aside.
	load func(*sql.Tx) error
}

// open locks the file for as long as it is open: counts are kept in memory, so that
// nobody else may change it. The order of the pragmas matters, the lock comes before
// the log.
func (d *database) open(l layout, load func(*sql.Tx) error) (err error) {
	d.db, err = sqlitefile.Open(sqlitefile.Options{
		Path: d.path, Layout: l.Layout, Load: load,
		Pragmas: []string{
			"locking_mode(exclusive)", "journal_mode(wal)", "synchronous(" + l.synchronous + ")",
			"cache_size(-2048)", "journal_size_limit(8388608)", "temp_store(memory)",
		},
	})
	return err
}

// update runs f in a transaction. The caller holds mu.
func (d *database) update(f func(*sql.Tx) error) error {
	if d.closed {
		return ErrClosed
	}
	err := sqlitefile.Transact(d.db, f)
	if errors.Is(err, ErrDamaged) {
		if err := sqlitefile.Suspect(d.path); err != nil {
			d.log.Warn("damage could not be noted; the next start may not see it", "file", d.path, "err", err)
		}
	}
	return err
}

// close waits for the operation that is under way.
func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("close %s: %w", d.path, sqlitefile.Classify(err))
	}
	return nil
}

// clip cuts a text at a rune boundary to at most n bytes.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
