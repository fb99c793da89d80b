package spool

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Errors of Append and Open. Append's are told apart by errors.Is.
var (
	// ErrFull: max_size is reached and every event in the spool is still needed.
	ErrFull = errors.New("spool is full")
	// ErrNoSpace: the disk has less than min_free left, or none.
	ErrNoSpace = errors.New("disk is full")
	// ErrIO: the disk failed; what was appended may or may not be stored.
	ErrIO = errors.New("disk failed")
	// ErrSlow: the disk did not answer within AppendTimeout.
	ErrSlow = errors.New("disk is too slow")
	// ErrClosed: the spool is stopping.
	ErrClosed = errors.New("spool is closed")
	// ErrLocked: another process has the spool open.
	ErrLocked = errors.New("spool is in use by another process")
	// ErrVersion: a newer siemrelay wrote the spool.
	ErrVersion = errors.New("spool was written by a newer version")
)

// Options say where and how large a spool is.
type Options struct {
	// Dir is made if it isn't there.
	Dir string
	// FS defaults to Disk.
	FS FS
	// MaxSize is the most that the segments may hold together, in bytes.
	MaxSize int64
	// MinFree is how much of the disk must stay free, in bytes.
	MinFree int64
	// Retention is how long events stay after every cursor has passed them,
	// counted from their acceptance, if there is room.
	Retention time.Duration
	// RetryWindow is how long after an event a delivery with the same bytes may be the
	// sender's retry of it. 0: every delivery is a new event.
	RetryWindow time.Duration
	// RetryEntries is how many events are remembered for that, the newest; some 100
	// bytes each. Default 200,000.
	RetryEntries int
	// Offline: a command opens the spool of a process that has stopped. How that
	// stopped stays known: Close calls it clean only if it was before.
	Offline bool
	// AppendTimeout bounds how long Append waits for the disk. Default 4 s: an
	// answer must leave within 5 s.
	AppendTimeout time.Duration
	// Now is the wall clock, time.Now if nil.
	Now func() time.Time
	// Rand makes the spool's id, crypto/rand if nil.
	Rand io.Reader
	Log  *slog.Logger
	// Registry takes the spool's metrics.
	Registry prometheus.Registerer
}

func (o *Options) setDefaults() {
	o.Dir = filepath.Clean(o.Dir) // the parent of "spool/" would be "spool"
	if o.FS == nil {
		o.FS = Disk{}
	}
	if o.RetryEntries == 0 {
		o.RetryEntries = 200_000
	}
	if o.AppendTimeout == 0 {
		o.AppendTimeout = 4 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
}

// Spool is an open spool. Its methods may be called from any goroutine.
type Spool struct {
	o       Options
	fs      FS
	log     *slog.Logger
	metrics *metrics
	lock    io.Closer
	id      spoolID
	opened  time.Time
	clean   bool // the process before stopped cleanly

	// What follows belongs to the committer once it runs.
	nextNumber  uint32    // of the next segment file
	accepted    int64     // acceptance time of the newest record, Unix nanoseconds
	committed   time.Time // when this process last made an event durable
	note        note      // what is noted
	noteFile    File      // nil until something is
	noteFailed  bool
	segmentSize int64 // a segment is closed before it grows larger; fixed by Open
	refusedSize int64 // of the record that there was no room for last, in bytes

	mu           sync.Mutex
	segments     []*segment // in order; only the last can be open for writing
	next         uint64     // sequence of the next record to become durable
	pending      *batch     // what the committer takes next, nil if nothing waits
	committing   *batch     // what it has taken, nil if nothing
	retries      *retries   // nil if none are looked for
	gathering    gathering
	free         []buffers           // for the next batches: one waits while another is committed
	spareSegment *spare              // file for the next segment, nil if none is ready
	more         chan struct{}       // closed when records become durable, nil if nobody waits
	moved        chan struct{}       // closed when a cursor moves, nil if nobody waits
	settled      map[string]position // by cursor, as it is durable
	held         map[string]uint64   // by cursor: segments from this sequence on are not let go of
	cursors      map[string]*Cursor
	newborn      bool // no cursor was there when the spool was opened
	asked        bool // there was an Append
	closed       bool
	failing      error // why the last commit failed, nil after a good one

	rosterMu sync.Mutex
	roster   []string // what the list of outputs on disk says

	deliveries sync.Pool // of *delivery

	always    chan struct{} // closed from the start
	gathered  chan struct{} // the expected events are there
	wake      chan struct{}
	quit      chan struct{}
	stopped   chan struct{} // closed when the committer has ended
	wantSpare chan struct{}
	prepared  chan struct{} // closed when the preparer has ended
}

// Open opens or makes the spool in o.Dir and starts its committer and its
// preparer, which Close stops. A torn tail is cut; damage further inside is left
// for the cursors to find. The error is ErrLocked or ErrVersion, or what the disk
// said.
func Open(o Options) (*Spool, error) {
	o.setDefaults()
	s := &Spool{
		o: o, fs: o.FS, log: o.Log,
		opened:    time.Now(),
		next:      1,
		settled:   map[string]position{},
		held:      map[string]uint64{},
		cursors:   map[string]*Cursor{},
		always:    make(chan struct{}),
		wake:      make(chan struct{}, 1),
		gathered:  make(chan struct{}, 1),
		quit:      make(chan struct{}),
		stopped:   make(chan struct{}),
		wantSpare: make(chan struct{}, 1),
		prepared:  make(chan struct{}),
	}
	close(s.always)
	s.deliveries.New = func() any { return new(delivery) }
	s.metrics = newMetrics(s)
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool %s: %w", o.Dir, err), s.closeFiles(), s.unlock())
	}
	s.metrics.register(o.Registry)
	go s.run()
	go s.prepare()
	return s, nil
}

