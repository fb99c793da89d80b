package admin

import (
	"context"
	"time"
)

// Explorer is what a person can look at: the events and records that a local output
// holds, and what became of each event. The desk of package operations and Client
// implement it, with the same answers and errors. Without a local output in the
// configuration everything that needs one is Unavailable, and the error says how to
// have one.
type Explorer interface {
	// Events lists events, the newest first.
	Events(ctx context.Context, q EventQuery) (EventPage, error)
	// Event returns one event by its event.id, raw and in every format, and what became
	// of it at each output.
	Event(ctx context.Context, id string) (EventDetail, error)
	// Records lists threats and tickets as they are now.
	Records(ctx context.Context, q RecordQuery) (RecordPage, error)
	// Record returns one with its timeline, by its record key.
	Record(ctx context.Context, key string) (RecordDetail, error)
	// Overview counts.
	Overview(ctx context.Context, q OverviewQuery) (Overview, error)
	// SendTest sends a test event through the real door, as the sender would. An answer
	// other than 200 is no error: it is in the result.
	SendTest(ctx context.Context) (TestResult, error)
}

// EventQuery asks for events.
type EventQuery struct {
	// Text is a search: words, "phrases", -not, and filters such as risk:critical,
	// state:detected, status:open, kind:threat, company:NAME, source:, action:, id:,
	// since:24h, until:2026-06-19. All must match. One that can't be meant is Invalid.
	Text string `json:"text,omitempty"`
	// Company is a company_id as it came, besides what Text says.
	Company string `json:"company,omitempty"`
	Limit   int    `json:"limit,omitempty"` // 0 is DefaultPage; at most MaxPage
	// Before asks for sequences below it: Next of the page before.
	Before uint64 `json:"before,omitempty"`
	// After asks for sequences above it, the oldest first instead: to follow what comes.
	After uint64 `json:"after,omitempty"`
}

// EventPage is a page of events.
type EventPage struct {
	Events []EventSummary `json:"events"`
	Next   uint64         `json:"next"` // Before, or After, of the next page; 0 if this is the last
}

// EventSummary is one event in a listing.
type EventSummary struct {
	ID string `json:"id"` // event.id
	// Sequence orders the events of a store, see EventQuery: the spool's number, and
	// counted on from it where the store is older than the spool.
	Sequence uint64    `json:"sequence"`
	Accepted time.Time `json:"accepted"`
	Time     time.Time `json:"time"` // @timestamp
	Kind     string    `json:"kind"`
	Action   string    `json:"action"` // event.action
	Code     string    `json:"code"`   // event.code
	Key      string    `json:"key"`    // of the record, see Explorer.Record
	Record   string    `json:"record,omitempty"`
	Title    string    `json:"title"`
	Company  string    `json:"company,omitempty"`      // the id
	Name     string    `json:"company_name,omitempty"` // organization.name
	Risk     string    `json:"risk,omitempty"`         // the level's word: info to critical; empty for tickets
	Severity int       `json:"severity"`
	State    string    `json:"state,omitempty"`
	Status   string    `json:"status,omitempty"` // open, closed or unknown
	Source   string    `json:"source,omitempty"` // a threat's source label
	NoteBy   string    `json:"note_by,omitempty"`
	Note     string    `json:"note,omitempty"`
	Tags     []string  `json:"tags,omitempty"`
	Test     bool      `json:"test,omitempty"` // a test event
}

// EventDetail is one event, whole.
type EventDetail struct {
	EventSummary
	Raw     Body           `json:"raw"` // the webhook's body as it came
	ECS     Body           `json:"ecs"` // as it would be sent now
	CEF     Body           `json:"cef"`
	Outputs []EventOutcome `json:"outputs"`
}

// Outcome is what became of an event at an output.
type Outcome string

// The outcomes. A replay that is under way does not change the first outcome.
const (
	OutcomePending   Outcome = "pending"
	OutcomeDelivered Outcome = "delivered"
	OutcomeSent      Outcome = "sent"     // handed over, and nobody says whether it was received
	OutcomeFiltered  Outcome = "filtered" // the output's filter leaves it out
	OutcomeDead      Outcome = "dead"     // in its dead letters
	OutcomeNone      Outcome = "none"     // the output began after it
	OutcomeUnknown   Outcome = "unknown"  // the output has passed it; its ledger has events that were dropped or unreadable
)

