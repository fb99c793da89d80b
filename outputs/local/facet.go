package local

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// What a facet is about: the first letter of its token.
const (
	facetAll      = 'z' // of every row: what is left out is left out of something
	facetKey      = 'k' // record key
	facetCompany  = 'c' // company id
	facetRisk     = 'r'
	facetState    = 's'
	facetStatus   = 'u'
	facetKind     = 'd'
	facetAction   = 'a'
	facetCode     = 'o'
	facetRecord   = 'i' // record id or reference
	facetType     = 't' // the vendor's, as it came
	facetTag      = 'g'
	facetEvent    = 'e' // event.id, which is searched by its beginning too
	facetSeverity = 'v'
)

// facet is the token for a value: values that differ in case or outer white space
// only have the same. The value is hashed, so that it is one token, whatever is in it.
func facet(about byte, value string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(value))))
	return string(hex.AppendEncode([]byte{about}, sum[:10]))
}

// eventFacet is the token for an event.id, or for the beginning of one. An id that
// is no hex digits, which the spool gives none, is hashed.
func eventFacet(id string) (token string, hex bool) {
	id = strings.ToLower(id)
	if id != "" && len(id) <= 64 && strings.Trim(id, "0123456789abcdef") == "" {
		return string(facetEvent) + id, true
	}
	return facet(facetEvent, id), false
}

// facets collects tokens for the index.
type facets struct{ strings.Builder }

func (f *facets) token(token string) {
	f.WriteByte(' ')
	f.WriteString(token)
}

// value adds a value, if there is one.
func (f *facets) value(about byte, value string) {
	if value != "" {
		f.token(facet(about, value))
	}
}

// indexed is a row of the full-text index.
type indexed struct{ text, company, source, facets string }

// maxIndexed is how much of one text is searched, in bytes: a description may be as
// long as a webhook.
const maxIndexed = 32 << 10

// index says what is searched in d: an event, or, if d describes one, a record. more
// are further texts of it.
func (d *Facts) index(f *facets, more ...string) indexed {
	f.token(facet(facetAll, ""))
	f.value(facetCompany, d.Company)
	f.value(facetRisk, d.Risk)
	f.value(facetState, d.State)
	f.value(facetStatus, d.Status)
	f.value(facetKind, d.Kind)
	f.value(facetAction, d.Action)
	f.value(facetCode, d.Code)
	f.value(facetRecord, d.Record)
	f.value(facetRecord, d.Reference)
	f.value(facetType, d.Type)
	for _, tag := range d.Tags {
		f.value(facetTag, tag)
	}
	words := append([]string{
		d.Title, d.Description, d.Note, d.NoteBy, d.Record, d.Reference, d.Company, d.Name, d.Source, d.Risk, d.Priority, d.State, d.Status, d.Type,
	}, more...)
	var text strings.Builder
	for _, word := range words {
		if word != "" {
			text.WriteString(cut(word, maxIndexed))
			text.WriteByte('\n')
		}
	}
	return indexed{text: text.String(), company: d.Company + "\n" + d.Name, source: d.Source, facets: f.String()}
}

// cut shortens a text to at most n bytes, at a rune's boundary. SQLite ends a text at
// a NUL where it shouldn't, so there is none.
func cut(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return strings.ReplaceAll(s, "\x00", " ")
}
