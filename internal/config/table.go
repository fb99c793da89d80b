package config

import (
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// table reads a mapping whose keys are the user's own into a map. A key is the
// text as it is written, whatever YAML would take it for. Empty, the mapping gives
// an empty map.
func (d *decoder) table(n *yaml.Node, v reflect.Value, p place) {
	d.spots[p.path] = spot{place: p}
	if n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.add(p, "must be keys with values, not "+describe(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := p.entry(key.Value)
		switch problem := tableKeyProblem(key); {
		case problem != "":
			d.add(p.on(key), problem)
		case first[key.Value] > 0:
			d.add(name.on(key), fmt.Sprintf("is given twice; remove this one or the one in line %d", first[key.Value]))
		default:
			first[key.Value] = key.Line
			element := newElement(v.Type().Elem())
			d.value(value, element.Elem(), field{kind: v.Type().Elem()}, name.on(value))
			v.SetMapIndex(reflect.ValueOf(key.Value), element.Elem())
		}
	}
}

func tableKeyProblem(key *yaml.Node) (problem string) {
	switch {
	case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
		return "has a merge key (<<), which is not supported; write the keys out"
	case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
		return "has a key that is not plain text; write text, in quotes where it begins with a special character"
	case strings.TrimSpace(key.Value) == "":
		return "has a key that is empty; write the text that it stands for"
	case strings.ContainsFunc(key.Value, isControl):
		return "has a key with a control character; write it on one line"
	}
	return ""
}

// entry is the place of what stands at a key of a map.
func (p place) entry(key string) place {
	if !tableKey(key) {
		key = shownText(key)
	}
	return place{path: p.path + "[" + key + "]", line: p.line, column: p.column}
}

// tableKey tells whether a path can show a key without quotes.
func tableKey(key string) bool {
	return len(key) <= maxShown && strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