// EventOutcome is what became of an event at one output.
type EventOutcome struct {
	Output  string  `json:"output"`
	Type    string  `json:"type"`
	Outcome Outcome `json:"outcome"`
	State   State   `json:"state"`            // of the output now
	Letter  int64   `json:"letter,omitempty"` // id of the dead letter
	Error   string  `json:"error,omitempty"`  // why it is dead, or why the output does not go on
}

// RecordQuery asks for threats or tickets.
type RecordQuery struct {
	Kind    string `json:"kind,omitempty"` // threat or ticket; empty is both
	Text    string `json:"text,omitempty"` // as in EventQuery; since and until are about the last change
	Company string `json:"company,omitempty"`
	// Sort is "updated" (the default: last change first) or "severity" (the worst first).
	Sort  string `json:"sort,omitempty"`
	Limit int    `json:"limit,omitempty"`
	// Cursor is Next of the page before; it holds for the same query only.
	Cursor string `json:"cursor,omitempty"`
}

// RecordPage is a page of records.
type RecordPage struct {
	Records []RecordSummary `json:"records"`
	Next    string          `json:"next,omitempty"` // empty if this is the last
	// Total counts all that match, up to MaxTotal.
	Total int `json:"total"`
}

// MaxTotal is where the counting of matches ends.
const MaxTotal = 10_000

// RecordSummary is a threat or ticket as it is now.
type RecordSummary struct {
	Key       string    `json:"key"`
	Kind      string    `json:"kind"`
	ID        string    `json:"id"`
	Reference string    `json:"reference,omitempty"`
	Title     string    `json:"title"`
	Company   string    `json:"company,omitempty"`
	Name      string    `json:"company_name,omitempty"`
	Risk      string    `json:"risk,omitempty"`
	Severity  int       `json:"severity"`
	Priority  string    `json:"priority,omitempty"`
	State     string    `json:"state,omitempty"`
	Status    string    `json:"status,omitempty"`
	Source    string    `json:"source,omitempty"`
	Link      string    `json:"link,omitempty"` // only a safe one (event.url)
	Created   time.Time `json:"created,omitzero"`
	Updated   time.Time `json:"updated"` // acceptance of its last event
	Events    int       `json:"events"`  // that the store holds
	NoteBy    string    `json:"note_by,omitempty"`
	Note      string    `json:"note,omitempty"` // the last one
	NoteAt    time.Time `json:"note_at,omitzero"`
}

// RecordDetail is a record with its timeline, the newest event first, at most MaxPage.
type RecordDetail struct {
	RecordSummary
	Description string         `json:"description,omitempty"`
	Timeline    []EventSummary `json:"timeline"`
}

// OverviewQuery asks for counts over a window up to now.
type OverviewQuery struct {
	Company string        `json:"company,omitempty"`
	Window  time.Duration `json:"window,omitempty"` // 0 is 24 h; at most 90 days
}

// Overview is how things are, from the local store.
type Overview struct {
	Now time.Time `json:"now"`
	// Accepted has the events of each of the last 60 minutes, the current one last.
	Accepted []int `json:"accepted"`
	// Last is when the newest event was accepted.
	Last time.Time `json:"last,omitzero"`
	// OpenThreats counts open threats by risk, all five from critical to info, then those
	// of an unknown one, if any.
	OpenThreats []RiskCount `json:"open_threats"`
	OpenTickets int         `json:"open_tickets"`
	// Buckets are the events of the window, from its begin to now without a gap.
	Buckets []Bucket `json:"buckets"`
	// Companies are all that the store knows, by name or id.
	Companies []CompanyCount `json:"companies"`
	Events    int            `json:"events"` // that the store holds
	Oldest    time.Time      `json:"oldest,omitzero"`
}

// RiskCount counts what has a risk.
type RiskCount struct {
	Risk  string `json:"risk"`
	Count int    `json:"count"`
}

// Bucket counts the events of a part of a window by severity word.
type Bucket struct {
	Start    time.Time `json:"start"`
	Info     int       `json:"info"`
	Low      int       `json:"low"`
	Medium   int       `json:"medium"`
	High     int       `json:"high"`
	Critical int       `json:"critical"`
}

// CompanyCount is a company that has events.
type CompanyCount struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Open int    `json:"open"` // threats
}

// TestResult is how the door answered a test event.
type TestResult struct {
	URL      string  `json:"url"`    // where it was sent
	Status   int     `json:"status"` // of HTTP; 0 if there was no answer
	EventID  string  `json:"event_id,omitempty"`
	Error    string  `json:"error,omitempty"` // why it was not accepted, and what to do
	Duration float64 `json:"seconds"`
}
