package normalize

// MappingOptions are the settings of a Mapping that don't come from its files.
type MappingOptions struct {
	// LinkHosts are the host names that may become links (event.url), without port.
	LinkHosts []string
	// Companies has what is known of each company by its id, the exact text of
	// company_id, or its digits where it is a number.
	Companies map[string]Company
}

// Mapping is the vocabulary of the vendor and what each word means. It is
// immutable and safe for concurrent use, each goroutine with its own Event.
type Mapping struct {
	recordTypes     words[string]                 // word -> kind
	triggers        words[string]                 // word -> trigger
	sources         words[source]                 // a threat's type
	risks           words[grade]                  // a threat's risk
	priorities      words[grade]                  // a ticket's priority
	threatStates    words[status]                 // a threat's state
	ticketStates    words[status]                 // a ticket's state
	unknownRisk     grade                         // an unknown or missing risk, and kind other
	unknownPriority grade                         // an unknown or missing priority
	outcomes        map[string]map[string]outcome // by kind and trigger
	linkHosts       []string
	companies       map[string]Company // by id
}

// Kinds of records.
const (
	kindThreat = "threat"
	kindTicket = "ticket"
	kindOther  = "other"
)

// Values of event.kind.
const (
	eventKindAlert = "alert"
	eventKindEvent = "event"
	eventKindError = "pipeline_error"
)

// Triggers, as the last part of event.code. A note is an update that carries one.
const (
	triggerCreate = "create"
	triggerUpdate = "update"
	triggerNote   = "note"
	triggerClosed = "closed"
	triggerReopen = "reopen"
	triggerOther  = "other"
)

const (
	datasetPrefix = "defensecom."
	codeOther     = "other.event"
	statusUnknown = "unknown"

	// providerTicket is event.provider and CEF's cat of a ticket, which has no type.
	providerTicket = "Support Ticket"

	// maxVulnerabilityText is where ECS stops to index vulnerability.description.
	maxVulnerabilityText = 1024
)

// The fields that each kind of record documents, and that do not go to extra.
const (
	commonFields fieldSet = 1<<fieldRecordType | 1<<fieldID | 1<<fieldCompany | 1<<fieldTrigger | 1<<fieldState |
		1<<fieldURL | 1<<fieldCreated | 1<<fieldNoteCreated | 1<<fieldNoteAuthor | 1<<fieldNoteMessage
	threatFields = commonFields | 1<<fieldTitle | 1<<fieldDescription | 1<<fieldRisk | 1<<fieldType
	ticketFields = commonFields | 1<<fieldSubject | 1<<fieldPriority | 1<<fieldReference
)

// Event normalises raw into dst. It is total: whatever the body holds, dst is a
// valid event afterwards. A body that is not one JSON object gives the minimal
// event, and so does a mistake in this package that panics.
func (m *Mapping) Event(dst *Event, raw Raw) {
	defer func() {
		if recover() != nil {
			dst.minimal(raw)
		}
	}()
	dst.reset(raw)
	if !dst.payload.read(raw.Body, false) {
		dst.minimal(raw)
		return
	}
	recordType := dst.payload.text(fieldRecordType)
	kind, known := m.kindOf(recordType)
	switch kind {
	case kindThreat:
		m.threat(dst)
	case kindTicket:
		m.ticket(dst)
	default:
		m.other(dst)
		dst.tagWord("record_type", recordType, known)
	}
	dst.setKey()
	dst.tagOddities()
	dst.tag(raw.Tags...)
}

// kindOf returns the kind of a record type, and whether the type is known.
func (m *Mapping) kindOf(recordType string) (kind string, known bool) {
	if kind, known = m.recordTypes.find(recordType); !known {
		kind = kindOther
	}
	return kind, known
}

// threat fills in an event about a threat.
func (m *Mapping) threat(e *Event) {
	f := &e.facts
	m.record(e, kindThreat, threatFields)
	e.setMessage(f.texts[fieldTitle])

	risk, known := m.risks.find(f.texts[fieldRisk])
	f.level = risk.word
	if !known {
		risk = m.unknownRisk
		f.level = f.texts[fieldRisk]
	}
	e.tagWord("risk", f.texts[fieldRisk], known)
	e.setGrade(risk)
	if (e.Trigger == triggerCreate || e.Trigger == triggerReopen) && !risk.quiet {
		e.EventKind = eventKindAlert
	}

	f.provider = f.texts[fieldType]
	src, known := m.sources.find(f.texts[fieldType])
	e.tagWord("type", f.texts[fieldType], known)
	e.Source = f.texts[fieldType]
	if known {
		e.Source, f.categories, f.types = src.label, src.categories, src.types
	}
	if src.vulnerability {
		f.vulnerabilityWord = risk.vulnerability
		f.vulnerabilityText = cut(f.texts[fieldDescription], maxVulnerabilityText)
		if len(f.vulnerabilityText) < len(f.texts[fieldDescription]) {
			e.tag(tagCut)
		}
	}
}

