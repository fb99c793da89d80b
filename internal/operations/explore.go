package operations

import (
	"context"
	"errors"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// explored gives errors of the local store the code that they have for a person.
func (d *Desk) explored(err error) error {
	var query *local.QueryError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &query):
		return admin.Errorf(admin.Invalid, "%v", query)
	case errors.Is(err, local.ErrDamaged):
		return admin.Errorf(admin.Unavailable, "the local store is damaged; it is moved aside, and a new one begun, with the next event. The log of siemrelay says how to fill it")
	case errors.Is(err, local.ErrBusy), errors.Is(err, local.ErrDisk):
		return admin.Errorf(admin.Unavailable, "the local store can't be read at the moment: %v", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return admin.Errorf(admin.Unavailable, "the search took too long and was given up; narrow it, with since:24h for example")
	}
	return err
}

// store returns the local store, if there is one.
func (d *Desk) store() (*local.Reader, error) {
	if d.o.Store == nil {
		return nil, admin.Errorf(admin.Unavailable, "the configuration has no local output, which keeps events to be looked at: add {name: local, type: local} to outputs and restart siemrelay")
	}
	return d.o.Store, nil
}

// page checks the size of a page.
func pageSize(limit int) (int, error) {
	p, err := admin.Page{Limit: limit}.Normal()
	return p.Limit, err
}

// Events implements admin.Explorer.
func (d *Desk) Events(ctx context.Context, q admin.EventQuery) (admin.EventPage, error) {
	page := admin.EventPage{Events: []admin.EventSummary{}}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return page, err
	}
	if q.Before > 0 && q.After > 0 {
		return page, admin.Errorf(admin.Invalid, "before and after exclude each other")
	}
	query, err := local.ParseQuery(q.Text, d.o.Now())
	if err != nil {
		return page, d.explored(err)
	}
	store, err := d.store()
	if err != nil {
		return page, err
	}
	events, more, err := store.Events(ctx, query, local.Page{Company: q.Company, Limit: limit, Before: q.Before, After: q.After})
	if err != nil {
		return page, d.explored(err)
	}
	for i := range events {
		page.Events = append(page.Events, summary(&events[i]))
	}
	if more {
		page.Next = page.Events[len(page.Events)-1].Sequence
	}
	return page, nil
}

// summary is an event in a listing.
func summary(e *local.Event) admin.EventSummary {
	s := admin.EventSummary{
		ID: e.ID, Sequence: e.Number, Accepted: e.Accepted, Time: e.Timestamp, Kind: e.Kind, Action: e.Action, Code: e.Code,
		Key: e.Key, Record: e.Record, Title: e.Title, Company: e.Company, Name: e.Name, Risk: e.Risk, Severity: e.Severity,
		State: e.State, Status: e.Status, Source: e.Source, NoteBy: e.NoteBy, Note: e.Note, Tags: e.Tags, Test: e.Test,
	}
	if e.Damaged {
		s.Title = "This event is damaged in the local store and can't be shown."
	}
	return s
}

// Records implements admin.Explorer.
func (d *Desk) Records(ctx context.Context, q admin.RecordQuery) (admin.RecordPage, error) {
	page := admin.RecordPage{Records: []admin.RecordSummary{}}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return page, err
	}
	switch {
	case q.Kind != "" && q.Kind != "threat" && q.Kind != "ticket":
		return page, admin.Errorf(admin.Invalid, "kind %q: it must be threat or ticket", q.Kind)
	case q.Sort != "" && q.Sort != "updated" && q.Sort != "severity":
		return page, admin.Errorf(admin.Invalid, "sort %q: it must be updated or severity", q.Sort)
	}
	query, err := local.ParseQuery(q.Text, d.o.Now())
	if err != nil {
		return page, d.explored(err)
	}
	store, err := d.store()
	if err != nil {
		return page, err
	}
	records, next, total, err := store.Records(ctx, query, local.RecordPage{
		Kind: q.Kind, Company: q.Company, Severity: q.Sort == "severity", Limit: limit, Cursor: q.Cursor, Most: admin.MaxTotal,
	})
	if err != nil {
		return page, d.explored(err)
	}
	for i := range records {
		page.Records = append(page.Records, recordSummary(&records[i]))
	}
	page.Next, page.Total = next, total
	return page, nil
}

