package operations

import (
	"context"
	"errors"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/internal/spool"
)

// Replay implements admin.Operations.
func (d *Desk) Replay(_ context.Context, r admin.ReplayRequest) (admin.ReplayResult, error) {
	result := admin.ReplayResult{Output: r.Output, DryRun: r.DryRun}
	e, err := d.entry(r.Output)
	switch {
	case err != nil:
		return result, err
	case r.Since.IsZero():
		return result, admin.Errorf(admin.Invalid, "since is missing: from when on to deliver again")
	case !r.Until.IsZero() && !r.Since.Before(r.Until):
		return result, admin.Errorf(admin.Invalid, "since %s is not before until %s", clock(r.Since), clock(r.Until))
	case e.Replaying > 0:
		return result, underWay(r.Output, e.Replaying)
	}
	out, ok := d.output(r.Output)
	switch {
	case !ok:
		return result, admin.Errorf(admin.Conflict, "output %s is not in the configuration: nobody would deliver to it", r.Output)
	case r.Overwrite && !out.Overwrites:
		return result, admin.Errorf(admin.Invalid, "output %s can't overwrite: an output of the type %s only adds what it gets", r.Output, out.Type)
	}
	from, to, err := d.span(r, e.Next)
	if err != nil || from >= to {
		return result, translate(err)
	}
	if result.First, err = d.o.Spool.AcceptedAt(from); err != nil {
		return result, translate(err)
	}
	result.Entries = to - from
	if r.DryRun {
		return result, nil
	}
	result.Entries, err = d.o.Spool.StartReplay(r.Output, spool.Range{From: from, To: to, Overwrite: r.Overwrite})
	if errors.Is(err, spool.ErrReplaying) { // begun meanwhile
		return result, underWay(r.Output, 0)
	}
	if err != nil {
		return result, translate(err)
	}
	d.o.Log.Info("a replay was begun", "output", r.Output, "events", result.Entries, "since", clock(r.Since))
	return result, nil
}

func underWay(output string, left uint64) error {
	if left == 0 {
		return admin.Errorf(admin.Conflict, "a replay to %s is under way; wait for it, or cancel it", output)
	}
	return admin.Errorf(admin.Conflict, "a replay to %s is under way, %s left; wait for it, or cancel it", output, events(left, "event"))
}

// span finds the sequences of a request, from, and to which is not in it; next is
// what the output comes to next.
func (d *Desk) span(r admin.ReplayRequest, next uint64) (from, to uint64, err error) {
	// The log's times are nanoseconds from 1970 to 2262.
	since := clamp(r.Since)
	if from, err = d.o.Spool.SequenceAt(since); err != nil {
		return 0, 0, err
	}
	to = next
	if !r.Until.IsZero() {
		until, err := d.o.Spool.SequenceAt(clamp(r.Until))
		if err != nil {
			return 0, 0, err
		}
		to = min(to, until)
	}
	return from, to, nil
}

func clamp(t time.Time) time.Time {
	if first := time.Unix(0, 0); t.Before(first) {
		return first
	}
	if last := time.Unix(0, 1<<63-1); t.After(last) {
		return last
	}
	return t
}

// CancelReplay implements admin.Operations.
func (d *Desk) CancelReplay(_ context.Context, r admin.OutputRequest) (admin.CancelResult, error) {
	result := admin.CancelResult{Output: r.Output, DryRun: r.DryRun}
	e, err := d.entry(r.Output)
	if err != nil {
		return result, err
	}
	cancel := d.o.Spool.CancelReplay
	if r.DryRun {
		cancel = d.o.Spool.Cancelable
	}
	if result.Dropped, err = cancel(r.Output); err != nil {
		return result, translate(err)
	}
	result.InHand = e.Replaying - min(result.Dropped, e.Replaying)
	if r.DryRun || result.Dropped == 0 {
		return result, nil
	}
	d.o.Log.Warn("a replay was canceled", "output", r.Output, "dropped", result.Dropped)
	return result, nil
}

// Forget implements admin.Operations.
func (d *Desk) Forget(_ context.Context, r admin.OutputRequest) (admin.ForgetResult, error) {
	result := admin.ForgetResult{Output: r.Output, DryRun: r.DryRun}
	if _, ok := d.output(r.Output); ok {
		return result, admin.Errorf(admin.Conflict, "output %s is in the configuration: only one that has left it can be forgotten", r.Output)
	}
	e, err := d.entry(r.Output)
	if err != nil {
		return result, err
	}
	result.Pending, result.Dead = e.Pending, e.Dead
	if r.DryRun {
		return result, nil
	}
	// The letters first: should it end here, the cursor still shows the output, and
	// its account adds up.
	if err := d.o.Letters.Forget(r.Output); err != nil {
		return result, translate(err)
	}
	if err := d.o.Spool.Forget(r.Output); err != nil && !errors.Is(err, spool.ErrNoCursor) {
		return result, translate(err)
	}
	d.o.Log.Warn("an output was forgotten", "output", r.Output, "pending", result.Pending, "dead", result.Dead)
	return result, nil
}
