package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
)

// world is the spool, the store of dead letters and the receiver of one run, and the
// judge of what the relay does to them. Every call to it is one op.
type world struct {
	plan  plan
	mu    sync.Mutex
	lanes []*worldLane

	// What ever happened, by sequence.
	delivered, buried map[uint64]bool
	spared            map[uint64]bool // refused, and then there was no room for the letter
	// What this process did, and it does not forget: done by sequence, all in all,
	// and what speaks against events.
	done   map[uint64]bool
	total  int
	blames map[uint64]*worldBlame
	// dying are the reasons of events that must become dead letters before anything
	// else is sent.
	dying map[uint64]string

	sends, reads, saves, puts, coin int
	op, ops, process                int // of this process, of all, and its number
	dead                            bool
	stop                            context.CancelFunc
	wrong                           string
}

type worldBlame struct {
	fails int
	since time.Time
	// total is how many events were delivered before the first failure, last how many
	// before the last.
	total, last int
}

// worldLane is a lane of the world.
type worldLane struct {
	w       *world
	pass    uint64
	events  []planned
	arrived int
	more    chan struct{}
	at      int    // of the next event to read
	cursor  uint64 // durable
	letters map[uint64]bool
}

// laneSize is the distance between the sequences of lanes.
const laneSize = 10_000

func newWorld(p plan) *world {
	w := &world{plan: p, delivered: map[uint64]bool{}, buried: map[uint64]bool{}, spared: map[uint64]bool{}}
	for i, events := range p.lanes {
		w.lanes = append(w.lanes, &worldLane{
			w: w, pass: uint64(i), events: slices.Clone(events), more: make(chan struct{}), cursor: uint64(i)*laneSize + 1,
		})
	}
	return w
}

func (w *world) of(sequence uint64) (*worldLane, planned) {
	l := w.lanes[sequence/laneSize]
	return l, l.events[sequence%laneSize-1]
}

func (l *worldLane) sequence(i int) uint64 { return l.pass*laneSize + uint64(i) + 1 }

// begin starts a process. It returns the context that ends it.
func (w *world) begin() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	w.op, w.dead, w.total = 0, false, 0
	w.process++
	w.done, w.blames, w.dying = map[uint64]bool{}, map[uint64]*worldBlame{}, map[uint64]string{}
	for _, l := range w.lanes {
		l.at, l.letters = int(l.cursor%laneSize)-1, map[uint64]bool{}
	}
	return ctx
}

var errDead = errors.New("this process has crashed")

// step counts a call, and ends the process if the plan says so. It returns errDead
// from a crash on. The caller holds mu.
func (w *world) step() error {
	w.op++
	if w.ops++; w.ops > 50_000 {
		w.fail("the relay goes round in circles")
	}
	if ends := w.plan.ends; len(ends) > 0 && w.op == ends[0].op {
		w.dead = ends[0].crash
		w.plan.ends = ends[1:]
		w.stop()
	}
	if w.dead {
		return errDead
	}
	return nil
}

func (w *world) fail(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
	}
	w.stop()
}

func (w *world) goesOn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong == "" && !w.finished()
}

func (w *world) finished() bool {
	for _, l := range w.lanes {
		if l.cursor != l.sequence(len(l.events)) {
			return false
		}
	}
	return true
}

// failing tells whether a call fails, as planned.
func failing(count *int, plan []bool) bool {
	*count++
	return *count <= len(plan) && plan[*count-1]
}

func (l *worldLane) Next() (normalize.Raw, bool, error) {
	w := l.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return normalize.Raw{}, false, err
	}
	if failing(&w.reads, w.plan.readFails) {
		return normalize.Raw{}, false, errors.New("input/output error")
	}
	if l.at >= l.arrived {
		return normalize.Raw{}, false, nil
	}
	l.at++
	return l.events[l.at-1].raw(l.sequence(l.at - 1)), true, nil
}

