package local

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/siemrelay/siemrelay/internal/suggest"
	"github.com/siemrelay/siemrelay/internal/when"
)

// Query is a search: everything in it must match. The zero Query matches everything.
type Query struct {
	terms []term
	// Since and Until are a time [Since, Until) of acceptance, zero where there is no
	// limit.
	Since, Until time.Time
}

// term is one condition: one of its atoms must match, or with not none.
type term struct {
	not   bool
	atoms []string // expressions of FTS5
}

// QueryError says what is wrong with a query, and what is allowed.
type QueryError struct{ text string }

func (e *QueryError) Error() string { return e.text }

func wrong(format string, args ...any) error { return &QueryError{fmt.Sprintf(format, args...)} }

// Limits of a query: one that is longer is a mistake, not a question.
const (
	maxQuery = 4 << 10 // bytes
	maxTerms = 64      // a value of a filter counts as one
	// maxBegins is of words with a *: each reads the index of every word that begins so,
	// which with a million events takes half a second where the word is one letter.
	maxBegins = 4
)

// filter is a NAME:VALUE of the query language.
type filter struct {
	name string
	// one of the values, if there are any
	values []string
	// term makes the atoms of a value.
	term func(v value) []string
}

// value is what follows a colon or stands alone.
type value struct {
	text   string
	quoted bool
}

// filters are the filters of the query language but for since and until.
func filters() []filter {
	exact := func(about byte) func(value) []string {
		return func(v value) []string { return []string{inFacets(facet(about, v.text))} }
	}
	phrase := func(column string) func(value) []string {
		return func(v value) []string { return inColumn(column, v) }
	}
	return []filter{
		{name: "risk", values: append(risks(), riskUnknown), term: exact(facetRisk)},
		{name: "state", term: exact(facetState)},
		{name: "status", values: []string{statusOpen, statusClosed, statusUnknown}, term: exact(facetStatus)},
		{name: "kind", values: []string{kindThreat, kindTicket, kindOther}, term: exact(facetKind)},
		{name: "company", term: func(v value) []string { return append(exact(facetCompany)(v), inColumn("company", v)...) }},
		{name: "source", term: phrase("source")},
		{name: "type", term: exact(facetType)},
		{name: "action", term: exact(facetAction)},
		{name: "code", term: exact(facetCode)},
		{name: "id", term: idTerm},
		{name: "tag", term: exact(facetTag)},
	}
}

// idTerm matches the id or reference of a threat or ticket, or an event.id, whose
// beginning will do if it is at least 4 digits.
func idTerm(v value) []string {
	atoms := []string{inFacets(facet(facetRecord, v.text))}
	text := strings.TrimSuffix(v.text, "*")
	switch token, hex := eventFacet(text); {
	case hex && len(text) >= 4:
		atoms = append(atoms, inFacets(token)+" *")
	default:
		atoms = append(atoms, inFacets(token))
	}
	return atoms
}

// filterNames are the names of all filters.
func filterNames() []string {
	var names []string
	for _, f := range filters() {
		names = append(names, f.name)
	}
	return append(names, "since", "until")
}

