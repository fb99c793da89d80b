package relay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// plan is one run: what arrives when, what goes wrong when, and when the process
// ends. It is drawn before the run, which then has no choices left.
type plan struct {
	records   []int // of each event
	sizes     []int // of each body
	arrivals  []time.Duration
	batch     relay.Batch
	outcomes  []string // of each Send, then all succeed
	coins     []int    // what partial outcomes look like
	readFails []bool
	saveFails []bool
	ends      []end
	// holdsBack: the output delivers nothing of a record behind a refused message.
	holdsBack bool
}

// end is the end of the process at its call number op.
type end struct {
	op    int
	crash bool
}

func drawPlan(t *rapid.T) plan {
	n := rapid.IntRange(1, 25).Draw(t, "events")
	ints := func(lo, hi int, name string) []int {
		return rapid.SliceOfN(rapid.IntRange(lo, hi), n, n).Draw(t, name)
	}
	p := plan{
		records: ints(0, 3, "records"),
		sizes:   ints(0, 60, "sizes"),
		batch: relay.Batch{
			MaxEvents: rapid.IntRange(1, 8).Draw(t, "max events"),
			MaxBytes:  rapid.IntRange(1, 400).Draw(t, "max bytes"),
			MaxWait:   time.Duration(rapid.IntRange(0, 3).Draw(t, "max wait")) * time.Second,
		},
		outcomes: rapid.SliceOfN(rapid.SampledFrom([]string{
			"ok", "partial", "partial", "partial", "down", "too large", "not ready", "panic", "malformed", "wait", "slow",
		}), 0, 25).Draw(t, "outcomes"),
		coins:     rapid.SliceOfN(rapid.IntRange(0, 2), 97, 97).Draw(t, "coins"),
		readFails: rapid.SliceOfN(rapid.Bool(), 0, 30).Draw(t, "reads"),
		saveFails: rapid.SliceOfN(rapid.Bool(), 0, 10).Draw(t, "saves"),
		holdsBack: rapid.Bool().Draw(t, "holds back"),
	}
	for _, ms := range ints(0, 2000, "arrivals") {
		p.arrivals = append(p.arrivals, time.Duration(ms)*time.Millisecond)
	}
	for range rapid.IntRange(0, 5).Draw(t, "ends") {
		p.ends = append(p.ends, end{rapid.IntRange(1, 40).Draw(t, "op"), rapid.Bool().Draw(t, "crash")})
	}
	return p
}

// world is the spool and the receiver of one run, and the judge of what the relay
// does to them. Every call to it is one op.
type world struct {
	plan
	mu      sync.Mutex
	raws    []normalize.Raw
	arrived int
	more    chan struct{}
	at      int    // of the next event to read
	cursor  uint64 // durable

	delivered map[uint64]bool // ever
	inHand    map[uint64]bool // delivered by this process, not yet committed
	done      map[uint64]bool // delivered by this process
	tainted   map[string]bool // records of which the output let a later message pass a refused one

	sends, reads, saves, coin int
	op                        int // of this process
	total                     int
	dead                      bool // this process has crashed: its calls have no effect
	stop                      context.CancelFunc
	wrong                     string
}

func newWorld(p plan) *world {
	w := &world{plan: p, more: make(chan struct{}), cursor: 1, delivered: map[uint64]bool{}, tainted: map[string]bool{}}
	for i, record := range p.records {
		w.raws = append(w.raws, event(i+1, fmt.Sprint("rec-", record), strings.Repeat("x", p.sizes[i])))
	}
	return w
}

// begin starts a process. It returns the context that ends it.
func (w *world) begin() context.Context {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	w.at, w.op, w.dead = int(w.cursor)-1, 0, false
	w.inHand, w.done = map[uint64]bool{}, map[uint64]bool{}
	return ctx
}

var errDead = errors.New("this process has crashed")

// step counts a call, and ends the process if the plan says so. It returns errDead
// from a crash on. The caller holds mu.
func (w *world) step() error {
	w.op++
	if w.total++; w.total > 20_000 {
		w.fail("the relay goes round in circles")
	}
	if len(w.ends) > 0 && w.op == w.ends[0].op {
		w.dead = w.ends[0].crash
		w.ends = w.ends[1:]
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

func (w *world) Next() (normalize.Raw, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return normalize.Raw{}, false, err
	}
	if w.reads++; w.reads <= len(w.readFails) && w.readFails[w.reads-1] {
		return normalize.Raw{}, false, errors.New("input/output error")
	}
	if w.at >= w.arrived {
		return normalize.Raw{}, false, nil
	}
	w.at++
	return w.raws[w.at-1], true, nil
}

func (w *world) Ready() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at < w.arrived {
		c := make(chan struct{})
		close(c)
		return c
	}
	return w.more
}

// arrive accepts the events one by one.
func (w *world) arrive() {
	for i := range w.raws {
		time.Sleep(w.arrivals[i])
		w.mu.Lock()
		w.arrived++
		close(w.more)
		w.more = make(chan struct{})
		w.mu.Unlock()
	}
}

