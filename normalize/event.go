package normalize

import (
	"slices"
	"time"
	"unicode/utf8"
)

// TagPossibleRetry is the tag of an event that may be a repeat of an earlier delivery.
const TagPossibleRetry = "defensecom_possible_retry"

// Raw is one accepted webhook as it left the spool.
type Raw struct {
	// ID becomes event.id: 32 lower-case hex digits.
	ID string
	// Sequence is the spool's number, from 1; 0 where there is no spool.
	Sequence uint64
	// Accepted is when the event was accepted.
	Accepted time.Time
	// Tags are added to the event's tags, TagPossibleRetry for example.
	Tags []string
	// Body is the delivery's body, any bytes at all.
	Body []byte
}

// Event is one normalised webhook: the facts that routing and filters need, and,
// unexported, what the encoders write. The zero value is ready for Mapping.Event,
// which may be called again and again with the same Event.
//
// Strings and slices may alias the body or buffers of the Event itself. They hold
// until the next call of Mapping.Event with this Event and as long as the body
// stays unchanged: what is kept longer has to be cloned. An Event is used by one
// goroutine at a time, except that several may encode it at once.
type Event struct {
	// ID is event.id.
	ID string
	// Key is the record key: kind, company and record id, each percent-escaped,
	// joined by "/". Without a usable record id its last part is "event:" and
	// event.id, which no escaped id equals: such an event is a record of its own,
	// so that it neither waits for unrelated events nor holds them up.
	Key string
	// RecordID is the usable id of the threat or ticket, a string that is not blank
	// or the digits of a number; empty when there is none.
	RecordID string
	// Kind is "threat", "ticket" or "other".
	Kind string
	// Company is the raw company_id, empty when there is none.
	Company string
	// Namespace is data_stream.namespace of the company, empty if it has none of its
	// own: then the encoder's holds.
	Namespace string
	// Dataset is event.dataset: "defensecom.threat", "defensecom.ticket" or "defensecom.other".
	Dataset string
	// EventKind is event.kind: "alert", "event" or "pipeline_error".
	EventKind string
	// Trigger is what happened: "create", "update", "note", "closed", "reopen" or "other".
	Trigger string
	// Action is event.action, "threat-created" for example.
	Action string
	// State is the state's canonical word where it is known, else its raw text;
	// empty when there is none, and for kind "other".
	State string
	// Status is "open", "closed" or "unknown"; empty for kind "other".
	Status string
	// Severity is event.severity, 0 to 100.
	Severity int
	// SyslogSeverity is the severity of RFC 5424 section 6.2.1, 0 to 7.
	SyslogSeverity int
	// Source is the label of a threat's source, "Vulnerability scanner" for example.
	Source string
	// Tags are the tags of the ECS document.
	Tags []string
	// Sequence and Accepted are those of Raw.
	Sequence uint64
	Accepted time.Time

	body    []byte
	payload *payload
	facts   facts
	extra   []byte // defensecom.extra as JSON, empty if there is none
}

// Message is the event's one line for people, ECS's message: the title or subject,
// else the action. It holds as long as the other strings of the Event.
func (e *Event) Message() string { return e.facts.message }

// Code is event.code and CEF's class id, "threat.create" for example.
func (e *Event) Code() string { return e.facts.code }

// facts are what the encoders write beyond the exported fields of an Event.
type facts struct {
	texts        [fieldCount]string // raw texts of the fields that the kind documents
	message      string             // title or subject, else the action
	code         string             // event.code and CEF's class id
	provider     string             // event.provider
	organization string             // organization.name
	categories   []string           // event.category
	types        []string           // event.type
	level        string             // log.level
	reason       string             // event.reason
	link         string             // event.url
	cefSeverity  int                // 0 to 10

	vulnerabilityWord string // vulnerability.severity
	vulnerabilityText string // vulnerability.description

	received    int64 // milliseconds since 1970, like all times here
	timestamp   int64
	created     date
	noteCreated date
}

// date is an optional time in milliseconds since 1970.
type date struct {
	millis int64
	valid  bool
}

// Tags that say what is odd about an event. There are also
// defensecom_unknown_{record_type,trigger,risk,state,type,priority} and
// defensecom_missing_{those and id,company,title}, see tagWord.
const (
	tagInvalidUTF8  = "defensecom_invalid_utf8"
	tagDuplicateKey = "defensecom_duplicate_key"
	tagWrongType    = "defensecom_wrong_type"
	tagBadDate      = "defensecom_bad_date"
	tagBadURL       = "defensecom_bad_url"
	tagCut          = "defensecom_cut"
	tagTest         = "siemrelay_test"
	tagMappingError = "siemrelay_mapping_error"
)

