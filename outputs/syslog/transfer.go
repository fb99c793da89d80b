package syslog

import (
	"errors"
	"fmt"

	"github.com/siemrelay/siemrelay/outputs"
)

// transfer is what became of a batch so far, over RELP. Of each record one event is
// under way at a time, so that a receiver that does not take one has none of those
// behind it.
type transfer struct {
	batch   []outputs.Message
	results []outputs.Result
	settled []bool
	ready   []int       // the messages that may be sent, by index
	behind  []int       // of each message the next one of its record, 0 if there is none
	pending map[int]int // command number to index, of those without an answer
	left    int         // how many are not settled
	bad     int         // how many of those that are settled are not done
}

// errBehind is why an event waits though nothing is wrong with it.
var errBehind = &outputs.Transient{Err: errors.New("an earlier event of the same record was not taken")}

func newTransfer(batch []outputs.Message) *transfer {
	t := &transfer{
		batch: batch, results: make([]outputs.Result, len(batch)), settled: make([]bool, len(batch)),
		ready: make([]int, 0, len(batch)), behind: make([]int, len(batch)),
		pending: make(map[int]int, relpWindow), left: len(batch),
	}
	last := make(map[string]int, len(batch))
	for i := range batch {
		if before, found := last[batch[i].Key]; found {
			t.behind[before] = i
		} else {
			t.ready = append(t.ready, i)
		}
		last[batch[i].Key] = i
	}
	return t
}

func (t *transfer) complete() bool { return t.left == 0 }

// untouched tells whether the receiver has answered for no event at all.
func (t *transfer) untouched() bool { return t.left == len(t.batch) }

func (t *transfer) underway() int { return len(t.pending) }

// take returns the next message to send, under the command number txnr, and nil if
// the window is full or nothing can be sent before the next answer.
func (t *transfer) take(txnr int) *outputs.Message {
	if len(t.ready) == 0 || len(t.pending) == relpWindow {
		return nil
	}
	i := t.ready[0]
	t.ready = t.ready[1:]
	t.pending[txnr] = i
	return &t.batch[i]
}

// settle notes an answer. Anything but 200 is about this event: the receiver may take
// it later, and if it goes on refusing it while it takes others, the relay makes it a
// dead letter.
func (t *transfer) settle(a answer) error {
	i, found := t.pending[a.txnr]
	switch {
	case !found:
		return noRELP("an answer to command %d, which is not waiting for one", a.txnr)
	case a.status == 0:
		return noRELP("an answer to command %d without a status", a.txnr)
	}
	delete(t.pending, a.txnr)
	next := t.behind[i]
	if a.status == 200 {
		t.set(i, outputs.Result{})
		if next > 0 {
			t.ready = append(t.ready, next)
		}
		return nil
	}
	t.set(i, outputs.Result{Status: outputs.Retry, Err: fmt.Errorf("the receiver answers %d %s", a.status, a.text)})
	for ; next > 0; next = t.behind[next] {
		t.set(next, outputs.Result{Status: outputs.Retry, Err: errBehind})
	}
	return nil
}

// settleAll notes the answers that are already there.
func (t *transfer) settleAll(answers <-chan answer) error {
	for {
		select {
		case a, ok := <-answers:
			if !ok {
				return nil // the next one to wait for an answer finds out why
			}
			if err := t.settle(a); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// drain notes what was answered before a session ended.
func (t *transfer) drain(answers <-chan answer) {
	_ = t.settleAll(answers) // the session has failed already
}

func (t *transfer) set(i int, r outputs.Result) {
	t.results[i], t.settled[i] = r, true
	t.left--
	if r.Status != outputs.Done {
		t.bad++
	}
}

// fail gives every event without an answer back: the session is to blame.
func (t *transfer) fail(err error) {
	for i := range t.batch {
		if !t.settled[i] {
			t.set(i, outputs.Result{Status: outputs.Retry, Err: &outputs.Transient{Err: err}})
		}
	}
}

// outcome is what Send returns.
func (t *transfer) outcome() error {
	if t.bad == 0 {
		return nil
	}
	return &outputs.Partial{Results: t.results}
}
