package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/ledger"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/internal/spool"
)

// lanesWorld is one output's lanes over real files, with somebody who does at random
// what a relay and a person do, and is killed between any two steps.
type lanesWorld struct {
	t     *testing.T
	rand  *rand.Rand
	dir   string
	kills int
	s     *stores
	lanes []relay.Lane
	trace []string

	accepted uint64
	safe     map[uint64]bool // delivered, sent, filtered, or dropped by hand

	// unconfirmed: this process's output confirms nothing; the next one's may.
	unconfirmed     bool
	delivered, sent uint64 // that were committed
}

func newLanesWorld(t *testing.T, seed uint64) *lanesWorld {
	w := &lanesWorld{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), dir: filepath.Join(t.TempDir(), "0"), safe: map[uint64]bool{},
	}
	w.open()
	t.Cleanup(func() { w.s.close() })
	return w
}

func (w *lanesWorld) open() {
	w.t.Helper()
	cfg := &config.Config{}
	cfg.Spool.Dir, cfg.Spool.MaxSize, cfg.DeadLetters.MaxSize = w.dir, 64<<10, 1<<20
	log := slog.New(slog.DiscardHandler)
	s, err := openStores(cfg, storeOptions{log: log, registry: prometheus.NewRegistry()})
	w.must(err)
	w.s = s
	c, err := s.spool.Cursor("out", spool.FromOldest)
	w.must(err)
	w.must(s.begin("out"))
	p := &process{stores: s, log: log}
	w.lanes = p.lanes("out", c, log)
	w.unconfirmed = w.rand.IntN(2) == 0
	w.check()
}

func (w *lanesWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fatalf("%v", err)
	}
}

func (w *lanesWorld) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s; what was done:\n%s", fmt.Sprintf(format, args...), strings.Join(w.trace[max(0, len(w.trace)-40):], "\n"))
}

