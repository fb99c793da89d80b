package kibana_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The part of KQL that the saved objects, the rules and the guide use, made into the
// queries that Kibana makes of it. Kibana's own parser is in the browser, so this is
// the one check of the syntax there is here: it takes less than Kibana, never more.

// condition is a node of a query.
type condition struct {
	op       string // "and", "or", "not", or "" for a comparison
	of       []condition
	field    string // "" for any
	compare  string // ":", ">", ">=", "<", "<="
	value    string
	quoted   bool
	wildcard bool
}

var kqlToken = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|<=|>=|[():<>]|[^\s():<>"{}\\]+)`)

func parseKQL(text string) (c condition, err error) {
	p := &kqlParser{}
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := kqlToken.FindStringSubmatch(rest)
		if m == nil {
			return c, fmt.Errorf("%q is no KQL at %q", text, rest)
		}
		p.tokens = append(p.tokens, m[1])
		rest = rest[len(m[0]):]
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%q is no KQL: %v", text, r)
		}
	}()
	c = p.or("")
	if len(p.tokens) > 0 {
		panic("text after its end: " + p.tokens[0])
	}
	return c, nil
}

type kqlParser struct{ tokens []string }

func (p *kqlParser) next() string {
	if len(p.tokens) == 0 {
		panic("it ends too early")
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *kqlParser) take(word string) bool {
	if len(p.tokens) > 0 && strings.EqualFold(p.tokens[0], word) {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

// or reads a whole query, or the inside of a list of values for a field.
func (p *kqlParser) or(field string) condition {
	return p.joined("or", func() condition {
		return p.joined("and", func() condition { return p.not(field) })
	})
}

func (p *kqlParser) joined(op string, read func() condition) condition {
	all := []condition{read()}
	for p.take(op) {
		all = append(all, read())
	}
	if len(all) == 1 {
		return all[0]
	}
	return condition{op: op, of: all}
}

func (p *kqlParser) not(field string) condition {
	if p.take("not") {
		return condition{op: "not", of: []condition{p.not(field)}}
	}
	if p.take("(") {
		c := p.or(field)
		p.close()
		return c
	}
	if field != "" {
		return p.value(field, ":")
	}
	if len(p.tokens) > 1 && slices.Contains([]string{":", "<", ">", "<=", ">="}, p.tokens[1]) {
		name, op := p.next(), p.next()
		if op == ":" && p.take("(") {
			c := p.or(name)
			p.close()
			return c
		}
		return p.value(name, op)
	}
	return p.value("", ":")
}

func (p *kqlParser) close() {
	if t := p.next(); t != ")" {
		panic("want ) and not " + t)
	}
}

func (p *kqlParser) value(field, op string) condition {
	t := p.next()
	c := condition{field: field, compare: op, value: t}
	switch {
	case strings.HasPrefix(t, `"`):
		c.value, c.quoted = strings.ReplaceAll(strings.ReplaceAll(t[1:len(t)-1], `\"`, `"`), `\\`, `\`), true
	case slices.Contains([]string{"(", ")", ":", "<", ">", "<=", ">="}, t), strings.EqualFold(t, "and"), strings.EqualFold(t, "or"), strings.EqualFold(t, "not"):
		panic("a value is missing before " + t)
	default:
		c.wildcard = strings.Contains(t, "*")
	}
	return c
}

// fields adds the fields of a query, with how each is compared.
func (c condition) fields(add func(field string, c condition)) {
	if c.op == "" && c.field != "" {
		add(c.field, c)
	}
	for _, inner := range c.of {
		inner.fields(add)
	}
}

// search is the query for a cluster, as @kbn/es-query makes it.
func (c condition) search() body {
	var all []any
	for _, inner := range c.of {
		all = append(all, inner.search())
	}
	switch {
	case c.op == "and":
		return body{"bool": body{"filter": all}}
	case c.op == "or":
		return body{"bool": body{"should": all, "minimum_should_match": 1}}
	case c.op == "not":
		return body{"bool": body{"must_not": all}}
	case c.field == "":
		kind := "best_fields"
		if c.quoted {
			kind = "phrase"
		}
		return body{"multi_match": body{"type": kind, "query": c.value, "lenient": true}}
	case c.compare != ":":
		op := map[string]string{">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}[c.compare]
		return body{"range": body{c.field: body{op: c.value}}}
	case c.wildcard && c.value == "*":
		return body{"exists": body{"field": c.field}}
	case c.wildcard:
		return body{"query_string": body{"fields": []string{c.field}, "query": c.value}}
	case c.quoted:
		return body{"match_phrase": body{c.field: c.value}}
	}
	return body{"match": body{c.field: c.value}}
}

func TestKQLParser(t *testing.T) {
	for _, bad := range []string{
		"a :", "(a : b", "a : b)", "a : (b or )", "and", "a : b or", "not", `a : "b`, "a : {b}", "a : b c : d", `a : b\`,
	} {
		if c, err := parseKQL(bad); err == nil {
			t.Errorf("%q is taken: %+v", bad, c)
		}
	}
	c, err := parseKQL(`a : ("x y" or z*) and not b >= 5 or "free"`)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"bool":{"minimum_should_match":1,"should":[{"bool":{"filter":[{"bool":{"minimum_should_match":1,"should":[` +
		`{"match_phrase":{"a":"x y"}},{"query_string":{"fields":["a"],"query":"z*"}}]}},` +
		`{"bool":{"must_not":[{"range":{"b":{"gte":"5"}}}]}}]}},{"multi_match":{"lenient":true,"query":"free","type":"phrase"}}]}}`
	if got := string(encode(t, c.search())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
