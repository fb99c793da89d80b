// Package sqlitefile is what the project knows of SQLite's files: how one is made,
// told from another's, checked, and moved aside when it is damaged, and which of its
// errors mean what.
//
// It guarantees that a damaged file is kept beside the new one, and never with a log
// that is another's. It refuses to know tables, beyond their version, and decides
// nothing: whose file it is opens it, and says what is lost.
package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // the driver "sqlite", and its errors
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors, told apart by errors.Is.
var (
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
)

// QuickCheckSize is how large a database may be, in bytes, for its structure to be
// checked at each start.
const QuickCheckSize = 32 << 20

// Classify puts one of the package's errors around an error of SQLite.
func Classify(err error) error {
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

// DSN names the file at path for database/sql, with pragmas in their order, such as
// "journal_mode(wal)". Transactions begin as writers, and text in double quotes is
// no string. While one process has the file open no other can have it; with the VFS
// unix-excl the index of the log is then in memory, not in a file that a full disk
// would have no room for at the start.
func DSN(path string, pragmas ...string) string {
	return dsn(path, "_txlock=immediate", pragmas)
}

// ReadDSN names a file that is there, for connections that only read it. They may be
// of the process that writes it.
func ReadDSN(path string, pragmas ...string) string {
	return dsn(path, "mode=rw&_txlock=deferred", append([]string{"query_only(1)"}, pragmas...))
}

func dsn(path, parameters string, pragmas []string) string {
	u := url.URL{Path: path}
	name := "file:" + u.EscapedPath() + "?vfs=unix-excl&" + parameters + "&_dqs=0&_defensive=1&_busy_timeout=1000"
	for _, p := range pragmas {
		name += "&_pragma=" + p
	}
	return name
}

// Create makes the file if it isn't there, readable by nobody else, and returns its
// size. SQLite gives its log the same mode. Nothing may open the file again while
// SQLite has it: closing any descriptor of a file ends the process's locks on it.
func Create(path string) (size int64, err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return 0, fmt.Errorf("%w: not a regular file", ErrIO)
	case err == nil && info.Size() == 0 && hasLog(path):
		return 0, orphaned()
	case err == nil:
		return info.Size(), nil
	case !errors.Is(err, os.ErrNotExist):
		return 0, fmt.Errorf("%w: %w", ErrIO, err)
	case hasLog(path):
		return 0, orphaned()
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrIO, err)
	}
	return 0, errors.Join(f.Close(), SyncDir(path))
}

// hasLog tells whether there is a write-ahead log. SQLite would delete one whose
// database is empty or gone, and what is in it.
func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

func orphaned() error { return fmt.Errorf("%w: it is empty, but its log is not", ErrDamaged) }

// Options say which file Open opens, and how.
type Options struct {
	Path    string
	Layout  Layout
	Pragmas []string // see DSN
	// Load reads what the owner needs, in the transaction of the opening.
	Load func(*sql.Tx) error
}

// Open opens the file to write, with one connection, makes it if it isn't there, and
// checks it as Check says. What is opened is trusted.
func Open(o Options) (db *sql.DB, err error) {
	size, err := Create(o.Path)
	if err != nil {
		return nil, err
	}
	if db, err = sql.Open("sqlite", DSN(o.Path, o.Pragmas...)); err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	err = Transact(db, func(tx *sql.Tx) error {
		if err := o.Layout.Prepare(tx); err != nil {
			return err
		}
		if err := Check(tx, o.Path, size); err != nil {
			return err
		}
		return o.Load(tx)
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	Trust(o.Path)
	return db, nil
}

// Transact runs f in a transaction. Its error is classified; what f changed in memory
// it has to take back itself.
func Transact(db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return Classify(err)
	}
	if err := f(tx); err != nil {
		tx.Rollback() //nolint:errcheck // SQLite may have done it already; the first error counts
		return Classify(err)
	}
	return Classify(tx.Commit())
}

// Layout is one kind of database.
type Layout struct {
	// ApplicationID is PRAGMA application_id, Version PRAGMA user_version.
	ApplicationID int
	Version       int
	Schema        string // statements that make the tables
}

// Prepare makes the tables of a new file, and refuses a file that is another's
// (ErrDamaged) or a newer siemrelay's (ErrVersion).
func (l Layout) Prepare(tx *sql.Tx) error {
	ctx := context.Background()
	var id, version, tables int
	row := tx.QueryRowContext(ctx, `SELECT a.application_id, v.user_version, (SELECT COUNT(*) FROM sqlite_schema)
		FROM pragma_application_id a, pragma_user_version v`)
	if err := row.Scan(&id, &version, &tables); err != nil {
		return err
	}
	switch {
	case id == 0 && version == 0 && tables == 0:
		_, err := tx.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d", l.Schema, l.ApplicationID, l.Version))
		return err
	case id != l.ApplicationID || version < 1:
		return fmt.Errorf("%w: it is another application's", ErrDamaged)
	case version > l.Version:
		return fmt.Errorf("%w: its version is %d, this siemrelay reads %d", ErrVersion, version, l.Version)
	}
	return nil
}

// Check runs the check that a file of that size should have at its opening: all of it
// if it is suspected, its structure if it is small, none else.
func Check(tx *sql.Tx, path string, size int64) error {
	check := "PRAGMA quick_check(1)"
	switch {
	case Suspected(path):
		check = "PRAGMA integrity_check(1)"
	case size > QuickCheckSize:
		return nil
	}
	found := ""
	if err := tx.QueryRowContext(context.Background(), check).Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, found)
	}
	return nil
}

// suspectSuffix marks a database in which damage was met.
const suspectSuffix = ".suspect"

// Suspect has the next opening check everything, however large the file is: damage
// that was met once must not stay for ever.
func Suspect(path string) error {
	if err := os.WriteFile(path+suspectSuffix, nil, 0o600); err != nil {
		return fmt.Errorf("note damage: %w", err)
	}
	return nil
}

// Suspected tells whether damage was met.
func Suspected(path string) bool {
	_, err := os.Lstat(path + suspectSuffix)
	return err == nil
}

// Trust ends what Suspect began. If that fails the next opening checks in vain.
func Trust(path string) { os.Remove(path + suspectSuffix) }

// suffixes are those of the files that make up a database, the main one last: should
// a crash leave a part behind, then none that SQLite would take for a new file's log.
func suffixes() []string { return []string{"-wal", "-shm", ""} }

// MoveAside renames a database to the first free NAME.damaged-N.
func MoveAside(path string) (aside string, err error) {
	for n := 1; aside == "" || taken(aside); n++ {
		aside = fmt.Sprintf("%s.damaged-%d", path, n)
	}
	for _, suffix := range suffixes() {
		err := os.Rename(path+suffix, aside+suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("move damaged database aside: %w", err)
		}
	}
	return aside, SyncDir(path)
}

func taken(path string) bool {
	for _, suffix := range suffixes() {
		if _, err := os.Lstat(path + suffix); err == nil {
			return true
		}
	}
	return false
}

// SyncDir makes the directory entry of the file at path durable.
func SyncDir(path string) error {
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
