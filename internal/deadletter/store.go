package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
)

// Options say where the dead letters are and how large they may grow.
type Options struct {
	// Path is the file; its directory must be there.
	Path string
	// MaxSize is when no more letters are stored, in bytes: bodies, texts and 256 bytes
	// for each letter. What is put at once, an output's batch, may pass it. The file is
	// somewhat larger.
	MaxSize int64
	// Now is the wall clock, time.Now if nil.
	Now func() time.Time
	Log *slog.Logger
	// Registry takes the store's metrics.
	Registry prometheus.Registerer
}

// Letter is an event that an output refused for good.
type Letter struct {
	// ID is the letter's number, given by the store and never reused.
	ID int64
	// Output, Pass and Sequence are the letter's key. Pass 0 is the log, others are
	// replays. Pass and Sequence are below 2^63.
	Output         string
	Pass, Sequence uint64
	// EventID, Accepted and PossibleRetry are the event's, as the spool gave them.
	EventID       string
	Accepted      time.Time
	PossibleRetry bool
	// Overwrite: the event is to replace what the receiver has of it.
	Overwrite bool
	// Kind, Company, Record, Title and Code are for listings; the store cuts each to
	// 1 KiB.
	Kind, Company, Record, Title, Code string
	// Reason is one of the relay's closed set.
	Reason string
	// Error is what the output said; the store cuts it to 4 KiB.
	Error string
	// Tries counts the attempts, First and Refused are the times of the first and the
	// last. The First of a letter that is put back stays.
	Tries          int
	First, Refused time.Time
	// Body is the raw body; nil in listings.
	Body []byte
	// Size is the length of the body in bytes, filled by the store.
	Size int
	// Queued: it was set back to pending. Filled by the store.
	Queued bool
}

// Account is what has become of the letters of one output; see the package comment
// for how it adds up with the cursor's.
type Account struct {
	// Dead counts the letters that List shows, Queued those on their way again.
	Dead, Queued uint64
	// Delivered, Sent, Filtered and Dropped count letters that have left.
	Delivered, Sent, Filtered, Dropped uint64
	// Lost counts letters that the cursor handed over and that are no longer there.
	Lost uint64
	// Carried counts letters that were here before the cursor began to count.
	Carried uint64
}

// letterOverhead is what a letter takes besides its body and texts, roughly.
const letterOverhead = 256

// The index letters_key serves the queue, which goes by sequence, and look-ups by key.
const letterSchema = `
CREATE TABLE letters (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	output TEXT NOT NULL, pass INTEGER NOT NULL, sequence INTEGER NOT NULL,
	state INTEGER NOT NULL,   -- 0 dead, 1 queued
	settled INTEGER NOT NULL, -- 0: the cursor may not have passed it yet
	size INTEGER NOT NULL,    -- what it takes of max_size
	event TEXT NOT NULL, accepted INTEGER NOT NULL, possible_retry INTEGER NOT NULL, overwrite INTEGER NOT NULL,
	kind TEXT NOT NULL, company TEXT NOT NULL, record TEXT NOT NULL, title TEXT NOT NULL, code TEXT NOT NULL,
	reason TEXT NOT NULL, error TEXT NOT NULL, tries INTEGER NOT NULL,
	first INTEGER NOT NULL, refused INTEGER NOT NULL, -- times are Unix nanoseconds
	body_size INTEGER NOT NULL, body_crc INTEGER NOT NULL -- CRC-32C
);
CREATE UNIQUE INDEX letters_key ON letters(output, sequence, pass);
CREATE INDEX letters_queued ON letters(output, sequence, pass) WHERE state = 1;
CREATE INDEX letters_unsettled ON letters(output) WHERE settled = 0;
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TRIGGER letters_delete AFTER DELETE ON letters BEGIN DELETE FROM bodies WHERE id = old.id; END;
CREATE TABLE outputs (
	output TEXT PRIMARY KEY,
	dead INTEGER NOT NULL, queued INTEGER NOT NULL, bytes INTEGER NOT NULL, -- of its rows in letters
	delivered INTEGER NOT NULL, sent INTEGER NOT NULL, filtered INTEGER NOT NULL, dropped INTEGER NOT NULL,
	lost INTEGER NOT NULL, carried INTEGER NOT NULL
) WITHOUT ROWID`

