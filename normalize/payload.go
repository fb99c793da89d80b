package normalize

import (
	"bytes"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"
)

// maxDepth bounds the nesting of a body, the outer object counts as 1. The door
// refuses bodies below 64 already; this bound is for the stack of whoever else
// brings bodies.
const maxDepth = 512

// keepBuffer is the capacity of the largest buffer that is kept for the next body.
const keepBuffer = 32 << 10

// field is a documented key of a webhook.
type field uint8

const (
	fieldNone field = iota // a key that the vendor has not documented
	fieldRecordType
	fieldID
	fieldCompany
	fieldTrigger
	fieldTitle
	fieldSubject
	fieldDescription
	fieldRisk
	fieldPriority
	fieldState
	fieldType
	fieldReference
	fieldURL
	fieldCreated
	fieldNoteCreated
	fieldNoteAuthor
	fieldNoteMessage
	fieldTest
	fieldCount
)

// fieldSet is a set of fields.
type fieldSet uint32

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

// fieldOf returns the field of a key. Keys match with exact case.
func fieldOf(key string) field {
	switch key {
	case "record_type":
		return fieldRecordType
	case "id":
		return fieldID
	case "company_id":
		return fieldCompany
	case "trigger_action":
		return fieldTrigger
	case "title":
		return fieldTitle
	case "subject":
		return fieldSubject
	case "description":
		return fieldDescription
	case "risk":
		return fieldRisk
	case "priority":
		return fieldPriority
	case "state":
		return fieldState
	case "type":
		return fieldType
	case "reference":
		return fieldReference
	case "url":
		return fieldURL
	case "created_at":
		return fieldCreated
	case "note_created_at":
		return fieldNoteCreated
	case "note_created_by":
		return fieldNoteAuthor
	case "note_message":
		return fieldNoteMessage
	case "siemrelay_test":
		return fieldTest
	}
	return fieldNone
}

// member is one key of an object with its value, which is still JSON.
type member struct {
	key   string
	value string
	field field
}

// payload is a webhook's JSON object, taken apart. Its strings alias the body or
// its own buffers. It is used again for the next body, so that reading one
// allocates nothing in the steady state.
//
// fastjson only validates. Its parser is not used: it can't tell a lone surrogate
// from an escaped backslash, drops the character after one, gives the first of
// two equal keys, and takes some 200 bytes of memory for each byte of "[1,1,1…".
type payload struct {
	fields  [fieldCount]string // the value of each documented key, JSON, "" if absent
	members []member           // a stack: all top-level members, then those of objects being rewritten
	decoded []byte             // strings that had to be unescaped or cleaned
	texts   []byte             // compact JSON texts, actions and other composed strings
	inner   []byte             // one JSON text on its way into a JSON string
	clean   bool               // the body has no escape and no invalid UTF-8

	invalidUTF8, duplicateKey, wrongType, cutKey bool // what the tags say
}

func (p *payload) reset() {
	p.fields = [fieldCount]string{}
	p.members = reuse(p.members)
	p.decoded = reuse(p.decoded)
	p.texts = reuse(p.texts)
	p.inner = reuse(p.inner)
	p.clean, p.invalidUTF8, p.duplicateKey, p.wrongType, p.cutKey = false, false, false, false, false
}

// reuse empties a buffer for the next body, or lets go of one that grew large.
func reuse[T any](buf []T) []T {
	if cap(buf) > keepBuffer {
		return nil
	}
	return buf[:0]
}

// view returns b as a string without copying it. Every use falls under the rule
// that Event's comment gives: b is not changed while the string is in use.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// read takes body apart. It returns false if the body is not one JSON object, which is
// looked for unless the caller knows that it is one.
func (p *payload) read(body []byte, known bool) bool {
	p.invalidUTF8 = !utf8.Valid(body)
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	body = bytes.Trim(body, " \t\r\n")
	if len(body) == 0 || body[0] != '{' {
		return false
	}
	escapes := bytes.IndexByte(body, '\\') >= 0
	p.clean = !escapes && !p.invalidUTF8
	if !known && (escapes || bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) > maxDepth) {
		if !walkable(body) {
			return false
		}
	}
	if !known && fastjson.ValidateBytes(body) != nil {
		return false
	}
	s := view(body)
	if escapes && loneSurrogate(s) {
		p.invalidUTF8 = true
	}
	p.appendMembers(s)
	for i := range p.members {
		m := &p.members[i]
		m.field = fieldOf(m.key)
		if m.field == fieldNone {
			continue
		}
		if p.fields[m.field] != "" {
			p.duplicateKey = true
		}
		p.fields[m.field] = m.value
	}
	return true
}

// walkable finds what fastjson's validation misses or can't take: a raw control
// character in a string that also has an escape (RFC 8259 section 7 forbids it),
// and nesting so deep that its recursion would exhaust the stack.
func walkable(body []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case inString && c == '\\':
			i++ // validation judges the escaped character
		case inString && c < ' ':
			return false
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}

// text returns what a field says, "" if it is missing: absent, null or blank. A
// value of the wrong type gives its compact JSON text.
func (p *payload) text(f field) string {
	raw := p.fields[f]
	switch {
	case raw == "" || raw[0] == 'n':
		return ""
	case raw[0] == '"':
		s := p.unquote(raw[1 : len(raw)-1])
		if blank(s) {
			return ""
		}
		return s
	}
	p.wrongType = true
	start := len(p.texts)
	p.texts = p.appendValue(p.texts, raw, 0)
	return view(p.texts[start:])
}

// isString says whether a field holds a string.
func (p *payload) isString(f field) bool {
	raw := p.fields[f]
	return raw != "" && raw[0] == '"'
}

// isNumber says whether a field holds a number.
func (p *payload) isNumber(f field) bool {
	raw := p.fields[f]
	return raw != "" && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// compose appends the parts to a buffer of the payload and returns them as one string.
func (p *payload) compose(parts ...string) string {
	start := len(p.texts)
	for _, s := range parts {
		p.texts = append(p.texts, s...)
	}
	return view(p.texts[start:])
}

func blank(s string) bool {
	return s == "" || (s[0] <= ' ' || s[0] >= utf8.RuneSelf) && strings.TrimSpace(s) == ""
}
