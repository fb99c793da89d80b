package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxValues bounds the values of a configuration, each counted as often as
// aliases repeat it.
const maxValues = 100_000

// decoder reads a YAML tree into the structs and collects what is wrong. It
// does not use yaml's own decoding, which stops at the first mistake of some
// kinds, knows no columns and quotes values in its errors.
type decoder struct {
	file     string
	options  Options
	mistakes []Mistake
	warnings []Mistake
	// spots has each known key's place and value, for checks that come later.
	spots map[string]spot
	// wrong has the paths that a mistake was reported for, or is expected to
	// mend; around has what those paths are in.
	wrong, around map[string]bool
	// paths has every key there is, for suggestions; it is made when it is needed.
	paths []Key
	// literal is set when a secret stands in the file itself.
	literal bool
	// budget is how many values may still be read.
	budget int
}

// place is where a mistake is: the path of a key and a position in the file.
// For a key that is not there it is the position of what should hold it.
type place struct {
	path         string
	line, column int
}

func (p place) child(key string) place {
	if p.path != "" {
		key = p.path + "." + key
	}
	return place{path: key, line: p.line, column: p.column}
}

func (p place) element(i int) place {
	return place{path: fmt.Sprintf("%s[%d]", p.path, i), line: p.line, column: p.column}
}

// on moves a place to a node.
func (p place) on(n *yaml.Node) place { return at(n, p.path) }

// spot is what is known about a key when a check reports it. Shown is how a
// message calls the value, empty where it must not or can't be shown.
type spot struct {
	place
	shown string
	// written is the text of a value as it stands in the file, expanded or not.
	written string
	// foreign is set when some of the value came from outside the file.
	foreign bool
}

func (d *decoder) add(p place, text string) {
	d.mistakes = append(d.mistakes, Mistake{File: d.file, Line: p.line, Column: p.column, Key: p.path, Text: text})
	d.blame(p.path)
}

// blame keeps further mistakes from being reported on the path, on what holds
// it and on what is in it: they would only follow from the first.
func (d *decoder) blame(path string) {
	d.wrong[path] = true
	for outer := path; outer != ""; {
		outer = outside(outer)
		d.around[outer] = true
	}
}

func (d *decoder) warn(p place, text string) {
	d.warnings = append(d.warnings, Mistake{File: d.file, Line: p.line, Column: p.column, Key: p.path, Text: text})
}

// reported tells whether the path is blamed.
func (d *decoder) reported(path string) bool {
	if d.wrong[path] || d.around[path] {
		return true
	}
	for path != "" {
		path = outside(path)
		if path != "" && d.wrong[path] {
			return true
		}
	}
	return false
}

// outside is the path without its last key or index.
func outside(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// value reads a node into v. A nil node is a key that is not there.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f field, p place) {
	if d.budget--; d.budget < 0 {
		if d.budget == -1 {
			d.add(p, fmt.Sprintf("is one value too many; a configuration holds at most %d, each counted as often as an alias repeats it", maxValues))
		}
		return
	}
	// An alias stands where it is used; what is in it stands where it is written.
	if n != nil && n.Kind == yaml.AliasNode {
		if n = n.Alias; n.Kind != yaml.ScalarNode {
			p = p.on(n)
		}
	}
	if n != nil && n.Style&yaml.TaggedStyle != 0 {
		d.add(p, "has a YAML tag, which is not supported; put text that begins with ! in quotes")
		return
	}
	switch {
	case v.Kind() == reflect.Struct && v.Type() != typePrefix:
		d.structure(n, v, p)
	case v.Kind() == reflect.Slice:
		d.list(n, v, f, p)
	case v.Kind() == reflect.Map:
		d.table(n, v, p)
	case n != nil:
		d.scalar(n, v, f, p)
	default:
		d.spots[p.path] = spot{place: p, shown: shownDefault(v, f)}
	}
	if f.required != "" && v.Kind() == reflect.String && v.IsZero() && !d.reported(p.path) {
		problem := "is missing"
		if n != nil {
			problem = "is empty"
		}
		help := "give " + f.required
		if f.oneof != nil {
			help = "one of " + strings.Join(f.oneof, ", ")
		}
		d.add(p, problem+"; "+help)
	}
}

