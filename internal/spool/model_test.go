package spool_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/spool"
	"github.com/siemrelay/siemrelay/internal/spool/crashfs"
)

// model is the simplest thing that keeps the promises: a list, and where each
// cursor stands in it.
type model struct {
	fsys    *crashfs.FS
	o       spool.Options
	s       *spool.Spool
	cursors map[string]*modelCursor

	appended int               // how many bodies were tried
	acked    map[string]string // by event id
	order    []string          // ids in the order of their acknowledgement
}

type modelCursor struct {
	c         *spool.Cursor
	read      []string        // ids since the last commit
	last      uint64          // sequence of the last one that was read
	committed uint64          // everything before it is settled
	settled   map[string]bool // ids that were committed
	outcome   spool.Outcome   // what commits counted, replays included

	replayed     []string // ids that the replay lane returned since its last commit
	replayedLast uint64   // sequence of the last of them
}

// TestAgainstAModel runs random appends, reads, commits, restarts, power cuts,
// faults and full disks, and holds the spool against the model after each.
func TestAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fsys := crashfs.New(rapid.Uint64().Draw(t, "seed"))
		o := options(fsys)
		o.MaxSize = int64(rapid.IntRange(2, 40).Draw(t, "max_size KiB")) << 10
		m := &model{fsys: fsys, o: o, acked: map[string]string{}, cursors: map[string]*modelCursor{
			"a": {committed: 1, settled: map[string]bool{}},
			"b": {committed: 1, settled: map[string]bool{}},
		}}
		m.open(t)
		defer func() { m.s.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":    m.append,
			"read":      m.read,
			"commit":    m.commit,
			"restart":   func(t *rapid.T) { m.close(t); m.open(t) },
			"power cut": m.powerCut,
			"fault":     m.fault,
			"replay":    m.replay,
			"resend":    m.resend,
			"cancel":    m.cancel,
			"":          m.checkAccounts,
		})
		// Whatever happened, everything that was acknowledged gets through.
		for _, name := range []string{"a", "b"} {
			m.readAll(t, name)
			for _, id := range m.order {
				c := m.cursors[name]
				if !c.settled[id] && !contains(c.read, id) {
					t.Fatalf("cursor %s never got acknowledged event %s", name, id)
				}
			}
		}
	})
}

func contains(ids []string, id string) bool {
	for _, have := range ids {
		if have == id {
			return true
		}
	}
	return false
}

func (m *model) open(t *rapid.T) {
	s, err := spool.Open(m.o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	m.s = s
	for name, c := range m.cursors {
		if c.c, err = s.Cursor(name, spool.FromOldest); err != nil {
			t.Fatalf("open cursor: %v", err)
		}
		c.read, c.last, c.replayed = nil, 0, nil
	}
}

func (m *model) close(t *rapid.T) {
	if err := m.s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func (m *model) append(t *rapid.T) {
	n := rapid.IntRange(1, 8).Draw(t, "events")
	for range n {
		m.appended++
		body := event(m.appended)
		r, err := m.s.Append(entry(body))
		if err != nil {
			if !isRefusal(err) {
				t.Fatalf("append: %v is none of its errors", err)
			}
			continue
		}
		if _, twice := m.acked[r.ID]; twice {
			t.Fatalf("event id %s was given twice", r.ID)
		}
		m.acked[r.ID] = body
		m.order = append(m.order, r.ID)
	}
}

func (m *model) read(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "cursor")
	m.readSome(t, name, rapid.IntRange(1, 20).Draw(t, "records"))
}

func (m *model) readAll(t *rapid.T, name string) { m.readSome(t, name, 1<<30) }

func (m *model) readSome(t *rapid.T, name string, n int) {
	c := m.cursors[name]
	for range n {
		r, ok, err := c.c.Next()
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		if !ok {
			return
		}
		if r.Sequence < c.committed || r.Sequence <= c.last {
			t.Fatalf("cursor %s got sequence %d after %d, committed %d", name, r.Sequence, c.last, c.committed)
		}
		c.last = r.Sequence
		// An event that was refused may be stored all the same; its body is then
		// one that was tried.
		if want, acked := m.acked[r.ID]; acked && want != string(r.Body) {
			t.Fatalf("event %s is %q, was %q", r.ID, r.Body, want)
		}
		c.read = append(c.read, r.ID)
	}
}

func (m *model) commit(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "cursor")
	c := m.cursors[name]
	if c.last == 0 {
		return
	}
	if err := c.c.Commit(c.last+1, c.settle(t, uint64(len(c.read)))); err != nil {
		t.Fatalf("commit: %v", err)
	}
	c.committed = c.last + 1
	for _, id := range c.read {
		c.settled[id] = true
	}
	c.read = nil
}

