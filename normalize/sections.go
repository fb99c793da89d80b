package normalize

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// sections reads a whole mapping file.
func (r *mappingReader) sections(root place) {
	m := r.mapping
	sections := map[string]func(place){
		"record_types": func(p place) {
			readSection(r, section[string]{&m.recordTypes, func(p place, _ wordBefore[string]) string {
				return r.oneOf(p, kindThreat, kindTicket)
			}}, p)
		},
		"triggers": func(p place) {
			readSection(r, section[string]{&m.triggers, func(p place, _ wordBefore[string]) string {
				return r.oneOf(p, triggerCreate, triggerUpdate, triggerClosed, triggerReopen)
			}}, p)
		},
		"sources":       func(p place) { readSection(r, section[source]{&m.sources, r.source}, p) },
		"risks":         func(p place) { readSection(r, section[grade]{&m.risks, r.risk}, p) },
		"priorities":    func(p place) { readSection(r, section[grade]{&m.priorities, r.priority}, p) },
		"threat_states": func(p place) { readSection(r, section[status]{&m.threatStates, r.status}, p) },
		"ticket_states": func(p place) { readSection(r, section[status]{&m.ticketStates, r.status}, p) },
		"unknown":       r.unknown,
	}
	given := r.keys(root, sections, false)
	if !r.first || root.node.Kind != yaml.MappingNode {
		return
	}
	for _, section := range sortedKeys(sections) {
		if !slices.Contains(given, section) {
			r.fail(place{node: root.node, path: section}, "is missing; the first mapping file has every section")
		}
	}
}

// unknown reads what unknown words count as.
func (r *mappingReader) unknown(p place) {
	m := r.mapping
	what := ""
	if r.first {
		what = "what unknown words count as"
	}
	given := r.keys(p, map[string]func(place){
		"risk":     func(p place) { m.unknownRisk = r.grade(p, m.unknownRisk, gradeRules{isNew: what, risk: true}) },
		"priority": func(p place) { m.unknownPriority = r.grade(p, m.unknownPriority, gradeRules{isNew: what}) },
	}, true)
	for _, key := range []string{"risk", "priority"} {
		if r.first && !slices.Contains(given, key) {
			r.fail(p.key(key, p.node), "is missing; the first mapping file has risk and priority here")
		}
	}
}

func (r *mappingReader) risk(p place, w wordBefore[grade]) grade {
	if w.known {
		return r.grade(p, w.meaning, gradeRules{risk: true})
	}
	return r.grade(p, grade{word: w.word}, gradeRules{isNew: w.isNew("risk"), risk: true})
}

func (r *mappingReader) priority(p place, w wordBefore[grade]) grade {
	if w.known {
		return r.grade(p, w.meaning, gradeRules{})
	}
	return r.grade(p, grade{word: w.word}, gradeRules{isNew: w.isNew("priority")})
}

// gradeRules say what the keys of a grade must and may be.
type gradeRules struct {
	isNew string // what it is, if it is new: then all scales must be given
	risk  bool   // it has what only risks have
}

// grade reads the scales of a risk or a priority into g.
func (r *mappingReader) grade(p place, g grade, rules gradeRules) grade {
	keys := map[string]func(place){
		"severity": func(p place) { g.severity = r.number(p, 100) },
		"cef":      func(p place) { g.cef = r.number(p, 10) },
		"syslog":   func(p place) { g.syslog = r.number(p, 7) },
	}
	scales := sortedKeys(keys)
	if rules.risk {
		keys["vulnerability"] = func(p place) { g.vulnerability = r.text(p) }
		keys["alert"] = func(p place) { g.quiet = r.oneOf(p, "true", "false") == "false" }
	}
	given := r.keys(p, keys, false)
	if rules.isNew != "" {
		r.needs(p, rules.isNew, slices.DeleteFunc(scales, func(key string) bool { return slices.Contains(given, key) }))
	}
	return g
}

// needs reports the keys that something new lacks.
func (r *mappingReader) needs(p place, what string, missing []string) {
	if len(missing) > 0 && p.node.Kind == yaml.MappingNode {
		r.fail(p, "is %s, which needs %s too", what, strings.Join(missing, ", "))
	}
}

