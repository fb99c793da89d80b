package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
)

// Letter is a dead letter: an event that this output will never deliver as it is.
type Letter struct {
	// Pass and Sequence are, together with the output, its key. Pass is what
	// Lane.Pass said.
	Pass, Sequence uint64
	// EventID is event.id.
	EventID  string
	Accepted time.Time
	// PossibleRetry says that the event carries the tag defensecom_possible_retry.
	PossibleRetry bool
	// Overwrite is the message's.
	Overwrite bool
	// Kind, Company, Record, Title and Code are normalize's Event.Kind, Company,
	// RecordID, Message and Code, for lists. Kind is "other" where nothing could be read.
	Kind, Company, Record, Title, Code string
	// Reason is one of LetterReasons.
	Reason string
	// Error is what the output said, of at most 4 KiB.
	Error string
	// Tries is how often the event was sent, First when it was first; Refused is when
	// it became a dead letter. An event that was never sent has its First there too.
	Tries          int
	First, Refused time.Time
	// Body is the body as it was accepted.
	Body []byte
}

// The reasons of dead letters.
const (
	Refused  = "refused"   // the receiver will never take it
	TooLarge = "too_large" // the receiver finds it too large, though it was alone
	Poison   = "poison"    // it failed again and again, while others succeeded
	Encode   = "encode"    // it can't be written in the output's format
)

// LetterReasons returns all reasons of dead letters.
func LetterReasons() []string { return []string{Refused, TooLarge, Poison, Encode} }

// Letters keeps dead letters.
type Letters interface {
	// Put makes letters durable, all or none; those that it has already, by output,
	// Pass and Sequence, it replaces. The letters are valid during the call. After an
	// error the events are sent again; until they are delivered or stored the output
	// goes no further.
	Put(letters []Letter) error
}

// maxLetterError bounds Letter.Error, in bytes.
const maxLetterError = 4 << 10

// letter is a dead letter that is not stored yet.
type letter struct {
	Letter
	lane *lane
	// message and at are what was refused and its index in the batch; at is -1 for an
	// event that could not be written, and so was never sent.
	message outputs.Message
	at      int
}

// refuse makes a message a dead letter.
func (r *Relay) refuse(m *outputs.Message, at int, reason string, why error) {
	e := &r.batch.entries[at]
	l := Letter{
		Pass: e.pass, Sequence: m.Sequence, EventID: m.ID, Accepted: m.Accepted, PossibleRetry: e.retry, Overwrite: m.Overwrite,
		Reason: reason, Error: errorText(why), Tries: e.tries, First: e.sent, Refused: time.Now(), Body: e.raw,
	}
	r.address(&l)
	r.letters = append(r.letters, letter{l, e.lane, *m, at})
}

// unwritable makes the event that l holds a dead letter.
func (r *Relay) unwritable(l *lane, why error) {
	now := time.Now()
	x := Letter{
		Pass: l.pass, Sequence: l.raw.Sequence, EventID: strings.Clone(l.raw.ID), Accepted: l.raw.Accepted,
		PossibleRetry: slices.Contains(l.raw.Tags, normalize.TagPossibleRetry),
		Overwrite:     l.Overwrite != nil && l.Overwrite(),
		Reason:        Encode, Error: errorText(why), First: now, Refused: now, Body: slices.Clone(l.raw.Body),
	}
	r.address(&x)
	r.letters = append(r.letters, letter{Letter: x, lane: l, at: -1})
}

// address sets what lists show of a letter. It reads the body again: in the batch
// nothing is kept for a case that is rare.
func (r *Relay) address(l *Letter) {
	raw := normalize.Raw{ID: l.EventID, Sequence: l.Sequence, Accepted: l.Accepted, Body: l.Body}
	if r.normalise(r.o.Mapping, raw) != nil {
		_ = r.normalise(nil, raw)
	}
	e := &r.event
	l.Kind, l.Company, l.Record = strings.Clone(e.Kind), strings.Clone(e.Company), strings.Clone(e.RecordID)
	l.Title, l.Code = strings.Clone(e.Message()), strings.Clone(e.Code())
}

// bury stores the dead letters that there are, before a cursor passes them. Where that
// is not possible the output waits, and then sends what was refused again: that its
// cause was mended is the one way out that gives nothing up. It reports false if ctx
// ended.
func (r *Relay) bury(ctx context.Context) bool {
	for len(r.letters) > 0 {
		err := r.put()
		if err != nil {
			if !r.wait(ctx, reasonDeadLetters, err) {
				return false
			}
			r.reconsider(err)
			continue
		}
		if r.trouble.is(reasonDeadLetters) {
			r.settled()
		}
		for _, l := range r.letters {
			l.lane.settled.Dead++
			r.meters.letters[l.Reason].Inc()
		}
		r.tell()
		r.letters = r.letters[:0]
	}
	return true
}

// reconsider has what was refused sent again, in the next round if anything else is
// left to do: the others need not wait for it, but for those behind it in its record.
func (r *Relay) reconsider(err error) {
	var again part
	never := r.letters[:0]
	for _, l := range r.letters {
		if l.at < 0 {
			never = append(never, l)
		} else {
			again.add(l.message, l.at)
		}
	}
	r.letters = never
	if d := &r.delivery; len(d.todo)+len(d.parked) > 0 {
		d.park(again, reasonDeadLetters, err)
	} else {
		d.push(again)
	}
}

// put stores the dead letters, or none.
func (r *Relay) put() (err error) {
	defer caught("store dead letters", &err)
	list := make([]Letter, len(r.letters))
	for i, l := range r.letters {
		list[i] = l.Letter
	}
	if err := r.o.Letters.Put(list); err != nil {
		return fmt.Errorf("keep what was refused: %w", err)
	}
	return nil
}

// tell mentions new dead letters in the log.
func (r *Relay) tell() {
	l := &r.letters[0]
	what := fmt.Sprintf("event %s, number %d in the spool, is kept as a dead letter (%s)", l.EventID, l.Sequence, l.Reason)
	if n := len(r.letters); n > 1 {
		what = fmt.Sprintf("%d events, the first of them %s, number %d in the spool, are kept as dead letters (%s)", n, l.EventID, l.Sequence, l.Reason)
	}
	r.trouble.note(reasonRefused, what, errors.New(l.Error))
}

// errorText is the text of an output's error, which may be anything.
func errorText(err error) (text string) {
	if err == nil {
		return "no reason is given"
	}
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("an error of the type %T without a text", err)
		}
	}()
	return clip(err.Error(), maxLetterError)
}
