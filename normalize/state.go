package normalize

// NewState returns the encoder of a record's current state: one JSON object, an ECS
// document of event.kind "state" with what the event says of its threat or ticket as
// it is now, not of the event. It takes no space for what only the history needs: the
// raw body, the description, unknown keys.
//
// It appends nothing for an event that says nothing of a record: one of kind other,
// one without a usable record id, and a test event, which would stay open for ever.
//
// A payload carries a note only when the event is about one. The state then has it
// in defensecom.note; a state without it leaves the record's last note what it was.
func NewState() Encoder {
	return total(func(dst []byte, e *Event) []byte {
		if e.Kind == kindOther || e.RecordID == "" || e.payload.fields[fieldTest] == "true" {
			return dst
		}
		w := object{buf: append(dst, '{')}
		w.stateBase(e)
		w.stateRecord(e)
		return append(w.buf, '}')
	})
}

// stateBase writes the ECS fields. @timestamp is when the record changed last, and
// event.created when siemrelay heard of it; event.start is when the record began.
func (w *object) stateBase(e *Event) {
	f := &e.facts
	w.time("@timestamp", date{f.timestamp, true})
	ecs := w.open("ecs")
	w.text("version", ECSVersion)
	w.close(ecs)
	event := w.open("event")
	w.text("id", e.ID)
	w.text("kind", "state")
	w.text("action", e.Action)
	w.text("code", f.code)
	w.text("module", "defensecom")
	w.text("dataset", e.Dataset)
	w.text("provider", f.provider)
	w.number("severity", uint64(e.Severity))
	if e.Kind == kindThreat {
		w.number("risk_score", uint64(e.Severity))
	}
	w.time("start", f.created)
	w.time("created", date{f.received, true})
	if e.Sequence > 0 {
		w.number("sequence", e.Sequence)
	}
	w.text("url", f.link)
	w.close(event)
	w.text("message", f.message)
	log := w.open("log")
	w.text("level", f.level)
	w.close(log)
	organization := w.open("organization")
	w.text("id", e.Company)
	w.text("name", f.organization)
	w.close(organization)
	w.texts("tags", e.Tags...)
}

// stateRecord writes the vendor's own fields, with their raw texts.
func (w *object) stateRecord(e *Event) {
	t := &e.facts.texts
	vendor := w.open("defensecom")
	w.text("record_type", t[fieldRecordType])
	w.text("trigger_action", t[fieldTrigger])
	w.record(e, "")
	if t[fieldNoteMessage] != "" || t[fieldNoteAuthor] != "" {
		w.note(e)
	}
	w.close(vendor)
}

// note writes defensecom.note.
func (w *object) note(e *Event) {
	t := &e.facts.texts
	note := w.open("note")
	w.time("created", e.facts.noteCreated)
	author := w.open("author")
	w.text("name", t[fieldNoteAuthor])
	w.close(author)
	w.text("message", t[fieldNoteMessage])
	w.close(note)
}
