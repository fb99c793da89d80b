package syslog

import (
	"errors"
	"fmt"

	"github.com/siemrelay/siemrelay/outputs"
)

// transfer is what became of a batch so far, over RELP.
type transfer struct {
	batch   []outputs.Message
	results []outputs.Result
	settled []bool
	next    int             // the first message that was not sent
	pending map[int]int     // command number to index, of those without an answer
	left    int             // how many are not settled
	bad     int             // how many of those that are settled are not done
	held    map[string]bool // keys of which an event was not taken
}

// errBehind is why an event waits though nothing is wrong with it.
var errBehind = &outputs.Transient{Err: errors.New("an earlier event of the same record was not taken")}

func newTransfer(batch []outputs.Message) *transfer {
	return &transfer{
		batch: batch, results: make([]outputs.Result, len(batch)), settled: make([]bool, len(batch)),
		pending: make(map[int]int, relpWindow), left: len(batch),
	}
}

func (t *transfer) complete() bool { return t.left == 0 }

// untouched tells whether the receiver has answered for no event at all.
func (t *transfer) untouched() bool { return t.left == len(t.batch) }

func (t *transfer) underway() int { return len(t.pending) }

// take returns the next message to send, under the command number txnr, and nil if
// the window is full or nothing is left. Events behind one of their record that was
// not taken are passed over.
func (t *transfer) take(txnr int) *outputs.Message {
	for ; t.next < len(t.batch) && len(t.pending) < relpWindow; t.next++ {
		if t.held[t.batch[t.next].Key] {
			t.set(t.next, outputs.Result{Status: outputs.Retry, Err: errBehind})
			continue
		}
		t.pending[txnr] = t.next
		t.next++
		return &t.batch[t.next-1]
	}
	return nil
}

// settle notes an answer. Anything but 200 is about this event: the receiver may take
// it later, and if it goes on refusing it while it takes others, the relay makes it a
// dead letter.
func (t *transfer) settle(a answer) error {
	i, found := t.pending[a.txnr]
	if !found {
		return noRELP("an answer to command %d, which is not waiting for one", a.txnr)
	}
	delete(t.pending, a.txnr)
	if a.status == 200 {
		t.set(i, outputs.Result{})
		return nil
	}
	if t.held == nil {
		t.held = map[string]bool{}
	}
	t.held[t.batch[i].Key] = true
	t.set(i, outputs.Result{Status: outputs.Retry, Err: fmt.Errorf("the receiver answers %d %s", a.status, a.text)})
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
	t.keepOrder()
	return &outputs.Partial{Results: t.results}
}

// keepOrder takes back what was done after an event of the same record that was not:
// both were under way together. It is sent again, in order.
func (t *transfer) keepOrder() {
	behind := map[string]bool{}
	for i, r := range t.results {
		key := t.batch[i].Key
		switch {
		case r.Status != outputs.Done:
			behind[key] = true
		case behind[key]:
			t.results[i] = outputs.Result{Status: outputs.Retry, Err: errBehind}
			t.bad++
		}
	}
}