// ticket fills in an event about a support ticket.
func (m *Mapping) ticket(e *Event) {
	f := &e.facts
	m.record(e, kindTicket, ticketFields)
	e.setMessage(f.texts[fieldSubject])
	f.provider = providerTicket

	priority, known := m.priorities.find(f.texts[fieldPriority])
	if !known {
		priority = m.unknownPriority
	}
	e.tagWord("priority", f.texts[fieldPriority], known)
	e.setGrade(priority)
}

// record fills in what threats and tickets have in common.
func (m *Mapping) record(e *Event, kind string, fields fieldSet) {
	p, f := e.payload, &e.facts
	e.setKind(kind)
	for i := fieldRecordType; i < fieldTest; i++ {
		if fields.has(i) {
			f.texts[i] = p.text(i)
		}
	}
	m.setCompany(e)
	note := f.texts[fieldNoteMessage] != "" && p.isString(fieldNoteMessage) ||
		f.texts[fieldNoteAuthor] != "" && p.isString(fieldNoteAuthor)
	m.setTrigger(e, note)
	m.setState(e)
	m.setTimes(e, note)
	if url := f.texts[fieldURL]; url != "" {
		if safeLink(url, m.linkHosts) {
			f.link = url
		} else {
			e.tag(tagBadURL)
		}
	}
	e.setExtra(fields)
}

// other fills in an event about a kind of record that the vendor has not
// documented: only what every payload has is read, and the rest is extra.
func (m *Mapping) other(e *Event) {
	p, f := e.payload, &e.facts
	e.setKind(kindOther)
	fields := fieldSet(1<<fieldID | 1<<fieldCompany)
	f.texts[fieldID] = p.text(fieldID)
	f.texts[fieldCompany] = p.text(fieldCompany)
	m.setCompany(e)

	f.texts[fieldTrigger] = p.text(fieldTrigger)
	e.Trigger = triggerOther
	e.Action = p.compose(kindOther, "-", slug(f.texts[fieldTrigger]))
	f.code = codeOther
	if f.texts[fieldTrigger] == "" {
		e.tag("defensecom_missing_trigger")
	}

	name := fieldTitle
	title := p.text(fieldTitle)
	if title == "" {
		name = fieldSubject
		title = p.text(fieldSubject)
	}
	if title != "" {
		fields |= 1 << name
	}
	e.setMessage(title)
	e.setGrade(m.unknownRisk)
	e.setExtra(fields)
}

// setCompany sets whose event it is, and what is known of that company.
func (m *Mapping) setCompany(e *Event) {
	e.setIdentity()
	company := m.companies[e.Company]
	e.Namespace = company.Namespace
	e.facts.organization = company.Name
}

// setTrigger decides what happened and what it is called.
func (m *Mapping) setTrigger(e *Event, note bool) {
	f := &e.facts
	text := f.texts[fieldTrigger]
	trigger, known := m.triggers.find(text)
	e.tagWord("trigger", text, known)
	switch {
	case !known:
		trigger = triggerOther
	case trigger == triggerUpdate && note:
		trigger = triggerNote
	}
	e.Trigger = trigger
	called := m.outcomes[e.Kind][trigger]
	e.Action, f.code = called.action, called.code
	if !known {
		e.Action = e.payload.compose(e.Kind, "-", slug(text))
	}
}

func (m *Mapping) setState(e *Event) {
	text := e.facts.texts[fieldState]
	states := &m.threatStates
	if e.Kind == kindTicket {
		states = &m.ticketStates
	}
	state, known := states.find(text)
	e.tagWord("state", text, known)
	e.State, e.Status = text, statusUnknown
	if known {
		e.State, e.Status = state.word, state.status
	}
	if e.Trigger == triggerClosed {
		e.facts.reason = text
	}
}

// setTimes decides when the event was: a creation when the record was created, a
// note when it was written, and all else, which carries no time, when it came.
func (m *Mapping) setTimes(e *Event, note bool) {
	f := &e.facts
	f.created = e.date(fieldCreated)
	f.noteCreated = e.date(fieldNoteCreated)
	at := date{}
	switch {
	case e.Trigger == triggerCreate:
		at = f.created
	case note:
		at = f.noteCreated
	}
	if at.valid {
		f.timestamp = at.millis
	}
}
