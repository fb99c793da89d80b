package normalize

import "time"

// Raw is one accepted webhook as it left the spool.
type Raw struct {
	// ID becomes event.id: 32 lower-case hex digits.
	ID string
	// Sequence is the spool's number, from 1; 0 where there is no spool.
	Sequence uint64
	// Accepted is when the event was accepted.
	Accepted time.Time
	// Tags are added to the event's tags, "defensecom_possible_retry" for example.
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
// stays unchanged: what is kept longer has to be cloned.
type Event struct {
	// ID is event.id.
	ID string
	// Key is the record key: kind, company and record id, each percent-escaped,
	// joined by "/". Without a usable record id its last part is "event:" and
	// event.id: such an event is a record of its own.
	Key string
	// RecordID is the usable id of the threat or ticket, a non-blank string or the
	// digits of a number; empty when there is none.
	RecordID string
	// Kind is "threat", "ticket" or "other".
	Kind string
	// Company is the raw company_id, empty when there is none.
	Company string
	// Dataset is event.dataset: "defensecom.threat", "defensecom.ticket" or "defensecom.other".
	Dataset string
	// EventKind is event.kind: "alert", "event" or "pipeline_error".
	EventKind string
	// Trigger is what happened: "create", "update", "note", "closed", "reopen" or "other".
	Trigger string
	// Action is event.action, "threat-created" for example.
	Action string
	// State is the state's canonical word where it is known, else its raw text.
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

	body []byte
}