// settle says what became of n events.
func (c *modelCursor) settle(t *rapid.T, n uint64) (o spool.Outcome) {
	for _, count := range []*uint64{&o.Sent, &o.Filtered, &o.Dead} {
		*count = rapid.Uint64Range(0, n).Draw(t, "of them")
		n -= *count
	}
	o.Delivered = n
	c.outcome.Delivered += o.Delivered
	c.outcome.Sent += o.Sent
	c.outcome.Filtered += o.Filtered
	c.outcome.Dead += o.Dead
	return o
}

func (m *model) replay(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "cursor")
	from := rapid.Uint64Range(1, uint64(m.appended)+1).Draw(t, "from")
	_, err := m.s.StartReplay(name, spool.Range{From: from, To: from + rapid.Uint64Range(0, 30).Draw(t, "entries")})
	if err != nil && !errors.Is(err, spool.ErrReplaying) {
		t.Fatalf("start replay: %v", err)
	}
}

// resend reads some events of a replay, and commits them unless it stops before.
func (m *model) resend(t *rapid.T) {
	c := m.cursors[rapid.SampledFrom([]string{"a", "b"}).Draw(t, "cursor")]
	for range rapid.IntRange(1, 10).Draw(t, "records") {
		r, ok, err := c.c.Replay().Next()
		if err != nil {
			t.Fatalf("next of a replay: %v", err)
		}
		if !ok {
			break
		}
		if want, acked := m.acked[r.ID]; acked && want != string(r.Body) {
			t.Fatalf("event %s is replayed as %q, was %q", r.ID, r.Body, want)
		}
		c.replayed, c.replayedLast = append(c.replayed, r.ID), r.Sequence
	}
	if len(c.replayed) == 0 || rapid.Bool().Draw(t, "later") {
		return
	}
	n := uint64(len(c.replayed))
	if err := c.c.Replay().Commit(c.replayedLast+1, c.settle(t, n)); err != nil {
		t.Fatalf("commit replay: %v", err)
	}
	c.replayed = nil
}

func (m *model) cancel(t *rapid.T) {
	if _, err := m.s.CancelReplay(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "cursor")); err != nil {
		t.Fatalf("cancel replay: %v", err)
	}
}

func (m *model) checkAccounts(t *rapid.T) {
	for _, a := range m.s.Accounts() {
		if sum := a.Delivered + a.Sent + a.Filtered + a.Dead + a.Dropped + a.Unreadable + a.Pending; sum != a.Entered {
			t.Fatalf("the account does not add up: %+v", a)
		}
		o := spool.Outcome{Delivered: a.Delivered, Sent: a.Sent, Filtered: a.Filtered, Dead: a.Dead}
		if want := m.cursors[a.Output].outcome; o != want {
			t.Fatalf("committed was %+v, the account is %+v", want, a)
		}
		if a.Unreadable != 0 {
			t.Fatalf("nothing was damaged, the account is %+v", a)
		}
	}
}

// powerCut plans a cut a few operations ahead, works until then, and starts again.
func (m *model) powerCut(t *rapid.T) {
	m.fsys.CrashAt(rapid.IntRange(1, 12).Draw(t, "operations"))
	for range 12 {
		m.append(t)
	}
	m.s.Close()
	m.fsys.Crash()
	m.open(t)
}

func (m *model) fault(t *rapid.T) {
	op := rapid.SampledFrom([]crashfs.Op{
		crashfs.OpOpen, crashfs.OpWrite, crashfs.OpSync, crashfs.OpSyncDir, crashfs.OpTruncate, crashfs.OpRemove,
	}).Draw(t, "op")
	say := rapid.SampledFrom([]error{syscall.EIO, syscall.ENOSPC}).Draw(t, "error")
	nth := rapid.IntRange(1, 3).Draw(t, "nth")
	m.fsys.Fault(func(at crashfs.Op, name string, _ int) error {
		if at != op {
			return nil
		}
		if nth--; nth >= 0 {
			return fmt.Errorf("%s: %w", name, say)
		}
		return nil
	})
	m.append(t)
	m.fsys.Fault(nil)
}
