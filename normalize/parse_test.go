package normalize_test

import (
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

// whole is a mapping file that is right and short; a mistake replaces a part of it.
const whole = `record_types: {Threat: threat}
triggers: {create: create}
sources:
  User: {label: Custom threat}
risks:
  high: {severity: 73, cef: 8, syslog: 3}
priorities:
  Urgent: {severity: 73, cef: 7, syslog: 4}
unknown:
  risk: {severity: 47, cef: 5, syslog: 4}
  priority: {severity: 47, cef: 4, syslog: 5}
threat_states: {detected: open}
ticket_states: {new: open}
`

// mistakes are mapping files and what is said about each, line by line.
var mistakes = []struct {
	name, yaml string
	want       []string
}{
	{"empty", "", []string{`m.yaml:1: the mapping is empty`}},
	{"no mapping", "- a\n", []string{`m.yaml:1: the mapping must be a mapping of keys to values`}},
	{"not YAML", "a: b\n c: d\n", []string{`m.yaml:2: mapping values are not allowed in this context`}},
	{"two documents", whole + "---\na: b\n", []string{`m.yaml:14: there must be one document, not several`}},
	{"unknown section", whole + "severities: {}\n", []string{`m.yaml:14: the mapping has no key "severities", the keys are priorities, record_types, risks, sources, threat_states, ticket_states, triggers, unknown`}},
	{"section twice", whole + "ticket_states: {}\n", []string{`m.yaml:14: key "ticket_states" is there already, on line 13`}},
	{"section missing", strings.Replace(whole, "ticket_states: {new: open}\n", "", 1), []string{`m.yaml:1: the mapping must have the key "ticket_states"`}},
	{"unknown kind", replace("Threat: threat", "Threat: incident"), []string{`m.yaml:1: kind is "incident", it must be one of threat, ticket`}},
	{"unknown trigger", replace("create: create", "create: note"), []string{`m.yaml:2: trigger is "note", it must be one of create, update, closed, reopen`}},
	{"word twice", replace("  User: {label: Custom threat}", "  User: {label: a}\n  \" USER \": {label: b}"), []string{`m.yaml:5: source " USER " is there already, on line 4 (words are compared without case)`}},
	{"blank word", replace("  User:", "  ' ':"), []string{`m.yaml:4: source must be a text that is not blank`}},
	{"no label", replace("{label: Custom threat}", "{}"), []string{`m.yaml:4: a source must have the key "label"`}},
	{"null label", replace("label: Custom threat", "label: "), []string{`m.yaml:4: label must be a text that is not blank`}},
	{"category no list", replace("label: Custom threat", "label: a, category: web, type: [info]"), []string{`m.yaml:4: category must be a list`, `m.yaml:4: type needs a category`}},
	{"category not in ECS", replace("label: Custom threat", "label: a, category: [cloud], type: [info]"), []string{`m.yaml:4: category "cloud" is not a value of event.category in ECS 9.4.0`}},
	{"category without type", replace("label: Custom threat", "label: a, category: [email]"), []string{`m.yaml:4: category "email" needs a type, one of info`}},
	{"type without category", replace("label: Custom threat", "label: a, type: [info]"), []string{`m.yaml:4: type needs a category`}},
	{"type of another category", replace("label: Custom threat", "label: a, category: [threat], type: [info]"), []string{`m.yaml:4: type "info" does not go with category "threat" in ECS 9.4.0, it must be one of indicator`}},
	{"severity too high", replace("high: {severity: 73", "high: {severity: 101"), []string{`m.yaml:6: severity is "101", it must be a number from 0 to 100`}},
	{"severity no number", replace("high: {severity: 73", "high: {severity: '73'"), []string{`m.yaml:6: severity is "73", it must be a number from 0 to 100`}},
	{"severity missing", replace("high: {severity: 73, ", "high: {"), []string{`m.yaml:6: a severity must have the key "severity"`}},
	{"cef and syslog out of range", replace("cef: 8, syslog: 3", "cef: 11, syslog: -1"), []string{`m.yaml:6: cef is "11", it must be a number from 0 to 10`, `m.yaml:6: syslog is "-1", it must be a number from 0 to 7`}},
	{"unknown severity key", replace("syslog: 3", "syslog: 3, colour: red"), []string{`m.yaml:6: a severity has no key "colour", the keys are alert, cef, severity, syslog, vulnerability`}},
	{"alert no truth value", replace("syslog: 3", "syslog: 3, alert: maybe"), []string{`m.yaml:6: alert is "maybe", it must be one of true, false`}},
	{"unknown without priority", replace("  priority: {severity: 47, cef: 4, syslog: 5}\n", ""), []string{`m.yaml:10: unknown must have risk and priority`}},
	{"unknown status", replace("detected: open", "detected: opened"), []string{`m.yaml:12: status is "opened", it must be one of open, closed, unknown`}},
	{"merge key", replace("{detected: open}", "{<<: {a: open}}"), []string{`m.yaml:12: threat state must be a text that is not blank`, `m.yaml:12: status is "", it must be one of open, closed, unknown`}},
	{"every mistake at once", replace("Threat: threat", "Threat: x") + "more: 1\n", []string{`m.yaml:1: kind is "x", it must be one of threat, ticket`, `m.yaml:14: the mapping has no key "more", the keys are priorities, record_types, risks, sources, threat_states, ticket_states, triggers, unknown`}},
}

func replace(old, with string) string {
	if !strings.Contains(whole, old) {
		panic("nothing to replace: " + old)
	}
	return strings.Replace(whole, old, with, 1)
}

func TestParseMappingMistakes(t *testing.T) {
	if _, err := normalize.ParseMapping("m.yaml", []byte(whole), normalize.MappingOptions{}); err != nil {
		t.Fatalf("the file without a mistake: %v", err)
	}
	for _, c := range mistakes {
		t.Run(c.name, func(t *testing.T) {
			_, err := normalize.ParseMapping("m.yaml", []byte(c.yaml), normalize.MappingOptions{})
			if err == nil {
				t.Fatal("taken")
			}
			if want := strings.Join(c.want, "\n"); err.Error() != want {
				t.Errorf("got:\n%v\nwant:\n%s", err, want)
			}
		})
	}
}

func TestLinkHosts(t *testing.T) {
	for _, host := range []string{"", "https://my.defense.com", "my.defense.com:443", "a b", "*"} {
		_, err := normalize.ParseMapping(mappings.File, mappings.Defensecom(), normalize.MappingOptions{LinkHosts: []string{host}})
		if err == nil || !strings.Contains(err.Error(), "link host") {
			t.Errorf("host %q: %v", host, err)
		}
	}
	m, err := normalize.ParseMapping(mappings.File, mappings.Defensecom(), normalize.MappingOptions{LinkHosts: []string{"EU.defense.com"}})
	if err != nil {
		t.Fatal(err)
	}
	for link, safe := range map[string]bool{"https://eu.defense.com/x": true, "https://my.defense.com/x": false} {
		var e normalize.Event
		m.Event(&e, rawOf([]byte(`{"record_type":"Threat","url":"`+link+`"}`)))
		leaves := checkECS(t, encoder(t, "ecs", normalize.EncoderOptions{})(nil, &e))
		if (leaves["event.url"] == link) != safe {
			t.Errorf("event.url of %s is %v", link, leaves["event.url"])
		}
	}
}

// TestCategoriesAreECS asks for every pair of category and type: the mapping file
// takes those that ECS expects, and no others.
func TestCategoriesAreECS(t *testing.T) {
	table := loadECSTable()
	for _, category := range append(table.Fields["event.category"].Allowed, "cloud") {
		for _, kind := range append(table.Fields["event.type"].Allowed, "news") {
			expected := strings.Contains(" "+strings.Join(table.CategoryTypes[category], " ")+" ", " "+kind+" ")
			file := replace("label: Custom threat", "label: a, category: ["+category+"], type: ["+kind+"]")
			if _, err := normalize.ParseMapping("m.yaml", []byte(file), normalize.MappingOptions{}); (err == nil) != expected {
				t.Errorf("category %s with type %s: %v", category, kind, err)
			}
		}
	}
}

// TestNewWordIsOneLine adds one line for a source type and one for a risk, and
// nothing else.
func TestNewWordIsOneLine(t *testing.T) {
	file := string(mappings.Defensecom())
	file = strings.Replace(file, "sources:\n", "sources:\n  CloudScanner::Bucket: {label: Cloud scanner, category: [vulnerability], type: [info]}\n", 1)
	file = strings.Replace(file, "risks:\n", "risks:\n  severe: {severity: 80, cef: 9, syslog: 3, vulnerability: High}\n", 1)
	m, err := normalize.ParseMapping(mappings.File, []byte(file), normalize.MappingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var e normalize.Event
	m.Event(&e, rawOf([]byte(`{"record_type":"Threat","type":"CloudScanner::Bucket","risk":"Severe"}`)))
	leaves := checkECS(t, encoder(t, "ecs", normalize.EncoderOptions{})(nil, &e))
	if e.Source != "Cloud scanner" || e.Severity != 80 || e.SyslogSeverity != 3 ||
		leaves["log.level"] != "severe" || leaves["vulnerability.severity"] != "High" {
		t.Errorf("source %q, severity %d, syslog %d, %v", e.Source, e.Severity, e.SyslogSeverity, leaves)
	}
}
