package local

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"
)

// Facts are what the database takes out of an event's ECS document.
type Facts struct {
	Timestamp           time.Time
	Action, Code, Title string
	Kind                string // as the message says
	Record, Reference   string
	Description         string
	Company, Name       string // the id as the message says, organization.name
	Risk, Priority      string // Risk is a word of risks()
	Severity            int
	State, Status       string
	Type, Source        string
	Link                string
	Created             time.Time
	NoteBy, Note        string
	NoteAt              time.Time
	Tags                []string
	Original            string // event.original
	Hash                string // event.hash
	Test                bool
	word                int // 0 info to 4 critical
}

var errNoObject = errors.New("the document is no JSON object")

// parse reads an ECS document. Values of another type than ECS has count as absent.
func parse(p *fastjson.Parser, body []byte, d *Facts) error {
	v, err := p.ParseBytes(body)
	if err != nil {
		return errNoObject // the parser's error may repeat the body
	}
	if v.Type() != fastjson.TypeObject {
		return errNoObject
	}
	text := func(keys ...string) string { return string(v.GetStringBytes(keys...)) }
	at := func(keys ...string) time.Time {
		t, err := time.Parse(time.RFC3339, text(keys...))
		if err != nil {
			return time.Time{}
		}
		return t.UTC()
	}
	record := v.Get("defensecom", d.Kind)
	field := func(key string) string { return string(record.GetStringBytes(key)) }
	d.Timestamp = at("@timestamp")
	d.Action, d.Code, d.Title = text("event", "action"), text("event", "code"), text("message")
	d.Record, d.Reference, d.Description = field("id"), field("reference"), field("description")
	if d.Record == "" {
		d.Record = text("defensecom", "id") // of kind other
	}
	if d.Company == "" {
		d.Company = text("organization", "id")
	}
	d.Name = text("organization", "name")
	d.Priority, d.State, d.Status = field("priority"), field("state"), field("status")
	d.Type, d.Source = field("type"), field("source")
	d.Severity = v.GetInt("event", "severity")
	d.Link = text("event", "url")
	d.Created = at("event", "start")
	d.NoteBy, d.Note, d.NoteAt = text("defensecom", "note", "author", "name"), text("defensecom", "note", "message"), at("defensecom", "note", "created")
	for _, tag := range v.GetArray("tags") {
		if s := string(tag.GetStringBytes()); s != "" {
			d.Tags = append(d.Tags, s)
		}
	}
	d.Original, d.Hash = text("event", "original"), text("event", "hash")
	d.Test = slices.Contains(d.Tags, tagTest)
	d.word = wordOf(d.Severity)
	if d.Kind == kindThreat {
		d.Risk = riskOf(field("risk"), d)
	}
	return nil
}

// What the documents say in words that the database acts on.
const (
	kindThreat = "threat"
	kindTicket = "ticket"
	kindOther  = "other"

	statusOpen    = "open"
	statusClosed  = "closed"
	statusUnknown = "unknown"

	tagTest        = "siemrelay_test"
	tagUnknownRisk = "defensecom_unknown_risk"
	tagMissingRisk = "defensecom_missing_risk"

	riskUnknown = "unknown"

	triggerCreate = "create"
)

// risks are the words of risks, the lowest first.
func risks() []string { return []string{"info", "low", "medium", "high", "critical"} }

// riskOf is the word for a threat's risk: its own if it is one of risks(), that of
// its severity if the mapping has a meaning for it, else unknown.
func riskOf(raw string, d *Facts) string {
	raw = strings.ToLower(strings.TrimSpace(raw))
	switch {
	case slices.Contains(risks(), raw):
		return raw
	case slices.Contains(d.Tags, tagUnknownRisk), slices.Contains(d.Tags, tagMissingRisk):
		return riskUnknown
	}
	return risks()[d.word]
}

// wordOf is the word for a severity, an index of risks(): the one whose number, 10,
// 21, 47, 73 or 99, is nearest.
func wordOf(severity int) int {
	for i, above := range []int{15, 34, 60, 86} {
		if severity <= above {
			return i
		}
	}
	return 4
}

// hasNote tells whether the document is about a note.
func (d *Facts) hasNote() bool { return d.Note != "" || d.NoteBy != "" }
