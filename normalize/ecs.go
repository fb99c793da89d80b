package normalize

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// newECS returns the encoder of ECS documents: one JSON object with nested
// objects and a fixed order of fields, after the Elastic Common Schema 9.4.0 with
// the vendor's own fields under defensecom. A field without a value is left out.
//
// Values are not cut, except vulnerability.description: ECS maps every keyword
// with ignore_above, so that a long value is kept and not indexed, never refused.
func newECS(o EncoderOptions) Encoder {
	constants := object{buf: []byte{'{'}}
	observer := constants.open("observer")
	constants.text("vendor", "Defense.com")
	constants.text("product", "Defense.com")
	constants.text("name", "my.defense.com")
	constants.close(observer)
	agent := constants.open("agent")
	constants.text("type", "siemrelay")
	constants.text("version", o.AgentVersion)
	constants.close(agent)
	return func(dst []byte, e *Event) []byte {
		w := object{buf: append(dst, '{')}
		w.ecsBase(e, o)
		w.ecsEvent(e, o)
		w.ecsRecord(e)
		w.buf = append(append(w.buf, ','), constants.buf[1:]...)
		w.texts("tags", e.Tags...)
		w.ecsVendor(e)
		return append(w.buf, '}')
	}
}

func (w *object) ecsBase(e *Event, o EncoderOptions) {
	w.time("@timestamp", date{e.facts.timestamp, true})
	ecs := w.open("ecs")
	w.text("version", ECSVersion)
	w.close(ecs)
	stream := w.open("data_stream")
	w.text("type", "logs")
	w.text("dataset", e.Dataset)
	w.text("namespace", cmp.Or(e.Namespace, o.Namespace))
	w.close(stream)
}

func (w *object) ecsEvent(e *Event, o EncoderOptions) {
	f := &e.facts
	event := w.open("event")
	w.text("id", e.ID)
	w.text("kind", e.EventKind)
	w.texts("category", f.categories...)
	w.texts("type", f.types...)
	w.text("action", e.Action)
	w.text("code", f.code)
	w.text("reason", f.reason)
	w.text("module", "defensecom")
	w.text("dataset", e.Dataset)
	w.text("provider", f.provider)
	w.number("severity", uint64(e.Severity))
	if e.Kind == kindThreat {
		w.number("risk_score", uint64(e.Severity))
	}
	w.time("start", f.created)
	w.time("created", date{f.received, f.received != f.timestamp})
	if e.Sequence > 0 {
		w.number("sequence", e.Sequence)
	}
	w.text("url", f.link)
	hash := sha256.Sum256(e.body)
	w.key("hash")
	w.buf = append(hex.AppendEncode(append(w.buf, '"'), hash[:]), '"')
	if o.EventOriginal || e.EventKind == eventKindError {
		w.text("original", view(e.body))
	}
	w.close(event)
}

// ecsRecord writes the ECS fields that speak of the record rather than the event.
func (w *object) ecsRecord(e *Event) {
	f := &e.facts
	w.text("message", f.message)
	log := w.open("log")
	w.text("level", f.level)
	w.close(log)
	organization := w.open("organization")
	w.text("id", e.Company)
	w.text("name", f.organization)
	w.close(organization)
	if author := f.texts[fieldNoteAuthor]; author != "" {
		user := w.open("user")
		w.text("full_name", author)
		w.close(user)
		related := w.open("related")
		w.texts("user", author)
		w.close(related)
	}
	vulnerability := w.open("vulnerability")
	w.text("description", f.vulnerabilityText)
	w.text("severity", f.vulnerabilityWord)
	w.close(vulnerability)
}

// record writes the threat or ticket itself, with its raw texts; the description only
// if there is one.
func (w *object) record(e *Event, description string) {
	t := &e.facts.texts
	record := w.open(e.Kind)
	w.text("id", t[fieldID])
	w.text("reference", t[fieldReference])
	w.text("title", t[fieldTitle])
	w.text("subject", t[fieldSubject])
	w.text("description", description)
	w.text("risk", t[fieldRisk])
	w.text("priority", t[fieldPriority])
	w.text("state", t[fieldState])
	w.text("status", e.Status)
	w.text("type", t[fieldType])
	w.text("source", e.Source)
	w.text("url", t[fieldURL])
	w.time("created", e.facts.created)
	w.close(record)
}

// ecsVendor writes the vendor's own fields, with their raw texts.
func (w *object) ecsVendor(e *Event) {
	t := &e.facts.texts
	vendor := w.open("defensecom")
	if e.Kind == kindOther {
		w.text("id", t[fieldID])
	} else {
		w.text("record_type", t[fieldRecordType])
		w.text("trigger_action", t[fieldTrigger])
		w.record(e, t[fieldDescription])
		w.note(e)
	}
	if len(e.extra) > 0 {
		w.key("extra")
		w.buf = append(w.buf, e.extra...)
	}
	w.close(vendor)
}

// object writes the members of nested JSON objects. What has no value is left
// out, and so is an object that stays empty.
type object struct {
	buf []byte
}

// mark is where an object began: before its key, and after its brace.
type mark struct{ key, inside int }

func (w *object) open(key string) mark {
	start := len(w.buf)
	w.key(key)
	w.buf = append(w.buf, '{')
	return mark{key: start, inside: len(w.buf)}
}

func (w *object) close(m mark) {
	if len(w.buf) == m.inside {
		w.buf = w.buf[:m.key]
		return
	}
	w.buf = append(w.buf, '}')
}

func (w *object) key(key string) {
	buf := w.buf
	if buf[len(buf)-1] != '{' {
		buf = append(buf, ',')
	}
	buf = append(buf, '"')
	buf = append(buf, key...)
	w.buf = append(buf, '"', ':')
}

func (w *object) text(key, value string) {
	if value != "" {
		w.key(key)
		w.buf = appendString(w.buf, value)
	}
}

func (w *object) texts(key string, values ...string) {
	if len(values) == 0 {
		return
	}
	w.key(key)
	for i, v := range values {
		w.buf = append(w.buf, "[,"[min(i, 1)])
		w.buf = appendString(w.buf, v)
	}
	w.buf = append(w.buf, ']')
}

func (w *object) number(key string, n uint64) {
	w.key(key)
	w.buf = strconv.AppendUint(w.buf, n, 10)
}

func (w *object) time(key string, d date) {
	if d.valid {
		w.key(key)
		w.buf = append(appendTime(append(w.buf, '"'), d.millis), '"')
	}
}