func (w *lanesWorld) did(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// kill goes on with what the files are at this moment.
func (w *lanesWorld) kill() {
	w.did("killed")
	w.kills++
	next := filepath.Join(filepath.Dir(w.dir), fmt.Sprint(w.kills))
	w.must(os.CopyFS(next, os.DirFS(w.dir)))
	w.must(w.s.close())
	w.must(os.RemoveAll(w.dir))
	w.dir = next
	w.open()
}

// check asserts that the ledger adds up and agrees with what can be listed.
func (w *lanesWorld) check() {
	w.t.Helper()
	for _, e := range ledger.Entries(w.s.spool, w.s.letters) {
		if sum := e.Delivered + e.Sent + e.Filtered + e.Dead + e.Dropped + e.Unreadable + e.Pending; sum != e.Entered {
			w.fatalf("the ledger does not add up: %+v", e)
		}
		if e.Delivered != w.delivered || e.Sent != w.sent {
			w.fatalf("%d events were delivered and %d sent, the ledger is %+v", w.delivered, w.sent, e)
		}
		dead, queued := len(w.list(false)), len(w.list(true))
		if uint64(dead) != e.Dead || uint64(queued) != e.Queued || e.Unreadable > 0 {
			w.fatalf("%d letters are dead and %d queued, the ledger is %+v", dead, queued, e)
		}
	}
}

func (w *lanesWorld) list(queued bool) []deadletter.Letter {
	letters, err := w.s.letters.List(deadletter.Selection{Output: "out", Queued: queued}, 1000, 0)
	w.must(err)
	return letters
}

// interrupted kills now and then, or lets the person do something.
func (w *lanesWorld) interrupted() bool {
	if w.rand.IntN(40) == 0 {
		w.kill()
		return true
	}
	if w.rand.IntN(15) == 0 {
		w.person()
	}
	return false
}

// batch reads from one lane or from several, puts what it refuses, and commits, lane
// by lane. It returns how many events it read.
func (w *lanesWorld) batch(refuse float64) (read int) {
	lanes := []int{w.rand.IntN(3)}
	if w.rand.IntN(4) == 0 {
		lanes = [][]int{{0, 1, 2}, {2, 0, 1, 0}}[w.rand.IntN(2)]
	}
	var settled [3]relay.Settled
	for _, i := range lanes {
		letters := w.read(i, refuse, &settled[i])
		read += int(settled[i].Delivered + settled[i].Sent + settled[i].Filtered + settled[i].Dead)
		if len(letters) == 0 {
			continue
		}
		if refuse > 0 && w.interrupted() {
			return read
		}
		w.did("lane %d puts %d letters", i, len(letters))
		w.must(lettersOf{"out", w.s.letters}.Put(letters))
		w.check()
	}
	for i, s := range settled {
		if s.Next == 0 {
			continue
		}
		if refuse > 0 && w.interrupted() {
			return read
		}
		w.did("lane %d commits %+v", i, s)
		if l, ok := w.lanes[i].Source.(*spoolLane); ok && refuse > 0 && w.rand.IntN(10) == 0 {
			w.must(l.events.Commit(s.Next, spool.Outcome{Delivered: s.Delivered, Sent: s.Sent, Filtered: s.Filtered, Dead: s.Dead}))
			w.book(s, 0)
			w.kill()
			return read
		}
		before := len(w.list(false))
		w.must(w.lanes[i].Source.Commit(s))
		left := uint64(0) // dead letters that the replay has made up for
		if w.lanes[i].WantSequences {
			left = uint64(before) + s.Dead - uint64(len(w.list(false)))
		}
		w.book(s, left)
		w.check()
	}
	return read
}

// book counts what was committed, and the letters that left with it.
func (w *lanesWorld) book(s relay.Settled, left uint64) {
	w.delivered += s.Delivered
	w.sent += s.Sent
	if w.unconfirmed {
		w.sent += left
	} else {
		w.delivered += left
	}
}

// read takes some events of a lane.
func (w *lanesWorld) read(i int, refuse float64, s *relay.Settled) (letters []relay.Letter) {
	l := w.lanes[i]
	for range 1 + w.rand.IntN(6) {
		raw, ok, err := l.Source.Next()
		w.must(err)
		if !ok {
			break
		}
		s.Next = raw.Sequence + 1
		switch x := w.rand.Float64(); {
		case x < refuse:
			s.Dead++
			letter := relay.Letter{Sequence: raw.Sequence, EventID: raw.ID, Reason: relay.Refused, Body: slices.Clone(raw.Body)}
			if l.Pass != nil {
				letter.Pass = l.Pass()
			}
			letters = append(letters, letter)
			continue
		case x < refuse+0.1:
			s.Filtered++
		default:
			if w.unconfirmed {
				s.Sent++
			} else {
				s.Delivered++
			}
			if l.WantSequences {
				s.Sequences = append(s.Sequences, raw.Sequence)
			}
		}
		w.safe[raw.Sequence] = true
	}
	return letters
}

// person does what the sender and the operator may do at any moment.
func (w *lanesWorld) person() {
	switch w.rand.IntN(5) {
	case 0:
		for range w.rand.IntN(10) {
			_, err := w.s.spool.Append(spool.Entry{Body: fmt.Appendf(nil, `{"pad":%q}`, strings.Repeat("x", w.rand.IntN(300)))})
			if err == nil {
				w.accepted++
			}
		}
	case 1:
		if ids := w.some(3); len(ids) > 0 {
			w.did("queue %v", ids)
			_, err := w.s.letters.Requeue(deadletter.Selection{IDs: ids})
			w.must(err)
		}
	case 2:
		ids := w.some(10)
		for _, l := range w.list(false) {
			w.safe[l.Sequence] = w.safe[l.Sequence] || slices.Contains(ids, l.ID)
		}
		if len(ids) > 0 {
			w.did("drop %v", ids)
			_, err := w.s.letters.Drop(deadletter.Selection{IDs: ids})
			w.must(err)
		}
	case 3:
		from := 1 + w.rand.Uint64N(w.accepted+1)
		n, err := w.s.spool.StartReplay("out", spool.Range{From: from, To: from + w.rand.Uint64N(20)})
		if err != nil && !errors.Is(err, spool.ErrReplaying) {
			w.fatalf("%v", err)
		}
		w.did("replay from %d: %d, %v", from, n, err)
	case 4:
		n, err := w.s.spool.CancelReplay("out")
		w.must(err)
		w.did("cancel: %d", n)
	}
	w.check()
}

// some returns the numbers of one in n dead letters.
func (w *lanesWorld) some(n int) (ids []int64) {
	for _, l := range w.list(false) {
		if w.rand.IntN(n) == 0 {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// finish delivers all that is left, and looks whether every event was.
func (w *lanesWorld) finish() {
	if len(w.list(false)) > 0 {
		_, err := w.s.letters.Requeue(deadletter.Selection{All: true})
		w.must(err)
	}
	for idle := 0; idle < 30; idle++ {
		if w.batch(0) > 0 {
			idle = 0
		}
	}
	for _, e := range ledger.Entries(w.s.spool, w.s.letters) {
		if e.Pending > 0 || e.Dead > 0 {
			w.fatalf("at the end the ledger is %+v", e)
		}
	}
	for sequence := uint64(1); sequence <= w.accepted; sequence++ {
		if !w.safe[sequence] {
			w.fatalf("event %d was lost", sequence)
		}
	}
}

// TestLanesAddUp: whatever a relay and a person do, in whatever order, and wherever
// the process is killed, the ledger adds up, every event is delivered, sent,
// or dropped by hand, and no commit is refused. What was sent while the output
// confirmed nothing stays sent, whatever the output of a later process does.
func TestLanesAddUp(t *testing.T) {
	seeds := uint64(time.Now().UnixNano())
	for i := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seeds+i), func(t *testing.T) {
			w := newLanesWorld(t, seeds+i)
			for range 100 {
				if w.rand.IntN(2) == 0 {
					w.person()
				} else {
					w.batch(0.3)
				}
			}
			w.finish()
		})
	}
}

// failing is a lane whose cursor can't be saved.
type failing struct{ events }

func (failing) Commit(uint64, spool.Outcome) error { return errors.New("disk failed") }

// TestLettersAreSettledLast: as long as the cursor has not passed the event of a dead
// letter, the event is pending, and the letter is nobody's.
func TestLettersAreSettledLast(t *testing.T) {
	w := newLanesWorld(t, 1)
	_, err := w.s.spool.Append(spool.Entry{Body: []byte("{}")})
	w.must(err)
	l := w.lanes[0].Source.(*spoolLane)
	raw, ok, err := l.Next()
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	w.must(lettersOf{"out", w.s.letters}.Put([]relay.Letter{{Sequence: raw.Sequence, Reason: relay.Refused, Body: raw.Body}}))
	broken := *l
	broken.events = failing{l.events}
	if err := broken.Commit(relay.Settled{Next: 2, Dead: 1}); err == nil {
		t.Fatal("a commit that failed is called done")
	}
	w.check()
	w.must(l.Commit(relay.Settled{Next: 2, Dead: 1}))
	if w.check(); len(w.list(false)) != 1 {
		t.Error("the letter is not there")
	}
}
