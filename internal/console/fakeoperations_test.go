package console_test

import (
	"context"
	"slices"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// Status implements admin.Operations.
func (f *fake) Status(ctx context.Context) (admin.Status, error) {
	end, err := f.begin(ctx, "Status")
	defer end()
	s := f.status
	s.Outputs = slices.Clone(s.Outputs)
	s.Rejected = len(f.rejected)
	return s, err
}

func (f *fake) chosen(s admin.Selection) (chosen, others []admin.LetterDetail) {
	for _, l := range f.letters {
		match := slices.Contains(s.IDs, l.ID)
		if len(s.IDs) == 0 {
			match = (s.Output == "" || s.Output == l.Output) && (s.Reason == "" || s.Reason == l.Reason) && (s.Company == "" || s.Company == l.Company) &&
				(s.Kind == "" || s.Kind == l.Kind) && (s.Since.IsZero() || !l.Refused.Before(s.Since)) && (s.Until.IsZero() || l.Refused.Before(s.Until))
		}
		if match {
			chosen = append(chosen, l)
		} else {
			others = append(others, l)
		}
	}
	return chosen, others
}

// DeadLetters implements admin.Operations.
func (f *fake) DeadLetters(ctx context.Context, q admin.LetterQuery) (admin.LetterPage, error) {
	end, err := f.begin(ctx, "DeadLetters%+v", q)
	defer end()
	var p admin.LetterPage
	if err == nil {
		err = q.CheckList()
	}
	if err != nil {
		return p, err
	}
	all, _ := f.chosen(q.Selection)
	for _, l := range all {
		p.Total++
		p.Bytes += int64(l.Size)
		if l.ID > q.After && len(p.Letters) < q.Limit {
			p.Letters = append(p.Letters, l.Letter)
		} else if l.ID > q.After {
			p.Next = p.Letters[len(p.Letters)-1].ID
		}
	}
	return p, nil
}

// DeadLetter implements admin.Operations.
func (f *fake) DeadLetter(ctx context.Context, id int64) (admin.LetterDetail, error) {
	end, err := f.begin(ctx, "DeadLetter %d", id)
	defer end()
	if err != nil {
		return admin.LetterDetail{}, err
	}
	for _, l := range f.letters {
		if l.ID == id {
			return l, nil
		}
	}
	return admin.LetterDetail{}, admin.Errorf(admin.NotFound, "there is no dead letter %d", id)
}

func (f *fake) change(ctx context.Context, name string, a admin.LetterAction) (admin.LetterResult, error) {
	end, err := f.begin(ctx, "%s%+v", name, a)
	defer end()
	r := admin.LetterResult{DryRun: a.DryRun}
	if err == nil {
		err = a.CheckAction()
	}
	if err != nil {
		return r, err
	}
	chosen, others := f.chosen(a.Selection)
	for _, l := range chosen {
		r.Letters++
		r.Bytes += int64(l.Size)
	}
	if !a.DryRun {
		f.letters = others
		f.status.Outputs[0].Dead -= uint64(r.Letters)
		f.status.Outputs[0].Delivered += uint64(r.Letters)
	}
	return r, nil
}

// ReplayDeadLetters implements admin.Operations.
func (f *fake) ReplayDeadLetters(ctx context.Context, a admin.LetterAction) (admin.LetterResult, error) {
	return f.change(ctx, "ReplayDeadLetters", a)
}

// DropDeadLetters implements admin.Operations.
func (f *fake) DropDeadLetters(ctx context.Context, a admin.LetterAction) (admin.LetterResult, error) {
	return f.change(ctx, "DropDeadLetters", a)
}

// Rejected implements admin.Operations.
func (f *fake) Rejected(ctx context.Context, q admin.Page) (admin.RejectedPage, error) {
	end, err := f.begin(ctx, "Rejected%+v", q)
	defer end()
	var p admin.RejectedPage
	if err != nil {
		return p, err
	}
	for _, b := range f.rejected {
		if b.ID > q.After {
			p.Rejected = append(p.Rejected, b.Rejected)
		}
	}
	return p, nil
}

// RejectedBody implements admin.Operations.
func (f *fake) RejectedBody(ctx context.Context, id int64) (admin.RejectedDetail, error) {
	end, err := f.begin(ctx, "RejectedBody %d", id)
	defer end()
	if err != nil {
		return admin.RejectedDetail{}, err
	}
	for _, b := range f.rejected {
		if b.ID == id {
			return b, nil
		}
	}
	return admin.RejectedDetail{}, admin.Errorf(admin.NotFound, "there is no rejected body %d", id)
}

// AcceptRejected implements admin.Operations.
func (f *fake) AcceptRejected(ctx context.Context, a admin.AcceptRequest) (admin.AcceptResult, error) {
	end, err := f.begin(ctx, "AcceptRejected%+v", a)
	defer end()
	r := admin.AcceptResult{DryRun: a.DryRun}
	for _, id := range a.IDs {
		i := slices.IndexFunc(f.rejected, func(b admin.RejectedDetail) bool { return b.ID == id })
		switch {
		case i < 0:
			r.Results = append(r.Results, admin.Acceptance{ID: id, Error: admin.Errorf(admin.NotFound, "there is no rejected body %d", id)})
		case f.rejected[i].Reason != "malformed":
			r.Results = append(r.Results, admin.Acceptance{ID: id, Error: admin.Errorf(admin.Invalid, "it is no JSON object still")})
		default:
			r.Results = append(r.Results, admin.Acceptance{ID: id, EventID: f.events[0].ID, Sequence: 1})
			if !a.DryRun {
				f.rejected = slices.Delete(f.rejected, i, i+1)
			}
		}
	}
	return r, err
}

// Replay implements admin.Operations.
func (f *fake) Replay(ctx context.Context, q admin.ReplayRequest) (admin.ReplayResult, error) {
	end, err := f.begin(ctx, "Replay%+v", q)
	defer end()
	return admin.ReplayResult{Output: q.Output, Entries: 1284, First: q.Since.Add(1), DryRun: q.DryRun}, err
}

// CancelReplay implements admin.Operations.
func (f *fake) CancelReplay(ctx context.Context, q admin.OutputRequest) (admin.CancelResult, error) {
	end, err := f.begin(ctx, "CancelReplay%+v", q)
	defer end()
	return admin.CancelResult{Output: q.Output, Dropped: 12, InHand: 3, DryRun: q.DryRun}, err
}

// Forget implements admin.Operations.
func (f *fake) Forget(ctx context.Context, q admin.OutputRequest) (admin.ForgetResult, error) {
	end, err := f.begin(ctx, "Forget%+v", q)
	defer end()
	return admin.ForgetResult{Output: q.Output, Pending: 40, Dead: 2, DryRun: q.DryRun}, err
}
