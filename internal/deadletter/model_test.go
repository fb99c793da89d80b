package deadletter_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

type key struct{ pass, sequence uint64 }

// modelOutput is an output as the model knows it: what its cursor has on disk, and
// what ought to be in the store.
type modelOutput struct {
	next, pass, replayNext, replayEnd uint64
	dead                              uint64
	letters                           map[key]string // dead or queued
	account                           deadletter.Account
}

func (o *modelOutput) position() deadletter.Position {
	return deadletter.Position{Next: o.next, Pass: o.pass, ReplayNext: o.replayNext, Dead: o.dead}
}

func (o *modelOutput) in(state string) (n uint64) {
	for _, s := range o.letters {
		if s == state {
			n++
		}
	}
	return n
}

// machine drives a store as the relays, their cursors, people and crashes do.
type machine struct {
	t       *testing.T
	dir     string
	s       *deadletter.Store
	outputs map[string]*modelOutput
	// confirmsNothing: the last replay was on a way that doesn't.
	confirmsNothing bool
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: scratch(t), outputs: map[string]*modelOutput{}}
	for _, output := range []string{"arcsight", "kibana"} {
		m.outputs[output] = &modelOutput{next: 1, letters: map[key]string{}}
	}
	m.open()
	return m
}

func (m *machine) open() {
	s, err := deadletter.Open(options(m.dir))
	if err != nil {
		m.t.Fatalf("open: %v", err)
	}
	m.s = s
	for output, o := range m.outputs {
		if err := s.Begin(output, o.position()); err != nil {
			m.t.Fatalf("begin: %v", err)
		}
	}
}

// crash goes on with what is on disk at this moment.
func (m *machine) crash() {
	to := crashed(m.t, m.dir)
	m.close()
	m.dir = to
	m.open()
}

func (m *machine) close() {
	if err := m.s.Close(); err != nil {
		m.t.Fatalf("close: %v", err)
	}
}

func (m *machine) pick(t *rapid.T) (string, *modelOutput) {
	output := rapid.SampledFrom([]string{"arcsight", "kibana"}).Draw(t, "output")
	return output, m.outputs[output]
}

// cut says after which durable step of a lane the process dies; most often it doesn't.
func cut(t *rapid.T, steps int) int {
	if rapid.IntRange(0, 3).Draw(t, "die") > 0 {
		return 0
	}
	return rapid.IntRange(1, steps).Draw(t, "dies after step")
}

// log sends a batch of the log lane.
func (m *machine) log(t *rapid.T) {
	output, _ := m.pick(t)
	refused := rapid.SliceOfN(rapid.Bool(), 1, 4).Draw(t, "refused")
	m.batch(output, refused, cut(t, 2), 0)
}

// replay sends a batch of the replay lane, or begins one.
func (m *machine) replay(t *rapid.T) {
	output, o := m.pick(t)
	if o.replayNext == o.replayEnd {
		if o.next == 1 {
			return
		}
		from := rapid.Uint64Range(1, o.next-1).Draw(t, "from")
		o.pass++
		o.replayNext, o.replayEnd = from, rapid.Uint64Range(from, o.next).Draw(t, "to")
		return
	}
	refused := rapid.SliceOfN(rapid.Bool(), 1, int(min(o.replayEnd-o.replayNext, 4))).Draw(t, "refused")
	m.batch(output, refused, cut(t, 2), o.pass)
}

