package normalize

import "strconv"

// Lengths of the parts of a CEF line in characters, before escaping, from the CEF
// implementation standard (sizes of the header and the extension dictionary).
const (
	cefName     = 512
	cefExternal = 40
	cefDeviceID = 255
	cefHost     = 100
	cefAction   = 63
	cefText     = 1023 // cat, request, msg, suser, reason and every label
	cefCustom   = 4000 // cs1 to cs6
)

// newCEF returns the encoder of CEF lines, version 0: seven header fields and an
// extension of key=value pairs. A line is bare: a syslog output adds its header.
// A key without a value is left out, with its label. Values are cleaned, trimmed
// and cut before they are escaped, see cefPart.
func newCEF(EncoderOptions) Encoder {
	return func(dst []byte, e *Event) []byte {
		f, t := &e.facts, &e.facts.texts
		dst = append(dst, "CEF:0|Defense.com|Defense.com|1.0|"...)
		dst = append(append(dst, f.code...), '|')
		dst = append(appendCEFName(dst, f.message, e.Action), '|')
		dst = append(strconv.AppendInt(dst, int64(f.cefSeverity), 10), '|')

		w := extension{dst, len(dst)}
		w.time("rt", date{f.timestamp, true})
		w.time("start", f.created)
		w.text("externalId", cefExternal, t[fieldID])
		w.text("deviceExternalId", cefDeviceID, e.Company)
		w.text("dvchost", cefHost, "my.defense.com")
		w.text("act", cefAction, t[fieldTrigger])
		w.text("cat", cefText, f.provider)
		w.text("request", cefText, f.link)
		w.text("msg", cefText, cefMessage(e))
		w.text("suser", cefText, t[fieldNoteAuthor])
		w.text("reason", cefText, f.reason)
		if e.Kind == kindThreat {
			w.custom("cs1", "threatState", t[fieldState])
			w.custom("cs2", "risk", t[fieldRisk])
		} else {
			w.custom("cs1", "ticketState", t[fieldState])
			w.custom("cs2", "priority", t[fieldPriority])
		}
		w.custom("cs3", "noteMessage", t[fieldNoteMessage])
		w.custom("cs4", "ticketReference", t[fieldReference])
		w.custom("cs5", "threatSource", e.Source)
		w.custom("cs6", "eventId", e.ID)
		w.key("cn1")
		w.buf = strconv.AppendInt(w.buf, int64(e.Severity), 10)
		w.text("cn1Label", cefText, "ecsSeverity")
		if f.noteCreated.valid {
			w.time("deviceCustomDate1", f.noteCreated)
			w.text("deviceCustomDate1Label", cefText, "noteCreatedAt")
		}
		return w.buf
	}
}

// cefMessage is what the event says at length: the note if it is about one.
func cefMessage(e *Event) string {
	if e.Trigger == triggerNote {
		return e.facts.texts[fieldNoteMessage]
	}
	return e.facts.texts[fieldDescription]
}

// appendCEFName appends the header's name: message, or action if nothing is left
// of message when it is cleaned.
func appendCEFName(dst []byte, message, action string) []byte {
	start := len(dst)
	if dst = cefHeader.append(dst, message, cefName); len(dst) == start {
		dst = cefHeader.append(dst, action, cefName)
	}
	return dst
}

// extension writes the key=value pairs of a CEF line.
type extension struct {
	buf   []byte
	start int
}

func (w *extension) key(key string) {
	if len(w.buf) > w.start {
		w.buf = append(w.buf, ' ')
	}
	w.buf = append(append(w.buf, key...), '=')
}

// text writes a value of at most limit characters. It reports whether anything
// was left to write.
func (w *extension) text(key string, limit int, value string) bool {
	if value == "" {
		return false
	}
	before := len(w.buf)
	w.key(key)
	inside := len(w.buf)
	if w.buf = cefExtension.append(w.buf, value, limit); len(w.buf) == inside {
		w.buf = w.buf[:before]
		return false
	}
	return true
}

// custom writes one of the custom strings cs1 to cs6 and its label.
func (w *extension) custom(key, label, value string) {
	if w.text(key, cefCustom, value) {
		w.buf = append(append(append(w.buf, ' '), key...), "Label="...)
		w.buf = append(w.buf, label...)
	}
}

// time writes a time in milliseconds since 1970, the form that every parser takes.
func (w *extension) time(key string, d date) {
	if d.valid {
		w.key(key)
		w.buf = strconv.AppendInt(w.buf, d.millis, 10)
	}
}