func (s *Spool) load() error {
	for _, dir := range []string{s.o.Dir, s.dirSegments(), s.dirCursors(), s.dirAside()} {
		if err := makeDirs(s.fs, dir); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	var err error
	if s.lock, err = s.fs.Lock(filepath.Join(s.o.Dir, lockName)); err != nil {
		return err
	}
	// What is in them may be of a process that was killed before it had synced it.
	for _, dir := range []string{s.o.Dir, s.dirSegments(), s.dirCursors()} {
		if err := s.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	if err := s.openSegments(); err != nil {
		return err
	}
	damaged, err := s.openCursors()
	if err != nil {
		return err
	}
	if err := s.loadID(len(damaged) > 0); err != nil {
		return err
	}
	s.leaveForeign()
	if err := s.recoverTail(); err != nil {
		return err
	}
	if err := s.renewCursors(damaged); err != nil {
		return err
	}
	if err := s.chooseSegmentSize(); err != nil {
		return err
	}
	s.recallRetries()
	return s.removeMark() // last: nothing has been accepted before, and all is well
}

// Close refuses new events, commits those that wait, lets go of the files, and
// leaves a mark that the spool was stopped cleanly. Cursors must not be used after
// it.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.quit)
	<-s.stopped
	<-s.prepared
	s.metrics.unregister(s.o.Registry)
	err := s.closeFiles()
	s.writeMark()
	return errors.Join(err, s.unlock())
}

func (s *Spool) closeFiles() error {
	var errs []error
	for _, c := range s.cursors {
		errs = append(errs, c.close())
	}
	if g := s.openSegment(); g != nil {
		s.seal(g)
	}
	if p := s.takeSpare(); p != nil {
		errs = append(errs, p.remove(s.fs))
	}
	if s.noteFile != nil {
		errs = append(errs, s.noteFile.Close())
	}
	return errors.Join(errs...)
}

func (s *Spool) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// eventID returns event.id of a record: the first 32 hex digits of SHA-256 over
// the spool's id, the sequence and the acceptance time in Unix nanoseconds, both
// big-endian. The time is there because a sequence can come again: where a damaged
// record was cut off the end of the log, or an old copy of the spool was put back.
func (s *Spool) eventID(sequence uint64, accepted int64) string {
	b := make([]byte, 0, len(s.id)+16)
	b = append(b, s.id[:]...)
	b = binary.BigEndian.AppendUint64(b, sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(accepted))
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Writable returns nil if an event would be accepted now, and otherwise what
// Append would return. After a failure it is nil again once the committer has
// found the disk well, which it looks for every few seconds.
func (s *Spool) Writable() error {
	s.mu.Lock()
	closed, failing := s.closed, s.failing
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if failing != nil {
		return failing
	}
	return s.roomFor(recordHeaderSize, s.releasable())
}

// Drained returns once every cursor is past every event that is in the spool
// when it looks, or ctx is done.
func (s *Spool) Drained(ctx context.Context) error {
	for {
		s.mu.Lock()
		done := s.settledLocked(position.logNext) >= s.next
		if !done && s.moved == nil {
			s.moved = make(chan struct{})
		}
		moved := s.moved
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

func (s *Spool) dirSegments() string { return filepath.Join(s.o.Dir, "segments") }
func (s *Spool) dirCursors() string  { return filepath.Join(s.o.Dir, "cursors") }
func (s *Spool) dirAside() string    { return filepath.Join(s.o.Dir, "aside") }
