package operations

import (
	"context"
	"errors"
	"strings"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/deadletter"
)

// Rejected implements admin.Operations.
func (d *Desk) Rejected(_ context.Context, p admin.Page) (admin.RejectedPage, error) {
	p, err := p.Normal()
	if err != nil {
		return admin.RejectedPage{}, err
	}
	rejects, err := d.rejects()
	if err != nil {
		return admin.RejectedPage{}, err
	}
	list, err := rejects.List(p.Limit, p.After)
	if err != nil {
		return admin.RejectedPage{}, translate(err)
	}
	page := admin.RejectedPage{Rejected: []admin.Rejected{}}
	for _, x := range list {
		page.Rejected = append(page.Rejected, refused(x))
	}
	if len(list) == p.Limit {
		last := list[len(list)-1].ID
		more, err := rejects.List(1, last)
		if err != nil {
			return admin.RejectedPage{}, translate(err)
		}
		if len(more) > 0 {
			page.Next = last
		}
	}
	return page, nil
}

// rejects returns the store of rejected bodies, if it can be used.
func (d *Desk) rejects() (*deadletter.Rejects, error) {
	if d.o.Rejects == nil {
		return nil, admin.Errorf(admin.Unavailable, "their file can't be used, the log says why; none are kept")
	}
	return d.o.Rejects, nil
}

func refused(x deadletter.Rejected) admin.Rejected {
	return admin.Rejected{
		ID: x.ID, At: x.At.UTC(), Address: strings.ToValidUTF8(x.Address, "\uFFFD"),
		Reason: strings.ToValidUTF8(x.Reason, "\uFFFD"), Size: x.Size,
	}
}

// RejectedBody implements admin.Operations.
func (d *Desk) RejectedBody(_ context.Context, id int64) (admin.RejectedDetail, error) {
	x, err := d.rejected(id)
	if err != nil {
		return admin.RejectedDetail{}, err
	}
	return admin.RejectedDetail{Rejected: refused(x), Body: admin.NewBody(x.Body)}, nil
}

func (d *Desk) rejected(id int64) (deadletter.Rejected, error) {
	rejects, err := d.rejects()
	if err != nil {
		return deadletter.Rejected{}, err
	}
	x, err := rejects.Get(id)
	if errors.Is(err, deadletter.ErrNotFound) {
		return x, admin.Errorf(admin.NotFound, "there is no rejected body %d", id)
	}
	return x, translate(err)
}

// AcceptRejected implements admin.Operations. A body leaves the rejected after its
// event is durable: a crash in between leaves both.
func (d *Desk) AcceptRejected(ctx context.Context, a admin.AcceptRequest) (admin.AcceptResult, error) {
	if err := a.Check(); err != nil {
		return admin.AcceptResult{}, err
	}
	d.accepting.Lock()
	defer d.accepting.Unlock()
	r := admin.AcceptResult{DryRun: a.DryRun}
	for _, id := range a.IDs {
		one := admin.Acceptance{ID: id}
		if err := d.accept(ctx, &one, a.DryRun); err != nil {
			one.Error = admin.Errorf(admin.CodeOf(err), "%v", err)
		}
		r.Results = append(r.Results, one)
	}
	return r, nil
}

func (d *Desk) accept(ctx context.Context, one *admin.Acceptance, dryRun bool) error {
	x, err := d.rejected(one.ID)
	if err != nil || dryRun {
		return err
	}
	if err := ctx.Err(); err != nil {
		return admin.Errorf(admin.Unavailable, "accept rejected body %d: %v", one.ID, err)
	}
	receipt, err := d.o.Append(x.Body)
	if err != nil {
		return translate(err)
	}
	one.EventID, one.Sequence, one.Duplicate = receipt.ID, receipt.Sequence, receipt.Duplicate
	err = d.o.Rejects.Remove(one.ID)
	if err != nil && !errors.Is(err, deadletter.ErrNotFound) { // newer ones may have pushed it out
		return admin.Errorf(admin.Internal, "it is accepted as %s, and is still among the rejected: %v", receipt.ID, err)
	}
	d.o.Log.Info("a rejected body was accepted", "rejected", one.ID, "id", receipt.ID, "duplicate", receipt.Duplicate)
	return nil
}
