package deadletter_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

func next(t *testing.T, q *deadletter.Queue) uint64 {
	t.Helper()
	l, ok, err := q.Next()
	if err != nil {
		t.Fatalf("next: %v", err)
	}
	if !ok {
		return 0
	}
	return l.Sequence
}

func requeue(t *testing.T, s *deadletter.Store, ids ...int64) {
	t.Helper()
	if n, err := s.Requeue(deadletter.Selection{IDs: ids}); err != nil || n != len(ids) {
		t.Fatalf("requeued %d, %v; want %d", n, err, len(ids))
	}
}

func isReady(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestQueueGoesBySequence(t *testing.T) {
	s := open(t, options(t.TempDir()))
	settled(t, s, letters("kibana", 30, 10, 20, 5)...)
	settled(t, s, letter("arcsight", 0, 1))
	q := s.Queue("kibana")
	ready := q.Ready()
	if isReady(ready) || next(t, q) != 0 {
		t.Error("an empty queue has something")
	}
	requeue(t, s, 5) // another output's
	if isReady(ready) {
		t.Error("another output's letter woke the queue")
	}
	requeue(t, s, 1, 2)
	if !isReady(ready) {
		t.Error("a queued letter did not wake the queue")
	}
	if got := next(t, q); got != 10 {
		t.Errorf("first is %d, want 10", got)
	}
	requeue(t, s, 3, 4) // older ones than what was read ahead
	var got []uint64
	for {
		sequence := next(t, q)
		if sequence == 0 {
			break
		}
		got = append(got, sequence)
	}
	if diff := cmp.Diff([]uint64{5, 20, 30}, got); diff != "" {
		t.Errorf("then (-want +got):\n%s", diff)
	}
	if isReady(q.Ready()) {
		t.Error("ready although all were returned")
	}
	if q != s.Queue("kibana") {
		t.Error("a second queue of one output")
	}
	q.Rewind()
	if !isReady(q.Ready()) || next(t, q) != 5 {
		t.Error("rewind did not begin with the oldest")
	}
}

// TestCommitLeavesWhatWasReadAhead: a relay holds a letter that did not fit in its batch.
func TestCommitLeavesWhatWasReadAhead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	settled(t, s, letters("kibana", 1, 2, 3, 4)...)
	requeue(t, s, 1, 2, 3, 4)
	q := s.Queue("kibana")
	var second deadletter.Letter
	for i := range 4 {
		l, _, err := q.Next()
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			second = l
		}
	}
	if err := s.Put([]deadletter.Letter{second}); err != nil {
		t.Fatal(err)
	}
	if err := q.Commit(deadletter.Outcome{Delivered: 1, Filtered: 1}); err != nil {
		t.Fatal(err)
	}
	want := deadletter.Account{Dead: 1, Queued: 1, Delivered: 1, Filtered: 1}
	if diff := cmp.Diff(want, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if err := q.Commit(deadletter.Outcome{Delivered: 2}); err == nil {
		t.Error("two letters were committed, one is in hand")
	}
	if got := next(t, q); got != 0 {
		t.Errorf("letter %d was returned twice", got)
	}
	s = open(t, options(crashed(t, dir)))
	if diff := cmp.Diff(want, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account after a crash (-want +got):\n%s", diff)
	}
	if got := next(t, s.Queue("kibana")); got != 4 {
		t.Errorf("%d is returned after a crash, want 4", got)
	}
}

