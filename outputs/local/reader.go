package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
)

// Errors of a Reader, told apart by errors.Is.
var (
	// ErrNotFound: there is no such event or record in the database.
	ErrNotFound = errors.New("not found")
	// ErrDamaged: the database can't be read. The output moves it aside when it writes
	// next.
	ErrDamaged = sqlitefile.ErrDamaged
	// ErrBusy: somebody else has the database for longer than a reader waits.
	ErrBusy = sqlitefile.ErrLocked
	// ErrDisk: the disk failed, or the file may not be read.
	ErrDisk = sqlitefile.ErrIO
)

// ReaderOptions say what is read.
type ReaderOptions struct {
	// Path is the database's; it need not be there yet.
	Path   string
	Logger *slog.Logger
	// Now is the wall clock, time.Now if nil.
	Now func() time.Time
}

// Reader looks at a database, which an output may write at the same time, in this
// process or in none. A database that isn't there yet is an empty one. Its methods may
// be called from any goroutine; each sees one moment.
type Reader struct {
	o     ReaderOptions
	codec *codec

	mu   sync.Mutex
	db   *sql.DB // nil until it is needed
	info os.FileInfo
}

// maxReaders is how many look at the database at once; others wait.
const maxReaders = 4

// readerPages is PRAGMA cache_size of each: 2 MiB.
const readerPages = "-2048"

// NewReader makes a reader. It opens nothing yet.
func NewReader(o ReaderOptions) (*Reader, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("find the local store: %w", err)
	}
	o.Path = path
	packer, err := newCodec()
	if err != nil {
		return nil, err
	}
	return &Reader{o: o, codec: packer}, nil
}

// Close lets go of the database. Nobody may be reading.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codec.close()
	return r.closeLocked()
}

func (r *Reader) closeLocked() error {
	if r.db == nil {
		return nil
	}
	db := r.db
	r.db = nil
	if err := db.Close(); err != nil {
		return fmt.Errorf("close the local store: %w", sqlitefile.Classify(err))
	}
	return nil
}

// open returns the database that is at the path now, nil if there is none.
func (r *Reader) open() (*sql.DB, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.o.Path)
	if err == nil && info.Size() > 0 && r.db != nil && os.SameFile(info, r.info) {
		return r.db, nil
	}
	if closeErr := r.closeLocked(); closeErr != nil {
		r.o.Logger.Warn("the local store was not closed well", "file", r.o.Path, "error", closeErr)
	}
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && info.Size() == 0: // it is just being made
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", sqlitefile.ErrIO, err)
	}
	db, err := sql.Open("sqlite", sqlitefile.ReadDSN(r.o.Path, "cache_size("+readerPages+")", "mmap_size(0)", "temp_store(memory)"))
	if err != nil {
		return nil, fmt.Errorf("open the local store: %w", err)
	}
	db.SetMaxOpenConns(maxReaders)
	db.SetMaxIdleConns(maxReaders)
	r.db, r.info = db, info
	return db, nil
}

// view runs f at one moment of the database. It does not run f if there is none yet.
func (r *Reader) view(ctx context.Context, f func(*view) error) error {
	db, err := r.open()
	if err != nil || db == nil {
		return err
	}
	err = sqlitefile.Classify(r.viewOf(ctx, db, f))
	if errors.Is(err, sqlitefile.ErrDamaged) && !sqlitefile.Suspected(r.o.Path) {
		r.o.Logger.Error("the local store can't be read; it will be moved aside when it is written to next", "file", r.o.Path, "error", err)
		if err := sqlitefile.Suspect(r.o.Path); err != nil {
			r.o.Logger.Warn("damage could not be noted; it may stay", "file", r.o.Path, "error", err)
		}
	}
	return err
}

func (r *Reader) viewOf(ctx context.Context, db *sql.DB, f func(*view) error) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	var version, tables int
	err = tx.QueryRowContext(ctx, `SELECT v.user_version, (SELECT COUNT(*) FROM sqlite_schema) FROM pragma_user_version v`).Scan(&version, &tables)
	if err != nil || tables == 0 {
		return err
	}
	if version > databaseLayout().Version {
		return fmt.Errorf("%w: its version is %d, this siemrelay reads %d", sqlitefile.ErrVersion, version, databaseLayout().Version)
	}
	return f(&view{ctx: ctx, tx: tx, codec: r.codec, log: r.o.Logger})
}

// view is the database at one moment.
type view struct {
	ctx   context.Context //nolint:containedctx // it lives no longer than the call that it is of
	tx    *sql.Tx
	codec *codec
	log   *slog.Logger
}

func (v *view) row(query string, args ...any) *sql.Row {
	return v.tx.QueryRowContext(v.ctx, query, args...)
}

// all calls scan for every row.
func (v *view) all(query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := v.tx.QueryContext(v.ctx, query, args...)
	if err != nil {
		return err
	}
	return each(rows, func() error { return scan(rows) })
}

// number finds the first number of a table whose time is not before t, or one after
// all if there is none; 0 if t is zero.
func (v *view) number(table, column string, t time.Time) (n int64, err error) {
	if t.IsZero() {
		return 0, nil
	}
	err = v.row(`SELECT n FROM `+table+` WHERE `+column+` >= ? ORDER BY `+column+` LIMIT 1`, t.UnixNano()).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return maxNumber, nil
	}
	return n, err
}

const maxNumber = 1<<63 - 1
