package normalize

import (
	"maps"
	"slices"
	"strings"
)

// source is what is known of a part of Defense.com that identifies threats.
type source struct {
	label         string   // for people
	categories    []string // event.category
	types         []string // event.type
	vulnerability bool     // event.category has vulnerability
}

// grade is what a risk or a priority means in each scale.
type grade struct {
	word          string // canonical
	severity      int    // event.severity and event.risk_score, 0 to 100
	cef           int    // 0 to 10
	syslog        int    // 0 to 7, RFC 5424 section 6.2.1
	vulnerability string // vulnerability.severity
	quiet         bool   // never an alert
}

// status says whether a state is open or closed.
type status struct {
	word   string // canonical
	status string
}

// outcome is what a trigger is called for one kind of record.
type outcome struct {
	action string // event.action
	code   string // event.code and CEF's class id
}

// words maps the vendor's words to what they mean. The zero value has no words.
type words[T any] struct {
	meanings map[string]T      // by the spelling of the mapping file, and in lower case
	spelling map[string]string // lower case -> as it stands in the first file that has it
}

// find looks a word up, trimmed and without case.
func (w *words[T]) find(text string) (meaning T, known bool) {
	text = strings.TrimSpace(text)
	if meaning, known = w.meanings[text]; known { // the vendor's own spelling
		return meaning, true
	}
	meaning, known = w.meanings[strings.ToLower(text)]
	return meaning, known
}

// set gives a word its meaning. One that is there already keeps its spelling.
func (w *words[T]) set(word string, meaning T) {
	if w.meanings == nil {
		w.meanings, w.spelling = map[string]T{}, map[string]string{}
	}
	lower := strings.ToLower(word)
	if w.spelling[lower] == "" {
		w.spelling[lower] = word
	}
	w.meanings[lower] = meaning
	w.meanings[w.spelling[lower]] = meaning
}

// all lists the words as they are spelled, sorted.
func (w *words[T]) all() []string {
	return slices.Sorted(maps.Values(w.spelling))
}
