package normalize

import "strings"

// Identity is what tells a delivery that comes a second time from a new event of
// the same record.
type Identity struct {
	// Key is the record key, the same text as Event.Key, or empty if the body has
	// no usable record id: then nothing says which record it is about.
	Key string
	// Unique says that no two events of a record can have this body: it is about
	// the record's creation, which happens once, or it carries a note's time.
	Unique bool
	// Company is the company id, the same text as Event.Company. It may be empty.
	Company string
}

// wordCreate is the vendor's word for a creation. It is not taken from the mapping
// file: an operator may call other words a creation, and such bodies need not be unique.
const wordCreate = "create"

// Identify reads no more of a body than whose it is. It is total, like Event: a
// body that is not one JSON object, and a mistake of this package that panics, give
// the zero Identity. What scratch held before is lost; Key and Company may alias scratch
// and body, and hold as long as the strings of an Event do.
//
// The body is unique if trigger_action is the word create, or note_created_at is a
// string that is not blank. Blank counts as missing, as it does everywhere in this
// package: a time that isn't there makes nothing unique, and to take two events for
// one is the worse mistake. Of equal keys the last one counts.
func (m *Mapping) Identify(scratch *Event, body []byte) Identity {
	return m.identify(scratch, body, false)
}

// IdentifyObject is Identify for a body that is known to be one JSON object, as the
// receiver has found it to be; to look again would be half of the work. Of another body
// it may give any identity.
func (m *Mapping) IdentifyObject(scratch *Event, body []byte) Identity {
	return m.identify(scratch, body, true)
}

func (m *Mapping) identify(scratch *Event, body []byte, object bool) (id Identity) {
	defer func() {
		if recover() != nil {
			id = Identity{}
		}
	}()
	e := scratch
	e.reset(Raw{Body: body})
	p := e.payload
	if !p.read(body, object) {
		return Identity{}
	}
	trigger := ""
	if p.isString(fieldTrigger) {
		trigger = p.text(fieldTrigger)
	}
	id.Unique = strings.EqualFold(strings.TrimSpace(trigger), wordCreate) ||
		p.isString(fieldNoteCreated) && p.text(fieldNoteCreated) != ""
	e.Kind, _ = m.kindOf(p.text(fieldRecordType))
	e.facts.texts[fieldID] = p.text(fieldID)
	e.facts.texts[fieldCompany] = p.text(fieldCompany)
	e.setIdentity()
	id.Company = e.Company
	if e.RecordID != "" {
		e.setKey()
		id.Key = e.Key
	}
	return id
}
