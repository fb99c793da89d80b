package normalize

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// ParseMapping reads a mapping file in YAML; mappings/defensecom.yaml is the
// built-in one and explains the format. The error joins every mistake, each with
// name and line, the value that is wrong and what is allowed.
func ParseMapping(name string, data []byte, o MappingOptions) (*Mapping, error) {
	r := &mappingReader{name: name}
	m := &Mapping{
		recordTypes: words[string]{}, triggers: words[string]{}, sources: words[source]{},
		risks: words[grade]{}, priorities: words[grade]{},
		states:   map[string]words[status]{kindThreat: {}, kindTicket: {}},
		outcomes: outcomes(),
	}
	for _, host := range o.LinkHosts {
		if !validHost(host) {
			r.errs = append(r.errs, fmt.Errorf("link host %q must be a host name of letters, digits, dots and dashes", host))
		}
		m.linkHosts = append(m.linkHosts, host)
	}
	if root := r.document(data); root != nil {
		r.sections(root, m)
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return m, nil
}

// outcomes names every action and class id, so that no event has to compose them.
func outcomes() map[string]map[string]outcome {
	past := map[string]string{
		triggerCreate: "created", triggerUpdate: "updated", triggerNote: "noted",
		triggerClosed: "closed", triggerReopen: "reopened", triggerOther: "other",
	}
	all := map[string]map[string]outcome{}
	for _, kind := range []string{kindThreat, kindTicket} {
		all[kind] = map[string]outcome{}
		for trigger, verb := range past {
			all[kind][trigger] = outcome{action: kind + "-" + verb, code: kind + "." + trigger}
		}
	}
	return all
}

func validHost(host string) bool {
	return host != "" && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

// mappingReader reads a mapping file and collects its mistakes.
type mappingReader struct {
	name string
	errs []error
}

func (r *mappingReader) fail(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.name, n.Line, fmt.Sprintf(format, args...)))
}

// document returns the top-level mapping of the one document in data.
func (r *mappingReader) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) {
		r.errs = append(r.errs, fmt.Errorf("%s:1: the mapping is empty", r.name))
		return nil
	}
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			r.fail(&more, "there must be one document, not several")
			return nil
		}
		if errors.Is(err, io.EOF) {
			return doc.Content[0]
		}
	}
	// yaml.v3 says "yaml: line 3: what is wrong".
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if after, found := strings.CutPrefix(text, "line "); found {
		r.errs = append(r.errs, fmt.Errorf("%s:%s", r.name, after))
	} else {
		r.errs = append(r.errs, fmt.Errorf("%s:1: %s", r.name, text))
	}
	return nil
}

// sections reads the whole file into m.
func (r *mappingReader) sections(root *yaml.Node, m *Mapping) {
	var unknown struct{ risk, priority *yaml.Node }
	r.keys(root, "the mapping", map[string]func(*yaml.Node){
		"record_types": func(n *yaml.Node) {
			readWords(r, n, "record type", m.recordTypes, func(_ string, v *yaml.Node) string {
				return r.oneOf(v, "kind", kindThreat, kindTicket)
			})
		},
		"triggers": func(n *yaml.Node) {
			readWords(r, n, "trigger", m.triggers, func(_ string, v *yaml.Node) string {
				return r.oneOf(v, "trigger", triggerCreate, triggerUpdate, triggerClosed, triggerReopen)
			})
		},
		"sources":       func(n *yaml.Node) { readWords(r, n, "source", m.sources, r.source) },
		"risks":         func(n *yaml.Node) { readWords(r, n, "risk", m.risks, r.grade) },
		"priorities":    func(n *yaml.Node) { readWords(r, n, "priority", m.priorities, r.grade) },
		"threat_states": func(n *yaml.Node) { readWords(r, n, "threat state", m.states[kindThreat], r.status) },
		"ticket_states": func(n *yaml.Node) { readWords(r, n, "ticket state", m.states[kindTicket], r.status) },
		"unknown": func(n *yaml.Node) {
			r.keys(n, "unknown", map[string]func(*yaml.Node){
				"risk":     func(v *yaml.Node) { unknown.risk, m.unknownRisk = v, r.grade("", v) },
				"priority": func(v *yaml.Node) { unknown.priority, m.unknownPriority = v, r.grade("", v) },
			})
			if unknown.risk == nil || unknown.priority == nil {
				r.fail(n, "unknown must have risk and priority")
			}
		},
	}, "record_types", "triggers", "sources", "risks", "priorities", "threat_states", "ticket_states", "unknown")
}