// batch: put, commit the cursor, settle. A death after put leaves the cursor where it
// was; one after the commit leaves the letters unsettled.
func (m *machine) batch(output string, refused []bool, dies int, pass uint64) {
	o := m.outputs[output]
	at := &o.next
	if pass > 0 {
		at = &o.replayNext
	}
	var put []deadletter.Letter
	var delivered []uint64
	for i, r := range refused {
		sequence := *at + uint64(i)
		if r {
			put = append(put, letter(output, pass, sequence))
			// Only a cursor that was lost comes to an event twice. The letter that
			// was there makes way: its event is pending again.
			delete(o.letters, key{pass, sequence})
		} else {
			delivered = append(delivered, sequence)
		}
	}
	if err := m.s.Put(put); err != nil {
		m.t.Fatalf("put: %v", err)
	}
	m.unchanged("letters that the cursor has not passed")
	if dies == 1 {
		m.crash()
		return
	}
	*at += uint64(len(refused))
	o.dead += uint64(len(put))
	for _, l := range put {
		o.letters[key{pass, l.Sequence}] = "dead"
	}
	if dies == 2 {
		m.crash()
		return
	}
	m.s.Settle(output, pass)
	if pass == 0 {
		return
	}
	done, count := m.s.Delivered, &o.account.Delivered
	if m.confirmsNothing = !m.confirmsNothing; m.confirmsNothing {
		done, count = m.s.Sent, &o.account.Sent
	}
	if err := done(output, delivered); err != nil {
		m.t.Fatalf("delivered: %v", err)
	}
	for k, state := range o.letters {
		if state == "dead" && slices.Contains(delivered, k.sequence) {
			delete(o.letters, k)
			*count++
		}
	}
}

// unchanged checks that List doesn't show what is unsettled.
func (m *machine) unchanged(what string) {
	for output, o := range m.outputs {
		if n := len(sequences(m.t, m.s, deadletter.Selection{Output: output})); uint64(n) != o.in("dead") {
			m.t.Fatalf("%s: %s: %d are listed, want %d", output, what, n, o.in("dead"))
		}
	}
}

// resend sends a batch of the letters lane.
func (m *machine) resend(t *rapid.T) {
	output, o := m.pick(t)
	q := m.s.Queue(output)
	outcomes := rapid.SliceOfN(rapid.SampledFrom([]string{"delivered", "sent", "filtered", "dead"}), 1, 4).Draw(t, "outcomes")
	ahead := rapid.Bool().Draw(t, "reads one ahead")
	dies := cut(t, 2)
	defer q.Rewind()

	want := slices.SortedFunc(maps.Keys(o.letters), cmpKey)
	want = slices.DeleteFunc(want, func(k key) bool { return o.letters[k] != "queued" })
	var put []deadletter.Letter
	var outcome deadletter.Outcome
	done := map[key]string{}
	for i := range min(len(outcomes), len(want)) {
		l, ok, err := q.Next()
		if err != nil || !ok {
			t.Fatalf("next: %v, %v; want a letter", ok, err)
		}
		k := key{l.Pass, l.Sequence}
		if k != want[i] {
			t.Fatalf("next returned %v, want %v", k, want[i])
		}
		done[k] = outcomes[i]
		switch outcomes[i] {
		case "dead":
			put = append(put, l)
		case "delivered":
			outcome.Delivered++
		case "sent":
			outcome.Sent++
		case "filtered":
			outcome.Filtered++
		}
	}
	if ahead {
		if _, _, err := q.Next(); err != nil {
			t.Fatalf("next: %v", err)
		}
	}
	if err := m.s.Put(put); err != nil {
		t.Fatalf("put back: %v", err)
	}
	for _, l := range put {
		o.letters[key{l.Pass, l.Sequence}] = "dead"
	}
	if dies == 1 {
		m.crash()
		return
	}
	if err := q.Commit(outcome); err != nil {
		t.Fatalf("commit: %v", err)
	}
	for k, what := range done {
		if what != "dead" {
			delete(o.letters, k)
		}
	}
	o.account.Delivered += outcome.Delivered
	o.account.Sent += outcome.Sent
	o.account.Filtered += outcome.Filtered
	if dies == 2 {
		m.crash()
	}
}

func cmpKey(a, b key) int {
	if a.sequence != b.sequence {
		return int(a.sequence) - int(b.sequence)
	}
	return int(a.pass) - int(b.pass)
}

