package console_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// Events implements admin.Explorer.
func (f *fake) Events(ctx context.Context, q admin.EventQuery) (admin.EventPage, error) {
	end, err := f.beginStore(ctx, "Events%+v", q)
	defer end()
	var p admin.EventPage
	for i := len(f.events) - 1; i >= 0 && err == nil; i-- {
		e := f.events[i]
		var ok bool
		if ok, err = f.matches(e, q.Text, q.Company); !ok || q.Before > 0 && e.Sequence >= q.Before {
			continue
		}
		if len(p.Events) == q.Limit {
			p.Next = p.Events[len(p.Events)-1].Sequence
			break
		}
		p.Events = append(p.Events, e.EventSummary)
	}
	return p, err
}

// Event implements admin.Explorer.
func (f *fake) Event(ctx context.Context, id string) (admin.EventDetail, error) {
	end, err := f.beginStore(ctx, "Event %s", id)
	defer end()
	if err != nil {
		return admin.EventDetail{}, err
	}
	for _, e := range f.events {
		if e.ID != id {
			continue
		}
		d := admin.EventDetail{
			EventSummary: e.EventSummary, Raw: admin.NewBody([]byte(e.Raw)),
			ECS: admin.NewBody(fmt.Appendf(nil, `{"@timestamp":%q,"ecs":{"version":"9.4.0"},"event":{"id":%q,"action":%q,"severity":%d},"message":%q}`, e.Time.Format(time.RFC3339Nano), e.ID, e.Action, e.Severity, e.Title)),
			CEF: admin.NewBody(fmt.Appendf(nil, `CEF:0|Defense.com|Threat|1.0|%s|%s|%d|externalId=%s`, e.Code, strings.NewReplacer(`\`, `\\`, "|", `\|`).Replace(e.Title), e.Severity/10, e.ID)),
		}
		for i, o := range f.status.Outputs {
			out := admin.EventOutcome{Output: o.Name, Type: o.Type, Outcome: admin.OutcomeDelivered, State: o.State}
			if o.State != admin.StateOK || f.pending && i == len(f.status.Outputs)-1 {
				out.Outcome, out.Error = admin.OutcomePending, o.Error
			}
			d.Outputs = append(d.Outputs, out)
		}
		for _, l := range f.letters {
			if l.EventID == id {
				d.Outputs[0].Outcome, d.Outputs[0].Letter, d.Outputs[0].Error = admin.OutcomeDead, l.ID, l.Error
			}
		}
		return d, nil
	}
	return admin.EventDetail{}, admin.Errorf(admin.NotFound, "there is no event %s", id)
}

func (f *fake) recordsLocked(kind string) []admin.RecordDetail {
	byKey := map[string]*admin.RecordDetail{}
	var order []*admin.RecordDetail
	for _, e := range f.events {
		if e.Kind == "other" || kind != "" && e.Kind != kind {
			continue
		}
		r := byKey[e.Key]
		if r == nil {
			r = &admin.RecordDetail{RecordSummary: admin.RecordSummary{Key: e.Key, Kind: e.Kind, ID: e.Record, Created: e.Time}}
			byKey[e.Key] = r
			order = append(order, r)
		}
		r.Title, r.Company, r.Name, r.Risk, r.Severity = e.Title, e.Company, e.Name, e.Risk, e.Severity
		r.State, r.Status, r.Source, r.Updated = e.State, e.Status, e.Source, e.Accepted
		r.Reference, r.Priority, r.Link, r.Description = e.Reference, e.Priority, e.Link, e.Description
		r.Events++
		if e.NoteBy != "" {
			r.NoteBy, r.Note, r.NoteAt = e.NoteBy, e.Note, e.Accepted
		}
		r.Timeline = slices.Insert(r.Timeline, 0, e.EventSummary)
	}
	all := make([]admin.RecordDetail, len(order))
	for i, r := range order {
		all[i] = *r
	}
	slices.SortStableFunc(all, func(a, b admin.RecordDetail) int { return b.Updated.Compare(a.Updated) })
	return all
}

// Records implements admin.Explorer.
func (f *fake) Records(ctx context.Context, q admin.RecordQuery) (admin.RecordPage, error) {
	end, err := f.beginStore(ctx, "Records%+v", q)
	defer end()
	var p admin.RecordPage
	if err != nil {
		return p, err
	}
	all := f.recordsLocked(q.Kind)
	if q.Sort == "severity" {
		slices.SortStableFunc(all, func(a, b admin.RecordDetail) int { return b.Severity - a.Severity })
	}
	skip := 0
	if q.Cursor != "" {
		if _, err := fmt.Sscanf(q.Cursor, "c%d", &skip); err != nil {
			return p, admin.Errorf(admin.Invalid, "cursor %q: it must be of the page before", q.Cursor)
		}
	}
	for _, r := range all {
		ok, err := f.matches(fakeEvent{EventSummary: admin.EventSummary{
			Title: r.Title, Risk: r.Risk, Status: r.Status, Company: r.Company, Note: r.Note, Source: r.Source, NoteBy: r.NoteBy,
		}, Description: r.Description}, q.Text, q.Company)
		if err != nil {
			return p, err
		}
		if !ok {
			continue
		}
		if p.Total++; p.Total > skip && len(p.Records) < q.Limit {
			p.Records = append(p.Records, r.RecordSummary)
		}
	}
	if skip+len(p.Records) < p.Total {
		p.Next = fmt.Sprintf("c%d", skip+len(p.Records))
	}
	return p, nil
}

// Record implements admin.Explorer.
func (f *fake) Record(ctx context.Context, key string) (admin.RecordDetail, error) {
	end, err := f.beginStore(ctx, "Record %s", key)
	defer end()
	if err != nil {
		return admin.RecordDetail{}, err
	}
	for _, r := range f.recordsLocked("") {
		if r.Key == key {
			return r, nil
		}
	}
	return admin.RecordDetail{}, admin.Errorf(admin.NotFound, "there is no threat or ticket %s", key)
}

// Overview implements admin.Explorer.
func (f *fake) Overview(ctx context.Context, q admin.OverviewQuery) (admin.Overview, error) {
	end, err := f.beginStore(ctx, "Overview%+v", q)
	defer end()
	o := admin.Overview{Now: f.now(), Accepted: make([]int, 60)}
	if err != nil {
		return o, err
	}
	step := time.Hour
	if q.Window > 48*time.Hour {
		step = q.Window / 30
	}
	first := o.Now.Add(-q.Window).Truncate(step)
	for t := first; !t.After(o.Now); t = t.Add(step) {
		o.Buckets = append(o.Buckets, admin.Bucket{Start: t})
	}
	companies := map[string]int{}
	for _, e := range f.events {
		if _, ok := companies[e.Company]; !ok {
			companies[e.Company] = len(o.Companies)
			o.Companies = append(o.Companies, admin.CompanyCount{ID: e.Company, Name: e.Name})
		}
		if q.Company != "" && e.Company != q.Company {
			continue
		}
		o.Events, o.Last = o.Events+1, e.Accepted
		if ago := int(o.Now.Sub(e.Accepted) / time.Minute); ago < 60 {
			o.Accepted[59-ago]++
		}
		if i := int(e.Accepted.Sub(first) / step); i >= 0 && i < len(o.Buckets) {
			b := &o.Buckets[i]
			if n := map[string]*int{"critical": &b.Critical, "high": &b.High, "medium": &b.Medium, "low": &b.Low, "info": &b.Info}[e.Risk]; n != nil {
				*n++
			}
		}
	}
	counts := map[string]int{}
	for _, r := range f.recordsLocked("") {
		if r.Status != "open" || q.Company != "" && r.Company != q.Company {
			continue
		}
		if r.Kind == "ticket" {
			o.OpenTickets++
			continue
		}
		counts[r.Risk]++
		o.Companies[companies[r.Company]].Open++
	}
	for _, risk := range []string{"critical", "high", "medium", "low", "info"} {
		o.OpenThreats = append(o.OpenThreats, admin.RiskCount{Risk: risk, Count: counts[risk]})
	}
	return o, nil
}