// reset makes e the event of raw that nothing is known about yet.
func (e *Event) reset(raw Raw) {
	if e.payload == nil {
		e.payload = new(payload)
	}
	e.payload.reset()
	*e = Event{
		ID: raw.ID, Sequence: raw.Sequence, Accepted: raw.Accepted,
		Tags: e.Tags[:0], body: raw.Body, payload: e.payload, extra: reuse(e.extra),
	}
	e.facts.received = receiptMillis(raw.Accepted)
	e.facts.timestamp = e.facts.received
}

// minimal makes e the event of a body that could not be read or mapped. It needs
// nothing but raw, not even a Mapping; the severity is that of an unknown risk.
func (e *Event) minimal(raw Raw) {
	e.reset(raw)
	e.setKind(kindOther)
	e.EventKind = eventKindError
	e.Trigger, e.Action, e.facts.code = triggerOther, kindOther+"-"+slug(""), codeOther
	e.facts.message = e.Action
	e.setGrade(grade{severity: 47, cef: 5, syslog: 4})
	e.setKey()
	e.tag(tagMappingError)
	if !utf8.Valid(raw.Body) {
		e.tag(tagInvalidUTF8)
	}
	e.tag(raw.Tags...)
}

// setKind sets what follows from the kind alone.
func (e *Event) setKind(kind string) {
	e.Kind = kind
	e.EventKind = eventKindEvent
	switch kind {
	case kindThreat:
		e.Dataset = datasetPrefix + kindThreat
		e.tag("defensecom-threat", "forwarded")
	case kindTicket:
		e.Dataset = datasetPrefix + kindTicket
		e.tag("defensecom-ticket", "forwarded")
	default:
		e.Dataset = datasetPrefix + kindOther
		e.tag("defensecom-other", "forwarded")
	}
}

// setIdentity sets whose event it is, and which record's.
func (e *Event) setIdentity() {
	f := &e.facts
	e.Company = f.texts[fieldCompany]
	if e.payload.isString(fieldID) || e.payload.isNumber(fieldID) {
		e.RecordID = f.texts[fieldID]
	}
	if f.texts[fieldID] == "" {
		e.tag("defensecom_missing_id")
	}
	if e.Company == "" {
		e.tag("defensecom_missing_company")
	}
}

// setMessage sets the event's one line for people; Action must be set.
func (e *Event) setMessage(title string) {
	e.facts.message = title
	if title == "" {
		e.facts.message = e.Action
		e.tag("defensecom_missing_title")
	}
}

func (e *Event) setGrade(g grade) {
	e.Severity, e.SyslogSeverity, e.facts.cefSeverity = g.severity, g.syslog, g.cef
}

// setExtra keeps the keys that are not in mapped.
func (e *Event) setExtra(mapped fieldSet) {
	if e.payload.fields[fieldTest] == "true" {
		mapped |= 1 << fieldTest
	}
	e.extra = e.payload.appendExtra(e.extra, mapped)
}

// setKey composes the record key of e's kind, company and record id.
func (e *Event) setKey() {
	p := e.payload
	start := len(p.texts)
	p.texts = append(append(p.texts, e.Kind...), '/')
	p.texts = append(appendEscaped(p.texts, e.Company), '/')
	if e.RecordID != "" {
		p.texts = appendEscaped(p.texts, e.RecordID)
	} else {
		p.texts = append(append(p.texts, "event:"...), e.ID...)
	}
	e.Key = view(p.texts[start:])
}

// date reads a date field, which is not valid when it is missing or bad.
func (e *Event) date(f field) date {
	text := e.facts.texts[f]
	if text == "" {
		return date{}
	}
	millis, ok := parseDate(text)
	if !ok {
		e.tag(tagBadDate)
	}
	return date{millis: millis, valid: ok}
}

// tag adds tags that e does not have yet.
func (e *Event) tag(tags ...string) {
	for _, t := range tags {
		if !slices.Contains(e.Tags, t) {
			e.Tags = append(e.Tags, t)
		}
	}
}

// tagWord adds the tag of a word that is missing or not known.
func (e *Event) tagWord(name, text string, known bool) {
	switch {
	case text == "":
		e.tag("defensecom_missing_" + name)
	case !known:
		e.tag("defensecom_unknown_" + name)
	}
}

// tagOddities adds the tags of what reading the payload came across, and makes a
// test event one that raises no alert.
func (e *Event) tagOddities() {
	p := e.payload
	if p.wrongType {
		e.tag(tagWrongType)
	}
	if p.invalidUTF8 {
		e.tag(tagInvalidUTF8)
	}
	if p.duplicateKey {
		e.tag(tagDuplicateKey)
	}
	if p.cutKey {
		e.tag(tagCut)
	}
	if p.fields[fieldTest] == "true" {
		e.EventKind = eventKindEvent
		e.tag(tagTest)
	}
}