func recordSummary(r *local.Record) admin.RecordSummary {
	return admin.RecordSummary{
		Key: r.Key, Kind: r.Kind, ID: r.ID, Reference: r.Reference, Title: r.Title, Company: r.Company, Name: r.Name,
		Risk: r.Risk, Severity: r.Severity, Priority: r.Priority, State: r.State, Status: r.Status, Source: r.Source, Link: r.Link,
		Created: r.Created, Updated: r.Updated, Events: r.Events, NoteBy: r.NoteBy, Note: r.Note, NoteAt: r.NoteAt,
	}
}

// Record implements admin.Explorer.
func (d *Desk) Record(ctx context.Context, key string) (admin.RecordDetail, error) {
	detail := admin.RecordDetail{Timeline: []admin.EventSummary{}}
	store, err := d.store()
	if err != nil {
		return detail, err
	}
	r, timeline, err := store.Record(ctx, key, admin.MaxPage)
	if errors.Is(err, local.ErrNotFound) {
		return detail, admin.Errorf(admin.NotFound, "there is no threat or ticket with the key %q in the local store", key)
	}
	if err != nil {
		return detail, d.explored(err)
	}
	detail.RecordSummary, detail.Description = recordSummary(&r), r.Description
	for i := range timeline {
		detail.Timeline = append(detail.Timeline, summary(&timeline[i]))
	}
	return detail, nil
}

// The window of an overview.
const (
	defaultWindow = 24 * time.Hour
	maxWindow     = 90 * 24 * time.Hour
)

// Overview implements admin.Explorer.
func (d *Desk) Overview(ctx context.Context, q admin.OverviewQuery) (admin.Overview, error) {
	overview := admin.Overview{Now: d.o.Now().UTC(), OpenThreats: []admin.RiskCount{}, Buckets: []admin.Bucket{}, Companies: []admin.CompanyCount{}}
	if q.Window == 0 {
		q.Window = defaultWindow
	}
	if q.Window < time.Minute || q.Window > maxWindow {
		return overview, admin.Errorf(admin.Invalid, "window %v: it must be 1m to %v", q.Window, maxWindow)
	}
	store, err := d.store()
	if err != nil {
		return overview, err
	}
	o, err := store.Overview(ctx, q.Company, q.Window)
	if err != nil {
		return overview, d.explored(err)
	}
	overview.Accepted, overview.Last, overview.OpenTickets = o.Accepted[:], o.Last, o.OpenTickets
	overview.Events, overview.Oldest = o.Events, o.Oldest
	for _, risk := range []string{"critical", "high", "medium", "low", "info"} {
		overview.OpenThreats = append(overview.OpenThreats, admin.RiskCount{Risk: risk, Count: o.OpenThreats[risk]})
	}
	if n := o.OpenThreats["unknown"]; n > 0 {
		overview.OpenThreats = append(overview.OpenThreats, admin.RiskCount{Risk: "unknown", Count: n})
	}
	for _, b := range o.Buckets {
		overview.Buckets = append(overview.Buckets, admin.Bucket{
			Start: b.Start, Info: b.Events[0], Low: b.Events[1], Medium: b.Events[2], High: b.Events[3], Critical: b.Events[4],
		})
	}
	for _, c := range o.Companies {
		overview.Companies = append(overview.Companies, admin.CompanyCount(c))
	}
	return overview, nil
}

// SendTest implements admin.Explorer.
func (d *Desk) SendTest(ctx context.Context) (admin.TestResult, error) {
	if d.o.Live == nil || d.o.Live.SendTest == nil {
		return admin.TestResult{}, admin.Errorf(admin.Unavailable, "siemrelay is not running: there is no door to send a test event through")
	}
	return d.o.Live.SendTest(ctx)
}