func (w *world) Commit(next uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return err
	}
	if w.saves++; w.saves <= len(w.saveFails) && w.saveFails[w.saves-1] {
		return errors.New("no space left on device")
	}
	if next <= w.cursor || next > uint64(w.arrived)+1 {
		w.fail("the cursor went from %d to %d with %d events", w.cursor, next, w.arrived)
	}
	for s := w.cursor; s < next; s++ {
		if !w.delivered[s] {
			w.fail("the cursor passed event %d, which was not delivered", s)
		}
		delete(w.inHand, s)
	}
	w.cursor = next
	if err := w.step(); err != nil { // a crash after the effect
		return err
	}
	if w.finished() {
		w.stop()
	}
	return nil
}

func (w *world) finished() bool { return w.cursor == uint64(len(w.raws))+1 }

func (w *world) Close() error { return nil }

// Send does what the plan says.
func (w *world) Send(_ context.Context, batch []outputs.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return err
	}
	w.judge(batch)
	w.sends++
	outcome := "ok"
	if w.sends <= len(w.outcomes) {
		outcome = w.outcomes[w.sends-1]
	}
	switch outcome {
	case "down":
		return errDown
	case "too large":
		return outputs.ErrTooLarge
	case "not ready":
		return &outputs.NotReady{Err: errors.New("401")}
	case "wait":
		return &outputs.Wait{Err: errors.New("429"), After: time.Minute}
	case "malformed":
		return &outputs.Partial{Results: make([]outputs.Result, len(batch)+1)}
	case "panic":
		panic("nil map")
	case "partial":
		return w.partial(batch)
	case "slow":
		w.mu.Unlock()
		time.Sleep(time.Second)
		w.mu.Lock()
	}
	for _, m := range batch {
		w.deliver(m)
	}
	return w.step() // a crash after the effect
}

// judge checks what may be sent at all.
func (w *world) judge(batch []outputs.Message) {
	if len(batch) == 0 || len(batch) > w.batch.MaxEvents {
		w.fail("a batch of %d messages was sent", len(batch))
		return
	}
	size := 0
	for i, m := range batch {
		size += len(m.Body)
		if m.Sequence < w.cursor || m.Sequence > uint64(w.arrived) || i > 0 && m.Sequence <= batch[i-1].Sequence {
			w.fail("event %d was sent out of turn", m.Sequence)
			return
		}
		if want := fmt.Sprintf("%d threat/17/rec-%d event", m.Sequence, w.records[m.Sequence-1]); string(m.Body) != want {
			w.fail("event %d was sent as %q, want %q", m.Sequence, m.Body, want)
		}
		if w.done[m.Sequence] {
			w.fail("event %d was sent again, though it was done", m.Sequence)
		}
	}
	if size > w.batch.MaxBytes && len(batch) > 1 {
		w.fail("a batch has %d bytes, more than %d", size, w.batch.MaxBytes)
	}
}

// partial delivers some messages and not others, by the rule for outputs that keep order.
func (w *world) partial(batch []outputs.Message) error {
	results := make([]outputs.Result, len(batch))
	held := map[string]bool{}
	for i, m := range batch {
		w.coin++
		switch status := outputs.Status(w.coins[w.coin%len(w.coins)]); {
		case held[m.Key] || status == outputs.Retry:
			results[i] = outputs.Result{Status: outputs.Retry, Err: errors.New("put off")}
			held[m.Key] = true
		case status == outputs.Refused:
			results[i] = outputs.Result{Status: outputs.Refused, Err: errors.New("will never do")}
			held[m.Key] = w.holdsBack
			w.tainted[m.Key] = w.tainted[m.Key] || !w.holdsBack
		default:
			w.deliver(m)
		}
	}
	if err := w.step(); err != nil {
		return err
	}
	return &outputs.Partial{Results: results}
}

// deliver notes that the receiver has m, and checks the order of first copies.
func (w *world) deliver(m outputs.Message) {
	for s := uint64(1); s < m.Sequence && !w.tainted[m.Key]; s++ {
		if w.records[s-1] == w.records[m.Sequence-1] && !w.delivered[s] {
			w.fail("event %d was delivered before %d of the same record", m.Sequence, s)
		}
	}
	w.delivered[m.Sequence], w.done[m.Sequence], w.inHand[m.Sequence] = true, true, true
	if len(w.inHand) > w.batch.MaxEvents {
		w.fail("%d events are delivered and not committed: more than a batch", len(w.inHand))
	}
}

// run runs processes until everything is delivered and committed.
func (w *world) run(m *normalize.Mapping) error {
	go w.arrive()
	for w.wrong == "" && !w.finished() {
		ctx := w.begin()
		r, err := relay.New(relay.Options{
			Name: "test", Source: w, Mapping: m, Encode: encodeKey, Output: w, Batch: w.batch,
			Retry: relay.Retry{Min: time.Second, Max: 10 * time.Second},
		})
		if err != nil {
			return err
		}
		if err := r.Run(ctx); err != nil {
			return err
		}
		w.stop()
	}
	if w.wrong != "" {
		return errors.New(w.wrong)
	}
	return nil
}

// TestModel: whatever goes wrong and whenever the process ends, every event is
// delivered, of each record the first copies come in order, the cursor never passes
// what was not delivered, nothing that is done is sent again by the same process,
// and at most the unfinished batch by the next.
func TestModel(t *testing.T) {
	m := mapping(t)
	for range 20 { // 2,000 plans unless -rapid.checks says otherwise
		rapid.Check(t, func(rt *rapid.T) {
			p := drawPlan(rt)
			var err error
			synctest.Test(t, func(*testing.T) { err = newWorld(p).run(m) })
			if err != nil {
				rt.Fatal(err)
			}
		})
	}
}
