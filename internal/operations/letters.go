package operations

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/deadletter"
	"github.com/siemrelay/siemrelay/normalize"
)

// DeadLetters implements admin.Operations.
func (d *Desk) DeadLetters(_ context.Context, q admin.LetterQuery) (admin.LetterPage, error) {
	if err := q.CheckList(); err != nil {
		return admin.LetterPage{}, err
	}
	p, err := q.Normal()
	if err != nil {
		return admin.LetterPage{}, err
	}
	if err := d.checkOutput(q.Output); err != nil {
		return admin.LetterPage{}, err
	}
	chosen := stored(q.Selection)
	page := admin.LetterPage{Letters: []admin.Letter{}}
	letters, err := d.o.Letters.List(chosen, p.Limit, p.After)
	if err == nil {
		page.Total, page.Bytes, err = d.o.Letters.Count(chosen)
	}
	if err != nil {
		return admin.LetterPage{}, translate(err)
	}
	for _, l := range letters {
		page.Letters = append(page.Letters, shown(l))
	}
	if len(letters) == p.Limit {
		last := letters[len(letters)-1].ID
		more, err := d.o.Letters.List(chosen, 1, last)
		if err != nil {
			return admin.LetterPage{}, translate(err)
		}
		if len(more) > 0 {
			page.Next = last
		}
	}
	return page, nil
}

// checkOutput returns an error for the name of an output that there is not, and was
// not.
func (d *Desk) checkOutput(name string) error {
	if name == "" {
		return nil
	}
	_, err := d.entry(name)
	return err
}

// stored is the selection as the store knows it.
func stored(s admin.Selection) deadletter.Selection {
	return deadletter.Selection{
		IDs: s.IDs, Output: s.Output, Reason: s.Reason, Kind: s.Kind, Company: s.Company,
		Since: s.Since, Before: s.Until, All: s.All,
	}
}

// shown is a letter for people and JSON, which takes UTF-8 only.
func shown(l deadletter.Letter) admin.Letter {
	valid := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	return admin.Letter{
		ID: l.ID, Output: l.Output, Reason: l.Reason, Error: valid(l.Error), Tries: l.Tries,
		First: l.First.UTC(), Refused: l.Refused.UTC(), Accepted: l.Accepted.UTC(),
		EventID: l.EventID, Sequence: l.Sequence, Kind: l.Kind, Company: valid(l.Company),
		Record: valid(l.Record), Title: valid(l.Title), Code: l.Code, Size: l.Size, Queued: l.Queued,
	}
}

// DeadLetter implements admin.Operations.
func (d *Desk) DeadLetter(_ context.Context, id int64) (admin.LetterDetail, error) {
	l, err := d.o.Letters.Get(id)
	if errors.Is(err, deadletter.ErrNotFound) {
		return admin.LetterDetail{}, admin.Errorf(admin.NotFound, "there is no dead letter %d", id)
	}
	if err != nil {
		return admin.LetterDetail{}, translate(err)
	}
	return admin.LetterDetail{Letter: shown(l), Body: admin.NewBody(l.Body), Now: d.preview(l)}, nil
}

// preview shows what the letter's output would get now.
func (d *Desk) preview(l deadletter.Letter) *admin.Preview {
	o, ok := d.output(l.Output)
	if !ok {
		return nil
	}
	raw := normalize.Raw{ID: l.EventID, Sequence: l.Sequence, Accepted: l.Accepted, Body: l.Body}
	if l.PossibleRetry {
		raw.Tags = []string{normalize.TagPossibleRetry}
	}
	d.mu.Lock() // the event's, and the filter's
	defer d.mu.Unlock()
	d.o.Mapping.Event(&d.event, raw)
	return &admin.Preview{
		Format:   o.Format,
		Filtered: o.Match != nil && !o.Match(&d.event),
		Record:   admin.NewBody(o.Encode(nil, &d.event)),
	}
}

// ReplayDeadLetters implements admin.Operations. Letters of an output that is not
// configured stay where they are: nobody would send them.
func (d *Desk) ReplayDeadLetters(_ context.Context, a admin.LetterAction) (admin.LetterResult, error) {
	parts, r, err := d.choose(a)
	if err != nil {
		return r, err
	}
	gone := func(name string) error {
		return admin.Errorf(admin.Conflict, "output %s is not in the configuration: nobody would send its dead letters", name)
	}
	if a.Output != "" {
		if _, ok := d.output(a.Output); !ok {
			return admin.LetterResult{}, gone(a.Output)
		}
	}
	if len(a.IDs) == 0 && a.Output == "" { // the letters of each configured output
		parts = parts[:0]
		for _, o := range d.o.Outputs {
			chosen := stored(a.Selection)
			chosen.Output, chosen.All = o.Name, false
			parts = append(parts, chosen)
		}
	}
	if len(a.IDs) > 0 {
		letters, err := d.o.Letters.List(parts[0], admin.MaxPage, 0)
		if err != nil {
			return r, translate(err)
		}
		for _, l := range letters {
			if _, ok := d.output(l.Output); !ok {
				return admin.LetterResult{}, gone(l.Output)
			}
		}
	}
	return d.act(parts, r, d.o.Letters.Requeue)
}

// DropDeadLetters implements admin.Operations.
func (d *Desk) DropDeadLetters(_ context.Context, a admin.LetterAction) (admin.LetterResult, error) {
	parts, r, err := d.choose(a)
	if err != nil {
		return r, err
	}
	return d.act(parts, r, d.o.Letters.Drop)
}

// choose checks an action and finds the ids that are missing.
func (d *Desk) choose(a admin.LetterAction) ([]deadletter.Selection, admin.LetterResult, error) {
	r := admin.LetterResult{DryRun: a.DryRun}
	if err := a.CheckAction(); err != nil {
		return nil, r, err
	}
	if err := d.checkOutput(a.Output); err != nil {
		return nil, r, err
	}
	chosen := stored(a.Selection)
	if len(a.IDs) > 0 {
		letters, err := d.o.Letters.List(chosen, admin.MaxPage, 0)
		if err != nil {
			return nil, r, translate(err)
		}
		for _, id := range a.IDs {
			found := slices.ContainsFunc(letters, func(l deadletter.Letter) bool { return l.ID == id })
			if !found && !slices.Contains(r.Missing, id) {
				r.Missing = append(r.Missing, id)
			}
		}
	}
	return []deadletter.Selection{chosen}, r, nil
}

// act counts what the selections have and, unless it is a dry run, changes it.
func (d *Desk) act(parts []deadletter.Selection, r admin.LetterResult, change func(deadletter.Selection) (int, error)) (admin.LetterResult, error) {
	for _, chosen := range parts {
		letters, bytes, err := d.o.Letters.Count(chosen)
		if err == nil && !r.DryRun && letters > 0 {
			letters, err = change(chosen)
		}
		if err != nil {
			return r, translate(err)
		}
		r.Letters += letters
		r.Bytes += bytes
	}
	return r, nil
}