// letterLayout is durable at every commit. The application id is "SRdl".
func letterLayout() layout {
	return layout{sqlitefile.Layout{ApplicationID: 0x5352646c, Version: 1, Schema: letterSchema}, "full"}
}

// Store is the open dead letters. Its methods may be called from any goroutine; one
// operation on the file comes after the other. It has no goroutine of its own.
type Store struct {
	o       Options
	db      *database
	metrics []prometheus.Collector

	mu     sync.Mutex // guards what follows, held for no operation on the file
	counts map[string]counts
	used   int64
	// unsettled holds the letters that Settle was not called for: by output, their
	// numbers and passes.
	unsettled map[string]map[int64]uint64
	// mark holds the numbers of settled letters that the file doesn't call so yet.
	mark   []int64
	queues map[string]*Queue
	always chan struct{} // closed
}

// Open opens the dead letters. The error is ErrVersion, ErrLocked, ErrIO or
// ErrNoSpace; damage is none: the file is moved aside, and Begin counts what is lost.
func Open(o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	s := &Store{
		o:         o,
		unsettled: make(map[string]map[int64]uint64),
		queues:    make(map[string]*Queue),
		always:    make(chan struct{}),
	}
	close(s.always)
	var err error
	if s.db, err = openDatabase(o.Path, letterLayout(), databaseOptions{Log: o.Log, load: s.load}); err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	s.registerMetrics()
	return s, nil
}

// load reads the accounts. What is unsettled stays so in the file until Begin, and
// counts as settled where nobody calls it.
func (s *Store) load(tx *sql.Tx) error {
	s.counts, s.used = make(map[string]counts), 0
	rows, err := tx.QueryContext(context.Background(), `SELECT output, dead, queued, bytes, delivered, sent, filtered, dropped, lost, carried FROM outputs`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var output string
		var c counts
		if err := rows.Scan(&output, &c.dead, &c.queued, &c.bytes, &c.delivered, &c.sent, &c.filtered, &c.dropped, &c.lost, &c.carried); err != nil {
			return err
		}
		s.counts[output] = c
		s.used += c.bytes
	}
	return rows.Err()
}

func (s *Store) registerMetrics() {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	s.metrics = []prometheus.Collector{
		gauge("siemrelay_dead_letters_bytes", "What the dead letters take of max_size, in bytes.", func() float64 {
			used, _ := s.Full()
			return float64(used)
		}),
		gauge("siemrelay_dead_letters_max_bytes", "What the dead letters may take: max_size.", func() float64 { return float64(s.o.MaxSize) }),
	}
	s.o.Registry.MustRegister(s.metrics...)
}

// Close writes down what is known and closes the file. Calls after it get ErrClosed.
func (s *Store) Close() error {
	err := s.change(func(*sql.Tx, *changes) error { return nil })
	if errors.Is(err, ErrClosed) {
		return nil
	}
	for _, c := range s.metrics {
		s.o.Registry.Unregister(c)
	}
	if closeErr := s.db.close(); closeErr != nil {
		return closeErr
	}
	if err != nil {
		s.db.log.Warn("dead letters were closed without their last marks", "err", err)
	}
	return nil
}

// Full returns what the letters take and what they may take, in bytes.
func (s *Store) Full() (used, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, s.o.MaxSize
}

// Accounts returns the account of every output that has or had letters, at one
// moment. It never waits for the disk.
func (s *Store) Accounts() map[string]Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	accounts := make(map[string]Account, len(s.counts))
	for output, c := range s.counts {
		accounts[output] = Account{
			Dead: uint64(c.dead) - uint64(len(s.unsettled[output])), Queued: uint64(c.queued),
			Delivered: uint64(c.delivered), Sent: uint64(c.sent), Filtered: uint64(c.filtered), Dropped: uint64(c.dropped),
			Lost: uint64(c.lost), Carried: uint64(c.carried),
		}
	}
	return accounts
}