// ParseQuery reads a query: words, all of which must be there, "phrases", words with *
// at the end for those that begin so, filters such as risk:critical or
// company:"Acme Ltd" with several values as risk:high,critical, and each of these
// with - before it for what must not be there. Case is no difference. The error is a
// *QueryError. It never depends on what is stored.
func ParseQuery(text string, now time.Time) (Query, error) {
	var q Query
	if len(text) > maxQuery {
		return q, wrong("the query is %d bytes long; at most %d", len(text), maxQuery)
	}
	empty := "" // a word that has nothing to look for
	parts, begins := 0, 0
	for rest := skipSpace(text); rest != ""; rest = skipSpace(rest) {
		var l lexeme
		var err error
		if l, rest, err = scan(rest); err != nil {
			return q, err
		}
		t := term{not: l.not}
		switch {
		case l.name != "":
			if t.atoms, err = q.filter(l, now); err != nil {
				return q, err
			}
		case !searchable(l.values[0].text):
			empty = l.values[0].text
		default:
			t.atoms = inColumn("text", l.values[0])
		}
		if len(t.atoms) > 0 {
			q.terms = append(q.terms, t)
			parts += len(l.values)
		}
		for _, v := range l.values {
			if !v.quoted && strings.HasSuffix(v.text, "*") {
				begins++
			}
		}
	}
	if parts > maxTerms {
		return q, wrong("the query has %d parts; at most %d", parts, maxTerms)
	}
	if begins > maxBegins {
		return q, wrong("the query has %d words with *; at most %d", begins, maxBegins)
	}
	if empty != "" && len(q.terms) == 0 && q.Since.IsZero() && q.Until.IsZero() {
		return q, wrong("%q has neither a letter nor a digit, which is what is searched for", empty)
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return q, wrong("since %s is not before until %s", q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	return q, nil
}

// filter makes the atoms of a filter, or sets since or until.
func (q *Query) filter(l lexeme, now time.Time) ([]string, error) {
	if l.name == "since" || l.name == "until" {
		return nil, q.limit(l, now)
	}
	all := filters()
	i := slices.IndexFunc(all, func(f filter) bool { return f.name == l.name })
	if i < 0 {
		return nil, unknownFilter(l)
	}
	f := all[i]
	var atoms []string
	for _, v := range l.values {
		if strings.TrimSpace(v.text) == "" {
			return nil, wrong("%s: has no value; write %s:%s", f.name, f.name, example(f))
		}
		if low := strings.ToLower(strings.TrimSpace(v.text)); f.values != nil && !slices.Contains(f.values, low) {
			hint := ""
			if near := suggest.Nearest(low, f.values); near != "" {
				hint = fmt.Sprintf(" did you mean %s:%s?", f.name, near)
			}
			return nil, wrong("%s:%s is unknown;%s it is one of %s", f.name, cut(v.text, 60), hint, strings.Join(f.values, ", "))
		}
		atoms = append(atoms, f.term(v)...)
	}
	return atoms, nil
}

// unknownFilter says which filters there are.
func unknownFilter(l lexeme) error {
	hint := ""
	if near := suggest.Nearest(l.name, filterNames()); near != "" {
		hint = fmt.Sprintf(" did you mean %s:?", near)
	}
	return wrong("there is no filter %s:;%s there are %s; to search for the text put it in quotes: \"%s:…\"",
		cut(l.name, 60), hint, strings.Join(filterNames(), ", "), cut(l.name, 60))
}

func example(f filter) string {
	if len(f.values) > 0 {
		return f.values[0]
	}
	return "VALUE"
}

// limit sets since or until.
func (q *Query) limit(l lexeme, now time.Time) error {
	at := &q.Since
	if l.name == "until" {
		at = &q.Until
	}
	switch {
	case l.not:
		return wrong("-%s: can't be left out; write since: or until: without the minus", l.name)
	case !at.IsZero():
		return wrong("%s: is given twice", l.name)
	case len(l.values) != 1:
		return wrong("%s: takes one time", l.name)
	}
	t, err := when.Parse(l.values[0].text, now)
	if err != nil {
		return wrong("%s: %v", l.name, err)
	}
	*at = t
	return nil
}

// searchable tells whether a text has anything that the index knows as a word.
func searchable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Co, r) })
}

// quote makes a string of FTS5 of a text.
func quote(text string) string {
	return `"` + strings.ReplaceAll(cut(strings.ToValidUTF8(text, " "), maxQuery), `"`, `""`) + `"`
}

func inFacets(token string) string { return "facets:" + quote(token) }

// inColumn matches a word or phrase; one that ends with * and is not in quotes, what
// begins so.
func inColumn(column string, v value) []string {
	text, begins := v.text, false
	if !v.quoted {
		text, begins = strings.CutSuffix(v.text, "*")
	}
	atom := column + ":" + quote(text)
	if begins && searchable(text) {
		last, _ := lastRune(text)
		if searchable(last) { // else the * would belong to the word before
			atom += " *"
		}
	}
	return []string{atom}
}

func lastRune(s string) (string, bool) {
	r := []rune(s)
	if len(r) == 0 {
		return "", false
	}
	return string(r[len(r)-1]), true
}

// match is the whole query for FTS5; "" if everything matches.
func (q Query) match(more ...string) string {
	var all, none []string
	for _, t := range q.terms {
		atom := "(" + strings.Join(t.atoms, " OR ") + ")"
		if t.not {
			none = append(none, atom)
		} else {
			all = append(all, atom)
		}
	}
	all = append(all, more...)
	if len(all) == 0 && len(none) == 0 {
		return ""
	}
	if len(all) == 0 {
		all = []string{inFacets(facet(facetAll, ""))}
	}
	match := "(" + strings.Join(all, " AND ") + ")"
	for _, atom := range none {
		match = "(" + match + " NOT " + atom + ")"
	}
	return match
}
