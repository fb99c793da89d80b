package outputstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
)

// driver is the relay's part in a check: it makes messages, sends them, acts on
// what became of them, and holds the output to its promises on the way.
type driver struct {
	tb  testing.TB
	h   Harness
	s   Subject
	out outputs.Output

	made uint64
	// known are all bodies that were ever given to Send.
	known map[string]bool
	// delivered are the messages that the output called safe, in order of Sequence.
	delivered []outputs.Message
	// repeats allows the receiver to have a body more than once.
	repeats bool
}

// open makes the output.
func (d *driver) open() {
	d.tb.Helper()
	out, err := d.s.New()
	if err != nil {
		d.noSecret(err)
		d.tb.Fatalf("make the output: %v", err)
	}
	d.out = out
}

// close closes the output, if it is open.
func (d *driver) close() {
	d.tb.Helper()
	if d.out == nil {
		return
	}
	d.within("Close", func() {
		d.noSecret(d.out.Close())
	})
	d.out = nil
}

// message makes a message of the record named by key; text goes into its body.
func (d *driver) message(key, text string) outputs.Message {
	return d.messageOf(key, fmt.Appendf(nil, `{"n":%d,"key":%q,"text":"%s"}`, d.made+1, key, text))
}

func (d *driver) messageOf(key string, body []byte) outputs.Message {
	d.made++
	kind := [...]string{"threat", "ticket", "other"}[d.made%3]
	return outputs.Message{
		ID:             fmt.Sprintf("%032x", d.made),
		Key:            kind + "/17/" + key,
		Kind:           kind,
		Company:        "17",
		Namespace:      "default",
		Dataset:        "defensecom." + kind,
		EventKind:      "event",
		Trigger:        "update",
		Accepted:       time.Date(2026, 7, 1, 12, 0, 0, int(d.made), time.UTC),
		Sequence:       d.made,
		SyslogSeverity: int(d.made % 8),
		Body:           body,
	}
}

// send calls Send with a copy of the batch, which it spoils as soon as the call
// has returned: whoever kept a part of it delivers nonsense.
func (d *driver) send(ctx context.Context, batch []outputs.Message) error {
	d.tb.Helper()
	lent := clone(batch)
	for _, m := range batch {
		d.known[string(m.Body)] = true
	}
	var err error
	d.within("Send", func() { err = d.out.Send(ctx, lent) })
	if !reflect.DeepEqual(lent, batch) {
		d.tb.Errorf("Send changed the batch that it was lent")
	}
	for i := range lent {
		for j := range lent[i].Body {
			lent[i].Body[j] = '!'
		}
		lent[i] = outputs.Message{}
	}
	d.noSecret(err)
	var p *outputs.Partial
	if errors.As(err, &p) {
		d.inspect(batch, p)
	}
	return err
}

// inspect checks the form of a partial outcome, and that it keeps order.
func (d *driver) inspect(batch []outputs.Message, p *outputs.Partial) {
	d.tb.Helper()
	if len(p.Results) != len(batch) {
		d.tb.Fatalf("Partial has %d results for %d messages", len(p.Results), len(batch))
	}
	behind := map[string]bool{}
	for i, r := range p.Results {
		switch {
		case r.Status > outputs.Refused:
			d.tb.Errorf("message %d: unknown status %v", i, r.Status)
		case r.Status == outputs.Done && r.Err != nil:
			d.tb.Errorf("message %d is done, but with the error %v", i, r.Err)
		case r.Status != outputs.Done && r.Err == nil:
			d.tb.Errorf("message %d is %v without a reason", i, r.Status)
		case r.Status == outputs.Done && d.h.KeepsOrder && behind[batch[i].Key]:
			d.tb.Errorf("message %d is done, and one of the same Key before it is not", i)
		}
		d.noSecret(r.Err)
		if r.Status == outputs.Retry {
			behind[batch[i].Key] = true
		}
	}
}

// mustSend sends a batch that a working receiver takes.
func (d *driver) mustSend(batch ...outputs.Message) {
	d.tb.Helper()
	if err := d.send(context.Background(), batch); err != nil {
		d.tb.Fatalf("send %d messages to a receiver that works: %v", len(batch), err)
	}
	d.delivered = append(d.delivered, batch...)
	d.verify()
}

