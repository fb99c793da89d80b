package deadletter

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/sqlitefile"
)

// RejectedOptions say where the rejected bodies are and how many are kept.
type RejectedOptions struct {
	// Path is the file; its directory must be there.
	Path string
	// MaxBodies and MaxSize, in bytes of bodies, bound what is kept: the newest.
	// Zero is 1,000 and 64 MiB.
	MaxBodies int
	MaxSize   int64
	// Now dates a Rejected that has no time, time.Now if nil.
	Now func() time.Time
	Log *slog.Logger
	// Registry takes the metrics.
	Registry prometheus.Registerer
}

// Rejected is a body that the receiver refused.
type Rejected struct {
	// ID is its number, given by the store and never reused.
	ID int64
	At time.Time
	// Address is the sender's, Reason one of the receiver's closed set; the store cuts
	// each to 1 KiB.
	Address, Reason string
	// Body is nil in listings; Size is its length in bytes, filled by the store.
	Body []byte
	Size int
}

const rejectedSchema = `
CREATE TABLE rejected (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL, -- Unix nanoseconds
	address TEXT NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL,
	body BLOB NOT NULL
)`

// rejectedLayout may lose the latest bodies with the power, but for nothing else. The
// application id is "SRrj".
func rejectedLayout() layout {
	return layout{sqlitefile.Layout{ApplicationID: 0x5352726a, Version: 1, Schema: rejectedSchema}, "normal"}
}

// What may wait for the writer: a burst that the disk is slower than is not kept.
const (
	maxWaiting      = 256
	maxWaitingBytes = 4 << 20 // one body that is larger waits alone
)

// Rejects keeps the newest rejected bodies, as well as it can: nothing depends on
// them. Its methods may be called from any goroutine.
type Rejects struct {
	o       RejectedOptions
	db      *database
	metrics *rejectedMetrics
	done    chan struct{} // closed when the writer has ended

	mu           sync.Mutex
	changed      *sync.Cond // waiting, taken, written or closed have changed
	waiting      []Rejected
	waitingBytes int64
	taken        uint64 // how many Keep took, and how many of them the writer is done with
	written      uint64
	closed       bool
	kept         []keptBody // oldest first
	keptBytes    int64

	down bool // the disk fails, which was logged; the writer's alone
}

type keptBody struct{ id, size int64 }

// OpenRejected opens the rejected bodies. Its errors are those of Open. Close ends
// the goroutine that writes.
func OpenRejected(o RejectedOptions) (*Rejects, error) {
	if o.MaxBodies == 0 {
		o.MaxBodies = 1000
	}
	if o.MaxSize == 0 {
		o.MaxSize = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	r := &Rejects{o: o, done: make(chan struct{})}
	r.changed = sync.NewCond(&r.mu)
	var err error
	if r.db, err = openDatabase(o.Path, rejectedLayout(), databaseOptions{Log: o.Log, load: r.load}); err != nil {
		return nil, fmt.Errorf("rejected bodies: %w", err)
	}
	r.metrics = newRejectedMetrics(r)
	r.metrics.register(o.Registry)
	go r.write()
	return r, nil
}

func (r *Rejects) load(tx *sql.Tx) error {
	r.kept, r.keptBytes = nil, 0
	rows, err := tx.QueryContext(context.Background(), `SELECT id, size FROM rejected ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k keptBody
		if err := rows.Scan(&k.id, &k.size); err != nil {
			return err
		}
		r.kept = append(r.kept, k)
		r.keptBytes += k.size
	}
	return rows.Err()
}

// Keep stores a rejected body soon. It copies Body, does not wait and can't fail:
// what can't be kept is counted.
func (r *Rejects) Keep(x Rejected) {
	x.Size = len(x.Body)
	if x.At.IsZero() {
		x.At = r.o.Now()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	size := int64(x.Size)
	switch {
	case r.closed:
		r.metrics.lose(lostClosed, 1)
	case size > r.o.MaxSize:
		r.metrics.lose(lostTooLarge, 1)
	case len(r.waiting) == maxWaiting, len(r.waiting) > 0 && r.waitingBytes+size > maxWaitingBytes:
		r.metrics.lose(lostBusy, 1)
	default:
		x.Body = bytes.Clone(x.Body)
		r.waiting = append(r.waiting, x)
		r.waitingBytes += size
		r.taken++
		r.changed.Broadcast()
	}
}

// write is the writer's goroutine. Close ends it.
func (r *Rejects) write() {
	defer close(r.done)
	for {
		r.mu.Lock()
		for len(r.waiting) == 0 && !r.closed {
			r.changed.Wait()
		}
		batch := r.waiting
		r.waiting, r.waitingBytes = nil, 0
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := r.store(batch)
		if err != nil {
			r.metrics.lose(lostReason(err), len(batch))
		}
		if err != nil && !r.down {
			r.db.log.Error("rejected bodies can't be kept", "err", err)
		} else if err == nil && r.down {
			r.db.log.Info("rejected bodies are kept again")
		}
		r.down = err != nil
		r.mu.Lock()
		r.written += uint64(len(batch))
		r.changed.Broadcast()
		r.mu.Unlock()
	}
}

// store writes a batch and removes the oldest bodies that are too many.
func (r *Rejects) store(batch []Rejected) error {
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	kept, keptBytes := r.keptNow()
	err := r.db.update(func(tx *sql.Tx) error {
		for _, x := range batch {
			body := x.Body
			if body == nil {
				body = []byte{} // nil would be NULL
			}
			res, err := tx.ExecContext(context.Background(), `INSERT INTO rejected (at, address, reason, size, body) VALUES (?, ?, ?, ?, ?)`,
				nano(x.At), clip(x.Address, maxText), clip(x.Reason, maxText), x.Size, body)
			if err != nil {
				return err
			}
			id, err := res.LastInsertId()
			if err != nil {
				return err
			}
			kept = append(kept, keptBody{id, int64(x.Size)})
			keptBytes += int64(x.Size)
		}
		old := 0
		for ; len(kept)-old > r.o.MaxBodies || keptBytes > r.o.MaxSize; old++ {
			keptBytes -= kept[old].size
		}
		if old == 0 {
			return nil
		}
		last := kept[old-1].id
		kept = append([]keptBody(nil), kept[old:]...)
		_, err := tx.ExecContext(context.Background(), `DELETE FROM rejected WHERE id <= ?`, last)
		return err
	})
	if err != nil {
		return err
	}
	r.setKept(kept, keptBytes)
	return nil
}

// keptNow is called with the database's mutex held: nobody else changes it.
func (r *Rejects) keptNow() ([]keptBody, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[:len(r.kept):len(r.kept)], r.keptBytes
}

func (r *Rejects) setKept(kept []keptBody, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept, r.keptBytes = kept, size
}

// flush waits until the writer is done with everything that was kept before.
func (r *Rejects) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for before := r.taken; r.written < before; {
		r.changed.Wait()
	}
}

// Close stores what waits, ends the writer and closes the file.
func (r *Rejects) Close() error {
	r.mu.Lock()
	r.closed = true
	r.changed.Broadcast()
	r.mu.Unlock()
	<-r.done
	r.metrics.unregister(r.o.Registry)
	return r.db.close()
}