func (l *worldLane) Ready() <-chan struct{} {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.at < l.arrived {
		c := make(chan struct{})
		close(c)
		return c
	}
	return l.more
}

// arrive accepts the events one by one, and then one every five minutes for as long
// as there is something to find out about the others.
func (w *world) arrive() {
	var all sync.WaitGroup
	for _, l := range w.lanes {
		all.Go(func() {
			for _, e := range l.events {
				pause(e.after)
				l.arriveOne()
			}
		})
	}
	all.Wait()
	for n := 10; w.goesOn(); n++ {
		w.mu.Lock()
		w.lanes[0].events = append(w.lanes[0].events, planned{record: n, nature: good})
		w.mu.Unlock()
		w.lanes[0].arriveOne()
		pause(5 * time.Minute)
	}
}

func (l *worldLane) arriveOne() {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.arrived++
	close(l.more)
	l.more = make(chan struct{})
}

// Commit checks that what it is told is what happened.
func (l *worldLane) Commit(s relay.Settled) error {
	w := l.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return err
	}
	if failing(&w.saves, w.plan.saveFails) {
		return errors.New("no space left on device")
	}
	if s.Next <= l.cursor || s.Next > l.sequence(l.at) {
		w.fail("the cursor went from %d to %d with %d events read", l.cursor, s.Next, l.at)
		return nil
	}
	want := relay.Settled{Next: s.Next}
	for q := l.cursor; q < s.Next; q++ {
		_, e := w.of(q)
		switch {
		case w.done[q]:
			if w.Unconfirmed() {
				want.Sent++
			} else {
				want.Delivered++
			}
			want.Sequences = append(want.Sequences, q)
		case l.letters[q]:
			want.Dead++
		case e.nature == elsewhere:
			want.Filtered++
		default:
			w.fail("the cursor passed event %d, which is neither delivered nor a dead letter", q)
		}
		if w.done[q] && l.letters[q] {
			w.fail("event %d is delivered and a dead letter", q)
		}
	}
	if fmt.Sprint(s) != fmt.Sprint(want) {
		w.fail("the commit says %+v, want %+v", s, want)
	}
	l.cursor = s.Next
	if err := w.step(); err != nil { // a crash after the effect
		return err
	}
	if w.finished() {
		w.stop()
	}
	return nil
}

// Put checks that what dies has to.
func (w *world) Put(letters []relay.Letter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return err
	}
	if failing(&w.puts, w.plan.putFails) {
		clear(w.dying) // they are sent again, and may be delivered, behind later ones
		for _, x := range letters {
			w.spared[x.Sequence] = true
		}
		return errors.New("database is full")
	}
	for _, x := range letters {
		l, e := w.of(x.Sequence)
		want := w.dying[x.Sequence]
		if e.nature == unwritable {
			want = relay.Encode
		}
		if b := w.blames[x.Sequence]; x.Reason == relay.Poison && b != nil && b.fails >= 10 &&
			time.Since(b.since) >= 10*time.Minute && b.last > b.total {
			want = relay.Poison
		}
		raw := e.raw(x.Sequence)
		if x.Reason != want || x.Pass != l.pass || string(x.Body) != string(raw.Body) || x.EventID != raw.ID || x.Record != fmt.Sprint("rec-", e.record) {
			w.fail("event %d, %s, became the dead letter %+v, want the reason %q", x.Sequence, e.nature, x, want)
		}
		delete(w.dying, x.Sequence)
		l.letters[x.Sequence], w.buried[x.Sequence] = true, true
	}
	return w.step() // a crash after the effect
}

func (w *world) encode(dst []byte, e *normalize.Event) []byte {
	w.mu.Lock()
	_, planned := w.of(e.Sequence)
	w.mu.Unlock()
	if planned.nature == unwritable {
		panic("nil map")
	}
	return encodeKey(dst, e)
}

// pause sleeps by a channel: time.Sleep of Go 1.26 can end the process ("bad g->status
// in ready") where many bubbles come one after the other.
func pause(d time.Duration) { <-time.After(d) }