// byHand queues or drops some of the letters that are listed.
func (m *machine) byHand(t *rapid.T) {
	output, o := m.pick(t)
	listed, err := m.s.List(deadletter.Selection{Output: output}, 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	requeue := rapid.IntRange(0, 2).Draw(t, "requeue") > 0
	sel := deadletter.Selection{IDs: []int64{}}
	for _, l := range listed {
		if !rapid.Bool().Draw(t, "selected") {
			continue
		}
		sel.IDs = append(sel.IDs, l.ID)
		if requeue {
			o.letters[key{l.Pass, l.Sequence}] = "queued"
		} else {
			delete(o.letters, key{l.Pass, l.Sequence})
			o.account.Dropped++
		}
	}
	do := m.s.Drop
	if requeue {
		do = m.s.Requeue
	}
	if n, err := do(sel); err != nil || n != len(sel.IDs) {
		t.Fatalf("requeue %v: %d, %v; want %d", requeue, n, err, len(sel.IDs))
	}
}

// loseCursor begins anew with a cursor that knows nothing, as after both its slots
// were damaged. What the store had not marked as settled may go: it is sent again.
func (m *machine) loseCursor(t *rapid.T) {
	output, o := m.pick(t)
	o.next = rapid.Uint64Range(1, o.next).Draw(t, "next")
	o.pass, o.replayNext, o.replayEnd, o.dead = 0, 0, 0, 0
	m.crash()
	here := map[key]string{}
	for _, queued := range []bool{false, true} {
		ls, err := m.s.List(deadletter.Selection{Output: output, Queued: queued}, 1000, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range ls {
			here[key{l.Pass, l.Sequence}] = map[bool]string{false: "dead", true: "queued"}[queued]
		}
	}
	for k, state := range o.letters {
		if here[k] != state && (state == "queued" || k.pass == 0 && k.sequence < o.next) {
			t.Fatalf("letter %v was %s, is %q after its cursor was lost", k, state, here[k])
		}
	}
	o.letters = here
}

func (m *machine) check(t *rapid.T) {
	accounts := m.s.Accounts()
	var bytes int64
	for output, o := range m.outputs {
		got := accounts[output]
		if cursor := int64(o.dead) + int64(got.Carried) - int64(got.Queued+got.Delivered+got.Sent+got.Filtered+got.Dropped+got.Lost); cursor != int64(got.Dead) {
			t.Fatalf("%s: the cursor's %d dead letters and %+v don't add up", output, o.dead, got)
		}
		want := o.account
		want.Dead, want.Queued = o.in("dead"), o.in("queued")
		want.Carried, want.Lost = got.Carried, got.Lost // they follow from the sum above
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("account of %s (-want +got):\n%s", output, diff)
		}
		for state, queued := range map[string]bool{"dead": false, "queued": true} {
			sel := deadletter.Selection{Output: output, Queued: queued}
			if n := len(sequences(m.t, m.s, sel)); uint64(n) != o.in(state) {
				t.Fatalf("%s: %d %s letters are listed, want %d", output, n, state, o.in(state))
			}
			_, size, err := m.s.Count(sel)
			if err != nil {
				t.Fatal(err)
			}
			bytes += size
		}
	}
	if used, _ := m.s.Full(); used != bytes {
		t.Fatalf("%d bytes are used, the letters take %d", used, bytes)
	}
}

// TestTheLedgerAddsUp: whatever happens in whatever order, accounts, listings and
// cursors agree.
func TestTheLedgerAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"log":     m.log,
			"log 2":   m.log,
			"replay":  m.replay,
			"resend":  m.resend,
			"by hand": m.byHand,
			"crash":   func(*rapid.T) { m.crash() },
			"":        m.check,
		})
		for output, a := range m.s.Accounts() {
			if a.Carried > 0 || a.Lost > 0 {
				rt.Fatalf("%s: %+v although nothing was lost", output, a)
			}
		}
	})
}

// TestTheLedgerAddsUpWithoutItsCursor: the same where cursors are lost.
func TestTheLedgerAddsUpWithoutItsCursor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"log":         m.log,
			"replay":      m.replay,
			"resend":      m.resend,
			"by hand":     m.byHand,
			"lose cursor": m.loseCursor,
			"":            m.check,
		})
	})
}
