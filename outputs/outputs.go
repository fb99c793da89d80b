// Package outputs is the contract between the relay and a destination.
//
// An output takes batches of encoded events and says what became of each. It
// guarantees nothing by itself: durability, order, retries, batching and
// filtering are the relay's. An output refuses to know ECS, CEF, the spool and
// the other outputs: it sees bytes and routing facts. Package outputstest is
// the suite that every output must pass.
package outputs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Message is one event, encoded in the format that its output asked for.
type Message struct {
	// ID is event.id: 32 lower-case hex digits, the same for every copy of the event.
	ID string
	// Key is the record key: kind, company and record id, each percent-escaped,
	// joined by "/". Messages with the same Key belong to the same threat or ticket.
	Key string
	// Kind is "threat", "ticket" or "other".
	Kind string
	// Company is the raw company_id, empty when there is none.
	Company string
	// Namespace is data_stream.namespace.
	Namespace string
	// Dataset is event.dataset, "defensecom.threat" for example.
	Dataset string
	// EventKind is event.kind.
	EventKind string
	// Trigger is the last part of event.code: create, update, note, closed,
	// reopen or other.
	Trigger string
	// Accepted is when the event was accepted: strictly increasing with Sequence.
	Accepted time.Time
	// Sequence is the spool's number, from 1.
	Sequence uint64
	// SyslogSeverity is the severity of RFC 5424 section 6.2.1, 0 to 7.
	SyslogSeverity int
	// Body is the event in the output's format, without a line ending.
	Body []byte
	// State is what the event says of its record as it is now, one JSON object without
	// a line ending; only for an output that asked for it, and empty for an event that
	// says nothing of a record. A state without a note leaves the record's last one.
	State []byte
	// Overwrite says that the event is a replay that is to replace what the receiver
	// has of it, where the output can do that. Otherwise it is only to fill a gap.
	Overwrite bool
}

// Output delivers batches to one destination.
type Output interface {
	// Send delivers a batch of at least one message, whose Keys may repeat, in
	// order. It returns
	//   - nil: every message is safe with the receiver, but see Unconfirmed;
	//   - *Partial: each message has its own outcome;
	//   - ErrTooLarge: the batch is too large, a smaller one may not be;
	//   - *NotReady: no message can be delivered until somebody mends something;
	//   - any other error: nothing is known to be delivered, send all again.
	// An error that carries a wait (see RetryAfter) asks for that much patience.
	// Of a message that must be retried, the error also tells who is to blame: see
	// Transient.
	//
	// Send is called by one goroutine at a time. It keeps neither batch nor any
	// Body after it returned, does not retry, buffer or filter, and returns soon
	// after ctx is done. An output that keeps order reports nothing done after a
	// message of the same Key that must be retried. The batch and its Bodies are
	// the caller's: Send changes neither.
	Send(ctx context.Context, batch []Message) error
	// Close lets go of what the output holds. It is called once, after the last Send.
	Close() error
}

// Checker is implemented by outputs that can tell, without delivering anything,
// whether a Send would reach the receiver.
type Checker interface {
	Check(ctx context.Context) error
}

// Inspector is implemented by outputs that find out more while they check.
type Inspector interface {
	Checker
	// Inspect is Check, and says what it saw, a sentence each: facts about the
	// receiver, and warnings about what works now but may lose or hold up events later.
	Inspect(ctx context.Context) (facts, warnings []string, err error)
}

// Unconfirmed is implemented by outputs whose receiver may say nothing. Where
// Unconfirmed is true, Done means handed over, not received: such messages count as
// sent, and never as delivered. It says the same for as long as the output lives.
type Unconfirmed interface {
	Unconfirmed() bool
}

// IsUnconfirmed tells whether Done says nothing about the receiver of o.
func IsUnconfirmed(o Output) bool {
	u, ok := o.(Unconfirmed)
	return ok && u.Unconfirmed()
}

// ErrTooLarge says that the receiver can't take a batch of this size. The relay
// halves the batch; one message alone that is too large is refused for good.
var ErrTooLarge = errors.New("batch too large for the receiver")

// NotReady says that nothing can be delivered until somebody acts: a wrong
// credential, a missing index, a wrong product. The relay pauses the output,
// raises an alarm and tries again; no message is blamed.
type NotReady struct {
	// Err says what is wrong and what to do about it.
	Err error
}

func (e *NotReady) Error() string { return "not ready: " + e.Err.Error() }
func (e *NotReady) Unwrap() error { return e.Err }

// Status is what became of one message of a batch.
type Status uint8

const (
	// Done says that the message is safe with the receiver, but see Unconfirmed.
	Done Status = iota
	// Retry says that the message was not taken, and may be later.
	Retry
	// Refused says that the receiver will never take this message.
	Refused
)

func (s Status) String() string {
	switch s {
	case Done:
		return "done"
	case Retry:
		return "retry"
	case Refused:
		return "refused"
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// Result is the outcome of one message; Err is nil for Done and the reason
// otherwise. A Retry whose reason lies with the receiver, not with the message, has
// an Err that is Transient.
type Result struct {
	Status Status
	Err    error
}

// Partial is the outcome of a batch, one Result for each message by index.
type Partial struct {
	Results []Result
}

func (e *Partial) Error() string {
	var n [3]int
	var first error
	for _, r := range e.Results {
		if int(r.Status) < len(n) {
			n[r.Status]++
		}
		if first == nil {
			first = r.Err
		}
	}
	return fmt.Sprintf("%d done, %d to retry, %d refused: %v", n[Done], n[Retry], n[Refused], first)
}

// Wait wraps an error with the time that the receiver asked to be left alone.
type Wait struct {
	Err   error
	After time.Duration
}

func (e *Wait) Error() string { return e.Err.Error() }
func (e *Wait) Unwrap() error { return e.Err }

// Transient wraps the reason of a Retry that says nothing about the message itself:
// the receiver throttles, is not available, did not answer in time, or fails as a
// whole. A reason that is not transient counts against the message: one that fails
// again and again, while others succeed, becomes a dead letter.
type Transient struct{ Err error }

func (e *Transient) Error() string { return e.Err.Error() }
func (e *Transient) Unwrap() error { return e.Err }

// IsTransient tells whether err says nothing about the message that it is about.
// That holds for a *Transient, a *Wait or a *NotReady anywhere in its chain, for a
// context that ended and for any other timeout, and for no error at all.
func IsTransient(err error) bool {
	var transient *Transient
	var wait *Wait
	var notReady *NotReady
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil,
		errors.As(err, &transient), errors.As(err, &wait), errors.As(err, &notReady),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	return errors.As(err, &timeout) && timeout.Timeout()
}

// RetryAfter returns the longest wait that err asks for: by a *Wait in its chain
// or, for a *Partial, in its results. It is 0 when none was asked for.
func RetryAfter(err error) time.Duration {
	var longest time.Duration
	var w *Wait
	if errors.As(err, &w) {
		longest = w.After
	}
	var p *Partial
	if errors.As(err, &p) {
		for _, r := range p.Results {
			longest = max(longest, RetryAfter(r.Err))
		}
	}
	return longest
}
