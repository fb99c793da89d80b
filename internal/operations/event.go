package operations

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/internal/ledger"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// Event implements admin.Explorer.
func (d *Desk) Event(ctx context.Context, id string) (admin.EventDetail, error) {
	detail := admin.EventDetail{Outputs: []admin.EventOutcome{}}
	store, err := d.store()
	if err != nil {
		return detail, err
	}
	e, err := store.Event(ctx, id)
	if errors.Is(err, local.ErrNotFound) {
		return detail, admin.Errorf(admin.NotFound, "there is no event with the id %q in the local store", id)
	}
	if err != nil {
		return detail, d.explored(err)
	}
	current, err := store.Current(ctx, e)
	if err != nil {
		return detail, d.explored(err)
	}
	detail.EventSummary = summary(&e)
	filtered, err := d.encode(&e, &detail)
	if err != nil {
		return detail, err
	}
	for i, o := range d.o.Outputs {
		outcome, err := d.outcome(o, e.Sequence, outcomeFacts{current: current, filtered: filtered[i]})
		if err != nil {
			return detail, err
		}
		detail.Outputs = append(detail.Outputs, outcome)
	}
	return detail, nil
}

// encode fills in what would be sent now, and returns which outputs' filters leave the
// event out now.
func (d *Desk) encode(e *local.Event, detail *admin.EventDetail) (filtered []bool, err error) {
	options := normalize.EncoderOptions{AgentVersion: d.o.Version, Namespace: "default", EventOriginal: true}
	ecs, err := normalize.NewEncoder("ecs", options)
	if err != nil {
		return nil, err
	}
	cef, err := normalize.NewEncoder("cef", options)
	if err != nil {
		return nil, err
	}
	raw := normalize.Raw{ID: e.ID, Sequence: e.Sequence, Accepted: e.Accepted, Body: []byte(e.Original)}
	if slices.Contains(e.Tags, normalize.TagPossibleRetry) {
		raw.Tags = []string{normalize.TagPossibleRetry}
	}
	d.mu.Lock() // the event's, and the filters'
	defer d.mu.Unlock()
	d.o.Mapping.Event(&d.event, raw)
	detail.Raw = admin.NewBody(raw.Body)
	detail.ECS, detail.CEF = admin.NewBody(ecs(nil, &d.event)), admin.NewBody(cef(nil, &d.event))
	for _, o := range d.o.Outputs {
		filtered = append(filtered, o.Match != nil && !o.Match(&d.event))
	}
	return filtered, nil
}

// outcomeFacts is what is known of an event besides its sequence.
type outcomeFacts struct {
	current  bool // the sequence is one of this spool
	filtered bool // the output's filter leaves it out now
}

// outcome tells what became of an event at an output, as far as it can be known: the
// ledger has sums, so an event that the output has passed can only be told where they
// leave one answer.
func (d *Desk) outcome(o Output, sequence uint64, f outcomeFacts) (admin.EventOutcome, error) {
	x := admin.EventOutcome{Output: o.Name, Type: o.Type, Outcome: admin.OutcomeUnknown, State: admin.StateStopped}
	health := Health{State: admin.StateStopped}
	if o.Health != nil {
		health = o.Health()
		x.State = health.State
	}
	entries := d.entries()
	i := slices.IndexFunc(entries, func(e ledger.Entry) bool { return e.Output == o.Name })
	switch {
	case o.Name == d.o.StoreOutput: // it is where it was found
		x.Outcome = admin.OutcomeDelivered
		return x, nil
	case i < 0 || !f.current:
		return x, nil
	}
	e := entries[i]
	letter, found, err := d.letter(o.Name, sequence)
	if err != nil {
		return x, err
	}
	switch {
	case found && letter.Queued:
		x.Outcome, x.Error = admin.OutcomePending, health.Error
	case found:
		x.Outcome, x.Letter, x.Error = admin.OutcomeDead, letter.ID, strings.ToValidUTF8(letter.Error, "\uFFFD")
	case sequence >= e.Next:
		x.Outcome, x.Error = admin.OutcomePending, strings.ToValidUTF8(health.Error, "\uFFFD")
	case sequence < e.Began:
		x.Outcome = admin.OutcomeNone
	default:
		x.Outcome = passed(e, f.filtered)
	}
	return x, nil
}

// passed tells what became of an event that an output has passed and that is no dead
// letter.
func passed(e ledger.Entry, filtered bool) admin.Outcome {
	switch {
	case e.Dropped > 0 || e.Unreadable > 0:
		return admin.OutcomeUnknown
	case filtered && e.Filtered > 0:
		return admin.OutcomeFiltered
	case e.Sent == 0 && e.Delivered > 0:
		return admin.OutcomeDelivered
	case e.Delivered == 0 && e.Sent > 0:
		return admin.OutcomeSent
	}
	return admin.OutcomeUnknown
}

// letter finds the dead letter of an event at an output, the first one if replays made
// more; one that is on its way again is Queued.
func (d *Desk) letter(output string, sequence uint64) (l deadletter.Letter, found bool, err error) {
	for _, queued := range []bool{false, true} {
		letters, err := d.o.Letters.List(deadletter.Selection{Output: output, Sequence: sequence, Queued: queued}, 1, 0)
		if err != nil {
			return l, false, translate(err)
		}
		if len(letters) > 0 {
			return letters[0], true, nil
		}
	}
	return l, false, nil
}