// structure reads a mapping into a struct. Empty, the mapping gives the defaults.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, p place) {
	d.spots[p.path] = spot{place: p}
	if n != nil && isNull(n) {
		n = nil
	}
	if n != nil && n.Kind != yaml.MappingNode {
		d.add(p, "must be "+d.oneOfKeys(v.Type())+", not "+describe(n))
		n = nil
	}
	if w, ok := v.Addr().Interface().(interface{ SetWritten() }); ok && n != nil {
		w.SetWritten()
	}
	e := d.entries(n, v.Type(), p)
	d.unknown(e, v.Type(), p)
	for _, f := range d.options.fields(v.Type()) {
		if f.kind == typeSecret {
			d.secret(e, v.Field(f.index).Addr().Interface().(*Secret), f, p)
			continue
		}
		x := e.take(f.key)
		d.value(x.value, v.Field(f.index), f, x.place(p.child(f.key)))
	}
	if o, ok := v.Addr().Interface().(*Output); ok {
		d.settings(e, o, p)
	}
	d.check(v, p)
}

// list reads a sequence into a slice, which loses its default.
func (d *decoder) list(n *yaml.Node, v reflect.Value, f field, p place) {
	d.spots[p.path] = spot{place: p}
	if n == nil {
		return
	}
	if isNull(n) {
		d.add(p, noValue)
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.add(p, "must be a list, such as \"- one\" or [one, two], not "+describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i, item := range n.Content {
		element := newElement(v.Type().Elem())
		d.value(item, element.Elem(), f, p.element(i).on(item))
		v.Set(reflect.Append(v, element.Elem()))
	}
}

// check runs what a struct has to say about itself.
func (d *decoder) check(v reflect.Value, p place) {
	s := &scope{decoder: d, at: p}
	switch c := v.Addr().Interface().(type) {
	case interface{ check(s *scope) }:
		c.check(s)
	case interface {
		Validate(report func(key, format string, args ...any))
	}:
		c.Validate(s.report)
	}
}

// scope lets the check of a struct report mistakes by keys of that struct.
type scope struct {
	decoder *decoder
	at      place
}

// find returns the spot of a key of the struct; one that was never met is at
// the struct itself.
func (s *scope) find(key string) spot {
	if key == "" {
		return spot{place: s.at}
	}
	p := s.at.child(key)
	if known, ok := s.decoder.spots[p.path]; ok {
		return known
	}
	return spot{place: p}
}

// report adds a mistake whose text begins with the key's value.
func (s *scope) report(key, format string, args ...any) {
	if !s.wrong(key) {
		k := s.find(key)
		s.decoder.add(k.place, k.sentence(format, args))
	}
}

// wrong tells whether the value of a key is reported as wrong.
func (s *scope) wrong(key string) bool { return s.decoder.reported(s.find(key).path) }

// warn adds a warning whose text begins with the key's value.
func (s *scope) warn(key, format string, args ...any) {
	k := s.find(key)
	s.decoder.warn(k.place, k.sentence(format, args))
}

func (k spot) sentence(format string, args []any) string {
	text := cleanText(fmt.Sprintf(format, args...))
	if k.shown == "" {
		return text
	}
	return k.shown + " " + text
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)

// maxShown limits what a message repeats of a file, in bytes.
const maxShown = 80

// shown is how a message calls the value of a scalar.
func (x expansion) shown(n *yaml.Node, f field) string {
	switch {
	case f.hide:
		return ""
	case x.used:
		return shownText(n.Value) + " (its value is not shown)"
	case len(n.Value) < maxShown && (n.ShortTag() == "!!int" || n.ShortTag() == "!!bool"):
		return n.Value
	}
	return shownText(n.Value)
}

// shownText quotes what stands in the file.
func shownText(text string) string {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

func cleanText(text string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, text)
}
