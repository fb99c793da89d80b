package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/internal/suggest"
)

// entry is one key of a mapping with its value; the zero entry is a key that is
// not there.
type entry struct {
	key, value *yaml.Node
}

// place is where a mistake about the value is: at the value, or where p is if
// the key is not there.
func (e entry) place(p place) place {
	if e.value == nil {
		return p
	}
	return p.on(e.value)
}

// entries are the keys of a mapping that nobody has taken yet, in file order.
type entries struct {
	list []entry
}

func (e *entries) find(key string) int {
	return slices.IndexFunc(e.list, func(x entry) bool { return x.key.Value == key })
}

// take removes a key; it is the zero entry if it is not there.
func (e *entries) take(key string) entry {
	i := e.find(key)
	if i < 0 {
		return entry{}
	}
	found := e.list[i]
	e.list = slices.Delete(e.list, i, i+1)
	return found
}

// entries lists a mapping's keys, the first one where a key is repeated.
func (d *decoder) entries(n *yaml.Node, t reflect.Type, p place) *entries {
	e := &entries{}
	if n == nil {
		return e
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			d.add(p.on(key), "has a merge key (<<), which is not supported; write the keys out")
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
			d.add(p.on(key), "has a key that is not plain text; "+known(d.options.keys(t)))
		case first[key.Value] > 0:
			name := p.child(d.keyName(entry{key, value}, t)).on(key)
			d.add(name, fmt.Sprintf("is given twice; remove this one or the one in line %d", first[key.Value]))
		default:
			first[key.Value] = key.Line
			e.list = append(e.list, entry{key, value})
		}
	}
	return e
}

// unknown takes the keys that a struct of type t doesn't have, and reports them.
func (d *decoder) unknown(e *entries, t reflect.Type, p place) {
	names := d.options.keys(t)
	all := slices.Clone(e.list)
	e.list = slices.DeleteFunc(e.list, func(x entry) bool { return !slices.Contains(names, x.key.Value) })
	for _, x := range all {
		key := x.key.Value
		if slices.Contains(names, key) || (t == typeOutput && isTypeOf(all, key)) {
			continue
		}
		help := known(names)
		if near := suggest.Nearest(key, names); near != "" {
			help = fmt.Sprintf("did you mean %q?", near)
			if e.find(near) < 0 {
				d.blame(p.child(near).path) // what is misspelled is not missing
			}
		} else if path := d.elsewhere(key, p.path); path != "" {
			help = "it belongs at " + path
		}
		d.add(p.child(d.keyName(x, t)).on(x.key), "unknown key; "+help)
	}
}

// isTypeOf tells whether key is the type that an output says it has. If that
// type doesn't exist, its settings are not reported beside it.
func isTypeOf(output []entry, key string) bool {
	return slices.ContainsFunc(output, func(x entry) bool {
		return x.key.Value == "type" && x.value.Kind == yaml.ScalarNode && x.value.Value == key
	})
}

// keyName is how a message calls a key. Where secrets stand, what is not shaped
// like a key, or has no value, may be a misplaced secret and is not shown.
func (d *decoder) keyName(x entry, t reflect.Type) string {
	name := x.key.Value
	switch {
	case slices.Contains(d.options.keys(t), name):
		return name
	case d.options.holdsSecret(t) && (strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" || isNull(x.value)):
		return hidden
	case plainKey.MatchString(name):
		return name
	}
	return shownText(name)
}

func known(names []string) string {
	return "known here are " + strings.Join(names, ", ")
}

// oneOfKeys says what a mapping must look like.
func (d *decoder) oneOfKeys(t reflect.Type) string {
	names := d.options.keys(t)
	if len(names) == 0 {
		return "keys with values"
	}
	return "keys with values (" + strings.Join(names, ", ") + ")"
}