// TestPutBackAndQueuedAnew: somebody queues a letter again before the batch that put
// it back is committed. The commit must not take it along.
func TestPutBackAndQueuedAnew(t *testing.T) {
	s := open(t, options(t.TempDir()))
	settled(t, s, letters("kibana", 1, 2)...)
	requeue(t, s, 1, 2)
	q := s.Queue("kibana")
	l, _, err := q.Next()
	if err != nil || next(t, q) != 2 {
		t.Fatal(err)
	}
	if err := s.Put([]deadletter.Letter{l}); err != nil {
		t.Fatal(err)
	}
	requeue(t, s, 1)
	if err := q.Commit(deadletter.Outcome{Delivered: 1}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deadletter.Account{Queued: 1, Delivered: 1}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if got := next(t, q); got != 1 {
		t.Errorf("next is %d, want the letter that was queued anew", got)
	}
}

// TestLongQueue: more letters, and larger ones, than one page.
func TestLongQueue(t *testing.T) {
	o := options(t.TempDir())
	o.MaxSize = 64 << 20
	s := open(t, o)
	var ls []deadletter.Letter
	for i := range uint64(200) {
		l := letter("kibana", 0, i+1)
		if i%50 == 0 {
			l.Body = make([]byte, 3<<20)
		}
		ls = append(ls, l)
	}
	settled(t, s, ls...)
	if n, err := s.Requeue(deadletter.Selection{All: true}); n != 200 || err != nil {
		t.Fatal(n, err)
	}
	q := s.Queue("kibana")
	for i := range uint64(200) {
		l, ok, err := q.Next()
		if err != nil || !ok || l.Sequence != i+1 || len(l.Body) != len(ls[i].Body) {
			t.Fatalf("letter %d: %v, %v, %d with %d bytes", i+1, ok, err, l.Sequence, len(l.Body))
		}
	}
	if err := q.Commit(deadletter.Outcome{Delivered: 200}); err != nil {
		t.Fatal(err)
	}
	if used, _ := s.Full(); used != 0 {
		t.Errorf("%d bytes are used by no letters", used)
	}
}

// TestAReplayDelivers: the letters of what it delivered leave, whichever lane they
// came from; not those that are queued, of another output, or just refused.
func TestAReplayDelivers(t *testing.T) {
	s := open(t, options(t.TempDir()))
	settled(t, s, letters("kibana", 1, 2, 3)...)
	settled(t, s, letter("kibana", 1, 2), letter("arcsight", 0, 2))
	requeue(t, s, 3)
	if err := s.Put([]deadletter.Letter{letter("kibana", 2, 4)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delivered("kibana", []uint64{2, 3, 4, 9}); err != nil {
		t.Fatal(err)
	}
	want := map[string]deadletter.Account{"kibana": {Dead: 1, Queued: 1, Delivered: 2}, "arcsight": {Dead: 1}}
	if diff := cmp.Diff(want, s.Accounts()); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	s.Settle("kibana", 2)
	if diff := cmp.Diff([]uint64{1, 4}, sequences(t, s, deadletter.Selection{Output: "kibana"})); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if err := s.Delivered("never there", []uint64{1}); err != nil {
		t.Error(err)
	}
	if err := s.Sent("kibana", []uint64{4}); err != nil {
		t.Fatal(err)
	}
	want["kibana"] = deadletter.Account{Dead: 1, Queued: 1, Delivered: 2, Sent: 1}
	if diff := cmp.Diff(want, s.Accounts()); diff != "" {
		t.Errorf("accounts after a replay that confirms nothing (-want +got):\n%s", diff)
	}
}

// TestADamagedBodyIsNotSent: it becomes dead again, and the queue goes on.
func TestADamagedBodyIsNotSent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	settled(t, s, letters("kibana", 1, 2)...)
	requeue(t, s, 1, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, `UPDATE bodies SET body = CAST('{"record_type":"tHreat"}' AS BLOB) WHERE id = 1`)
	s = open(t, options(dir))
	q := s.Queue("kibana")
	if got := next(t, q); got != 2 {
		t.Errorf("next is %d, want the letter that is whole", got)
	}
	if diff := cmp.Diff(deadletter.Account{Dead: 1, Queued: 1}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	l, err := s.Get(1)
	if !errors.Is(err, deadletter.ErrDamaged) || l.EventID == "" || len(l.Body) == 0 {
		t.Errorf("get of a damaged letter: %+v, %v; want what there is, and the error", l, err)
	}
}