func (r *mappingReader) source(word string, n *yaml.Node) source {
	s := source{label: word}
	r.keys(n, "a source", map[string]func(*yaml.Node){
		"label":    func(v *yaml.Node) { s.label = r.text(v, "label") },
		"category": func(v *yaml.Node) { s.categories = r.list(v, "category") },
		"type":     func(v *yaml.Node) { s.types = r.list(v, "type") },
	}, "label")
	for _, category := range s.categories {
		expected := ecsTypes(category)
		if expected == nil {
			r.fail(n, "category %q is not a value of event.category in ECS %s", category, ecsVersion)
			continue
		}
		if len(s.types) == 0 {
			r.fail(n, "category %q needs a type, one of %s", category, strings.Join(expected, ", "))
		}
		for _, t := range s.types {
			if !slices.Contains(expected, t) {
				r.fail(n, "type %q does not go with category %q in ECS %s, it must be one of %s",
					t, category, ecsVersion, strings.Join(expected, ", "))
			}
		}
	}
	if len(s.categories) == 0 && len(s.types) > 0 {
		r.fail(n, "type needs a category")
	}
	s.vulnerability = slices.Contains(s.categories, "vulnerability")
	return s
}

func (r *mappingReader) grade(word string, n *yaml.Node) grade {
	g := grade{word: word}
	r.keys(n, "a severity", map[string]func(*yaml.Node){
		"severity":      func(v *yaml.Node) { g.severity = r.number(v, "severity", 100) },
		"cef":           func(v *yaml.Node) { g.cef = r.number(v, "cef", 10) },
		"syslog":        func(v *yaml.Node) { g.syslog = r.number(v, "syslog", 7) },
		"vulnerability": func(v *yaml.Node) { g.vulnerability = r.text(v, "vulnerability") },
		"alert":         func(v *yaml.Node) { g.quiet = r.oneOf(v, "alert", "true", "false") == "false" },
	}, "severity", "cef", "syslog")
	return g
}

func (r *mappingReader) status(word string, n *yaml.Node) status {
	return status{word: word, status: r.oneOf(n, "status", "open", "closed", statusUnknown)}
}

// readWords reads a section of words, one a line, into w.
func readWords[T any](r *mappingReader, n *yaml.Node, what string, w words[T], read func(word string, v *yaml.Node) T) {
	if !r.isMapping(n, what+"s") {
		return
	}
	lines := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		word := r.text(key, what)
		folded := strings.ToLower(strings.TrimSpace(word))
		if line, twice := lines[folded]; twice {
			r.fail(key, "%s %q is there already, on line %d (words are compared without case)", what, word, line)
		}
		lines[folded] = key.Line
		w.add(strings.TrimSpace(word), read(word, n.Content[i+1]))
	}
}

// keys reads a YAML mapping whose keys are known by name.
func (r *mappingReader) keys(n *yaml.Node, what string, read map[string]func(*yaml.Node), required ...string) {
	if !r.isMapping(n, what) {
		return
	}
	lines := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f, known := read[key.Value]
		line, twice := lines[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !known:
			r.fail(key, "%s has no key %q, the keys are %s", what, key.Value, strings.Join(sortedKeys(read), ", "))
		case twice:
			r.fail(key, "key %q is there already, on line %d", key.Value, line)
		default:
			lines[key.Value] = key.Line
			f(value)
		}
	}
	for _, key := range required {
		if lines[key] == 0 {
			r.fail(n, "%s must have the key %q", what, key)
		}
	}
}

func (r *mappingReader) isMapping(n *yaml.Node, what string) bool {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must be a mapping of keys to values", what)
		return false
	}
	return true
}

// text reads a scalar that is not blank. What YAML would take for a number or a
// truth value is a word like any other here.
func (r *mappingReader) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Tag == "!!merge" || strings.TrimSpace(n.Value) == "" {
		r.fail(n, "%s must be a text that is not blank", what)
		return ""
	}
	return n.Value
}

func (r *mappingReader) number(n *yaml.Node, what string, highest int) int {
	i, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || i < 0 || i > highest {
		r.fail(n, "%s is %q, it must be a number from 0 to %d", what, n.Value, highest)
		return 0
	}
	return i
}

func (r *mappingReader) oneOf(n *yaml.Node, what string, allowed ...string) string {
	if n.Kind != yaml.ScalarNode || !slices.Contains(allowed, n.Value) {
		r.fail(n, "%s is %q, it must be one of %s", what, n.Value, strings.Join(allowed, ", "))
		return ""
	}
	return n.Value
}

func (r *mappingReader) list(n *yaml.Node, what string) []string {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s must be a list", what)
		return nil
	}
	var out []string
	for _, item := range n.Content {
		out = append(out, r.text(item, what))
	}
	return out
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
