package admintest

import (
	"context"
	"time"

	"github.com/siemrelay/siemrelay/internal/admin"
)

// ExplorerSamples has one answer of each kind of admin.Explorer.
type ExplorerSamples struct {
	Events   admin.EventPage
	Event    admin.EventDetail
	Records  admin.RecordPage
	Record   admin.RecordDetail
	Overview admin.Overview
	Test     admin.TestResult
}

// explorerSamples have every field set, with odd bytes where foreign text may be.
func explorerSamples(at time.Time) ExplorerSamples {
	event := admin.EventSummary{
		ID: "0123456789abcdef0123456789abcdef", Sequence: 1 << 60, Accepted: at, Time: at.Add(-time.Minute), Kind: "threat",
		Action: "threat-noted", Code: "threat.note", Key: "threat/acme/r%2F1", Record: "r/1", Title: "Änderung \x1b]0;owned\x07 <b>",
		Company: "acme", Name: "Acme & Co", Risk: "high", Severity: 73, State: "detected", Status: "open", Source: "Vulnerability scanner",
		NoteBy: "Alex \x1b[31m", Note: "seen \u202e it", Tags: []string{"forwarded"}, Test: true,
	}
	record := admin.RecordSummary{
		Key: event.Key, Kind: "threat", ID: "r/1", Reference: "REF", Title: event.Title, Company: "acme", Name: "Acme & Co", Risk: "high", Severity: 73,
		Priority: "Urgent", State: "detected", Status: "open", Source: event.Source, Link: "https://my.defense.com/threats/1",
		Created: at.Add(-time.Hour), Updated: at, Events: 3, NoteBy: event.NoteBy, Note: event.Note, NoteAt: at,
	}
	return ExplorerSamples{
		Events: admin.EventPage{Events: []admin.EventSummary{event}, Next: 1 << 60},
		Event: admin.EventDetail{
			EventSummary: event, Raw: admin.NewBody([]byte("{\"a\":\"\xff\"}")), ECS: admin.NewBody([]byte(`{"ecs":{"version":"9.4.0"}}`)), CEF: admin.NewBody([]byte("CEF:0|x")),
			Outputs: []admin.EventOutcome{
				{Output: "kibana", Type: "elasticsearch", Outcome: admin.OutcomeDead, State: admin.StatePaused, Letter: 7, Error: "it said \x1b[31m no"},
				{Output: "local", Type: "local", Outcome: admin.OutcomeDelivered, State: admin.StateOK},
			},
		},
		Records: admin.RecordPage{Records: []admin.RecordSummary{record}, Next: "73.5", Total: 12},
		Record:  admin.RecordDetail{RecordSummary: record, Description: "It was \x1b[31m found.", Timeline: []admin.EventSummary{event}},
		Overview: admin.Overview{
			Now: at, Accepted: []int{1, 2, 3}, Last: at, OpenThreats: []admin.RiskCount{{Risk: "critical", Count: 4}}, OpenTickets: 5,
			Buckets:   []admin.Bucket{{Start: at, Info: 1, Low: 2, Medium: 3, High: 4, Critical: 5}},
			Companies: []admin.CompanyCount{{ID: "acme", Name: "Acme & Co", Open: 6}}, Events: 7, Oldest: at.Add(-time.Hour),
		},
		Test: admin.TestResult{URL: "https://127.0.0.1:8443/webhooks/defense", Status: 200, EventID: event.ID, Error: "none", Duration: 0.25},
	}
}

var _ admin.Explorer = (*Fake)(nil)

// Events implements admin.Explorer.
func (f *Fake) Events(_ context.Context, q admin.EventQuery) (admin.EventPage, error) {
	return did(f, f.Samples.Explorer.Events, "Events", q)
}

// Event implements admin.Explorer.
func (f *Fake) Event(_ context.Context, id string) (admin.EventDetail, error) {
	return did(f, f.Samples.Explorer.Event, "Event", id)
}

// Records implements admin.Explorer.
func (f *Fake) Records(_ context.Context, q admin.RecordQuery) (admin.RecordPage, error) {
	return did(f, f.Samples.Explorer.Records, "Records", q)
}

// Record implements admin.Explorer.
func (f *Fake) Record(_ context.Context, key string) (admin.RecordDetail, error) {
	return did(f, f.Samples.Explorer.Record, "Record", key)
}

// Overview implements admin.Explorer.
func (f *Fake) Overview(_ context.Context, q admin.OverviewQuery) (admin.Overview, error) {
	return did(f, f.Samples.Explorer.Overview, "Overview", q)
}

// SendTest implements admin.Explorer.
func (f *Fake) SendTest(context.Context) (admin.TestResult, error) {
	return did(f, f.Samples.Explorer.Test, "SendTest")
}
