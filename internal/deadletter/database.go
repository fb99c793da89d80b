package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"modernc.org/sqlite" // the driver "sqlite", and its errors
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors of both stores, told apart by errors.Is.
var (
	// ErrFull: max_size is reached.
	ErrFull = errors.New("dead letters are full")
	// ErrNoSpace: the disk is full.
	ErrNoSpace = errors.New("disk is full")
	// ErrIO: the disk failed, or the file may not be written.
	ErrIO = errors.New("disk failed")
	// ErrDamaged: what is stored can't be read, or isn't what was stored.
	ErrDamaged = errors.New("database is damaged")
	// ErrLocked: another process has the database open.
	ErrLocked = errors.New("database is in use by another process")
	// ErrVersion: a newer siemrelay wrote the database.
	ErrVersion = errors.New("database was written by a newer version")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrNotFound: there is none of that number.
	ErrNotFound = errors.New("not found")
	// ErrNothingSelected: an empty Selection does not mean all; Selection.All does.
	ErrNothingSelected = errors.New("nothing is selected")
)

// layout is one kind of database.
type layout struct {
	applicationID int
	version       int
	schema        string
	synchronous   string
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
		aside, moveErr := moveAside(path)
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

func (d *database) open(l layout, load func(*sql.Tx) error) (err error) {
	size, err := d.create()
	if err != nil {
		return err
	}
	if d.db, err = sql.Open("sqlite", d.dsn(l)); err != nil {
		return err
	}
	d.db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.db.Close())
		}
	}()
	check := ""
	if _, err := os.Lstat(d.path + suspectSuffix); err == nil {
		check = "PRAGMA integrity_check(1)"
	} else if size <= quickCheckSize {
		check = "PRAGMA quick_check(1)"
	}
	err = d.update(func(tx *sql.Tx) error {
		if err := prepare(tx, l); err != nil {
			return err
		}
		if err := sound(tx, check); err != nil {
			return err
		}
		return load(tx)
	})
	if err == nil {
		os.Remove(d.path + suspectSuffix) // if it stays, the next start checks in vain
	}
	return err
}

// create makes the file if it isn't there, readable by nobody else. SQLite gives its
// log the same mode. Nothing may open the file again while SQLite has it: closing
// any descriptor of a file ends the process's locks on it.
func (d *database) create() (size int64, err error) {
	info, err := os.Stat(d.path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return 0, fmt.Errorf("%w: not a regular file", ErrIO)
	case err == nil && info.Size() == 0 && d.hasLog():
		return 0, d.orphaned()
	case err == nil:
		return info.Size(), nil
	case !errors.Is(err, os.ErrNotExist):
		return 0, fmt.Errorf("%w: %w", ErrIO, err)
	case d.hasLog():
		return 0, d.orphaned()
	}
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrIO, err)
	}
	return 0, errors.Join(f.Close(), syncDir(d.path))
}

// dsn locks the file for as long as it is open: counts are kept in memory, so that
// nobody else may change it. The order matters, the lock comes before the log. With the
// VFS unix-excl the index of the log is in memory, not in a file that a full disk would
// have no room for at the start; locking_mode comes too late for that.
func (d *database) dsn(l layout) string {
	u := url.URL{Path: d.path}
	return "file:" + u.EscapedPath() + "?vfs=unix-excl&_txlock=immediate&_dqs=0&_defensive=1&_busy_timeout=1000" +
		"&_pragma=locking_mode(exclusive)&_pragma=journal_mode(wal)" +
		"&_pragma=synchronous(" + l.synchronous + ")" +
		"&_pragma=cache_size(-2048)&_pragma=journal_size_limit(8388608)&_pragma=temp_store(memory)"
}

// prepare makes the tables of a new file, and refuses a file that is another's.
func prepare(tx *sql.Tx, l layout) error {
	ctx := context.Background()
	var id, version, tables int
	row := tx.QueryRowContext(ctx, `SELECT a.application_id, v.user_version, (SELECT COUNT(*) FROM sqlite_schema)
		FROM pragma_application_id a, pragma_user_version v`)
	if err := row.Scan(&id, &version, &tables); err != nil {
		return err
	}
	switch {
	case id == 0 && version == 0 && tables == 0:
		_, err := tx.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d", l.schema, l.applicationID, l.version))
		return err
	case id != l.applicationID || version < 1:
		return fmt.Errorf("%w: it is another application's", ErrDamaged)
	case version > l.version:
		return fmt.Errorf("%w: its version is %d, this siemrelay reads %d", ErrVersion, version, l.version)
	}
	return nil
}

// update runs f in a transaction. The caller holds mu, or is the only one yet.
func (d *database) update(f func(*sql.Tx) error) error {
	if d.closed {
		return ErrClosed
	}
	err := d.transact(f)
	if errors.Is(err, ErrDamaged) {
		d.suspect()
	}
	return err
}

func (d *database) transact(f func(*sql.Tx) error) error {
	tx, err := d.db.BeginTx(context.Background(), nil)
	if err != nil {
		return classify(err)
	}
	if err := f(tx); err != nil {
		tx.Rollback() //nolint:errcheck // SQLite may have done it already; the first error counts
		return classify(err)
	}
	return classify(tx.Commit())
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
		return fmt.Errorf("close %s: %w", d.path, classify(err))
	}
	return nil
}

// classify puts one of the package's errors around an error of SQLite.
func classify(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	class := ErrIO
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		class = ErrNoSpace
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		class = ErrDamaged
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		class = ErrLocked
	default:
		return err
	}
	return fmt.Errorf("%w: %w", class, err)
}

// syncDir makes the directory entry of the file at path durable.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIO, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("%w: sync directory: %w", ErrIO, err)
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