func (r *mappingReader) source(p place, w wordBefore[source]) source {
	s := w.meaning
	listsOK := true
	list := func(p place) (items []string) {
		items, ok := r.list(p)
		listsOK = listsOK && ok
		return items
	}
	given := r.keys(p, map[string]func(place){
		"label":    func(p place) { s.label = r.text(p) },
		"category": func(p place) { s.categories = list(p) },
		"type":     func(p place) { s.types = list(p) },
	}, false)
	if !w.known && !slices.Contains(given, "label") {
		r.needs(p, w.isNew("source"), []string{"label"})
	}
	s.vulnerability = slices.Contains(s.categories, "vulnerability")
	if listsOK {
		r.checkCategories(p, s)
	}
	return s
}

// checkCategories holds a source, after merging, to the pairs of event.category and
// event.type that ECS expects.
func (r *mappingReader) checkCategories(p place, s source) {
	if len(s.categories) == 0 && len(s.types) > 0 {
		r.fail(p, "type needs a category; give both, or none")
	}
	for _, category := range s.categories {
		expected := ecsTypes(category)
		if expected == nil {
			r.fail(p, "category %s is not a value of event.category in ECS %s; %s", shown(category), ECSVersion, r.hint(category, ecsCategories()))
			continue
		}
		if len(s.types) == 0 {
			r.fail(p, "category %s needs a type; one of %s", category, strings.Join(expected, ", "))
		}
		for _, t := range s.types {
			if !slices.Contains(expected, t) {
				r.fail(p, "type %s does not go with category %s in ECS %s; one of %s", shown(t), category, ECSVersion, strings.Join(expected, ", "))
			}
		}
	}
}

func (r *mappingReader) status(p place, w wordBefore[status]) status {
	s := w.meaning
	if !w.known {
		s.word = w.word
	}
	s.status = r.oneOf(p, "open", "closed", statusUnknown)
	return s
}

// text reads text that is not blank. What YAML would take for a number or a truth
// value is text like any other here.
func (r *mappingReader) text(p place) string {
	switch {
	case r.unusual(p):
	case p.node.Kind != yaml.ScalarNode || isNull(p.node):
		r.fail(p, "must be text, not %s", describe(p.node))
	case strings.TrimSpace(p.node.Value) == "":
		r.fail(p, "is blank; give it a text")
	default:
		return p.node.Value
	}
	return ""
}

func (r *mappingReader) number(p place, highest int) int {
	i, err := strconv.Atoi(p.node.Value)
	switch {
	case r.unusual(p):
	case p.node.Kind != yaml.ScalarNode:
		r.fail(p, "must be a whole number from 0 to %d, not %s", highest, describe(p.node))
	case p.node.ShortTag() != "!!int" || err != nil || i < 0 || i > highest:
		r.fail(p, "%s is not a whole number from 0 to %d, without quotes", shown(p.node.Value), highest)
	default:
		return i
	}
	return 0
}

func (r *mappingReader) oneOf(p place, allowed ...string) string {
	switch {
	case r.unusual(p):
	case p.node.Kind != yaml.ScalarNode || isNull(p.node):
		r.fail(p, "must be one of %s, not %s", strings.Join(allowed, ", "), describe(p.node))
	case !slices.Contains(allowed, p.node.Value):
		r.fail(p, "%s is unknown; one of %s", shown(p.node.Value), strings.Join(allowed, ", "))
	default:
		return p.node.Value
	}
	return ""
}

func (r *mappingReader) list(p place) (items []string, ok bool) {
	if r.unusual(p) {
		return nil, false
	}
	if p.node.Kind != yaml.SequenceNode {
		r.fail(p, "must be a list, such as [one, two], not %s", describe(p.node))
		return nil, false
	}
	ok = true
	for i, item := range p.node.Content {
		text := r.text(p.item(strconv.Itoa(i), item))
		items, ok = append(items, text), ok && text != ""
	}
	return items, ok
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