// mustFail sends a batch that can't arrive now, and returns what is left of it.
func (d *driver) mustFail(batch []outputs.Message) []outputs.Message {
	d.tb.Helper()
	d.repeats = true
	err := d.send(context.Background(), batch)
	if err == nil {
		d.tb.Fatalf("Send returned nil while the receiver was broken")
	}
	left, refused := d.settle(batch, err)
	if len(refused) > 0 {
		d.tb.Errorf("a broken receiver is no reason to refuse a message for good")
	}
	d.blamesNone(err)
	return left
}

// blamesNone checks that an outcome for which the receiver is to blame counts
// against no message: the relay would make dead letters of those it counts against.
func (d *driver) blamesNone(err error) {
	d.tb.Helper()
	var p *outputs.Partial
	if !errors.As(err, &p) {
		return
	}
	for i, r := range p.Results {
		if r.Status == outputs.Retry && !outputs.IsTransient(r.Err) {
			d.tb.Errorf("message %d is to be retried because of the receiver, but its error is not transient: %v", i, r.Err)
		}
	}
}

// settle notes what is done, and returns what must be sent again and what was refused.
func (d *driver) settle(batch []outputs.Message, err error) (left, refused []outputs.Message) {
	var p *outputs.Partial
	switch {
	case err == nil:
		d.delivered = append(d.delivered, batch...)
		return nil, nil
	case !errors.As(err, &p):
		return batch, nil
	}
	for i, r := range p.Results {
		switch r.Status {
		case outputs.Done:
			d.delivered = append(d.delivered, batch[i])
		case outputs.Retry:
			left = append(left, batch[i])
		case outputs.Refused:
			refused = append(refused, batch[i])
		}
	}
	return left, refused
}

// deliver sends until every message is settled, as the relay does, and returns
// those that were refused.
func (d *driver) deliver(batch []outputs.Message) (refused []outputs.Message) {
	d.tb.Helper()
	d.repeats = true
	deadline := time.Now().Add(d.h.Patience)
	for len(batch) > 0 {
		err := d.send(context.Background(), batch)
		left, no := d.settle(batch, err)
		refused = append(refused, no...)
		if len(left) == len(batch) {
			if time.Now().After(deadline) {
				d.tb.Fatalf("nothing gets through to a receiver that works again: %v", err)
			}
			<-time.After(10 * time.Millisecond)
		}
		batch = left
	}
	slices.SortFunc(d.delivered, func(a, b outputs.Message) int { return int(a.Sequence) - int(b.Sequence) })
	d.verify()
	return refused
}

// verify compares what the receiver has with what the output called safe.
func (d *driver) verify() {
	d.tb.Helper()
	first := map[string]int{}
	for i, body := range d.s.Received() {
		if !d.known[string(body)] {
			d.tb.Fatalf("the receiver has a body that was never sent: %.200q", body)
		}
		if _, again := first[string(body)]; !again {
			first[string(body)] = i
		} else if !d.repeats {
			d.tb.Errorf("the receiver has a body twice, and no Send failed: %.200q", body)
		}
	}
	last := map[string]int{}
	for _, m := range d.delivered {
		at, ok := first[string(m.Body)]
		if !ok {
			d.tb.Fatalf("message %d is called safe, but the receiver does not have it: %.200q", m.Sequence, m.Body)
		}
		if before, ok := last[m.Key]; ok && at < before && d.h.KeepsOrder {
			d.tb.Errorf("message %d came before an earlier one of its Key %s", m.Sequence, m.Key)
		}
		last[m.Key] = at
	}
}

// has reports whether the receiver has a body.
func (d *driver) has(body []byte) bool {
	return slices.ContainsFunc(d.s.Received(), func(b []byte) bool { return bytes.Equal(b, body) })
}

// within fails the check if f takes longer than the harness has patience for. The
// goroutine is then left behind: the output is at fault.
func (d *driver) within(what string, f func()) {
	d.tb.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d.h.Patience):
		d.tb.Fatalf("%s has not returned after %v", what, d.h.Patience)
	}
}

func (d *driver) noSecret(err error) {
	d.tb.Helper()
	if err == nil {
		return
	}
	text := fmt.Sprintf("%v %+v", err, err)
	for i, secret := range d.h.Secrets {
		if strings.Contains(text, secret) {
			d.tb.Errorf("an error contains the harness's secret number %d", i)
		}
	}
}

func clone(batch []outputs.Message) []outputs.Message {
	c := slices.Clone(batch)
	for i := range c {
		c[i].Body = bytes.Clone(c[i].Body)
	}
	return c
}
