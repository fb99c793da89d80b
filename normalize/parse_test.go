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

// mistakes are mapping files, complete ones, and what is said about each.
var mistakes = []struct {
	name, yaml string
	want       []string
}{
	{"empty", "", []string{`m.yaml:1:1: the file is empty; give at least one section, or don't name the file`}},
	{"only comments", "# a\n\n# b\n", []string{`m.yaml:1:1: the file is empty; give at least one section, or don't name the file`}},
	{"only a dash line", "---\n", []string{`m.yaml:1:1: the file is empty; give at least one section, or don't name the file`}},
	{"no mapping", "- a\n", []string{`m.yaml:1:1: must be keys with values, not a list`}},
	{"not YAML", "a: b\n c: d\n", []string{`m.yaml:2:1: is not valid YAML: mapping values are not allowed in this context; look at the indentation, the quotes and the brackets here and just above`}},
	{"two documents", whole + "---\na: b\n", []string{`m.yaml:14:1: a second YAML document begins here; a file holds one`}},
	{"unknown section", whole + "severities: {}\n", []string{`m.yaml:14:1: severities: unknown key; known here are priorities, record_types, risks, sources, threat_states, ticket_states, triggers, unknown`}},
	{"misspelled section", whole + "\"tr\\nigger\": {}\n", []string{`m.yaml:14:1: "tr\nigger": unknown key; did you mean "triggers"?`}},
	{"section twice", whole + "ticket_states: {}\n", []string{`m.yaml:14:1: ticket_states: is given twice; remove this one or the one in line 13`}},
	{"section missing", strings.Replace(whole, "ticket_states: {new: open}\n", "", 1), []string{`m.yaml:1:1: ticket_states: is missing; the first mapping file has every section`}},
	{"section a list", replace("{detected: open}", "[detected]"), []string{`m.yaml:12:16: threat_states: must be keys with values, not a list`}},
	{"unknown kind", replace("Threat: threat", "Threat: incident"), []string{`m.yaml:1:24: record_types[Threat]: "incident" is unknown; one of threat, ticket`}},
	{"unknown trigger", replace("create: create", "create: note"), []string{`m.yaml:2:20: triggers[create]: "note" is unknown; one of create, update, closed, reopen`}},
	{"word twice", replace("  User: {label: Custom threat}", "  User: {label: a}\n  \" USER \": {label: b}"), []string{`m.yaml:5:3: sources[USER]: is given twice; remove this one or the one in line 4 (words are compared without case)`}},
	{"blank word", replace("  User:", "  ' ':"), []string{`m.yaml:4:3: sources: has a word that is not text, or blank; write a word of the vendor's, in quotes where it has special characters`}},
	{"no label", replace("{label: Custom threat}", "{}"), []string{`m.yaml:4:9: sources[User]: is a new source, which needs label too`}},
	{"source a text", replace("{label: Custom threat}", "Custom threat"), []string{`m.yaml:4:9: sources[User]: must be keys with values, not text`}},
	{"null label", replace("label: Custom threat", "label: "), []string{`m.yaml:4:17: sources[User].label: must be text, not nothing`}},
	{"blank label", replace("label: Custom threat", "label: ' '"), []string{`m.yaml:4:17: sources[User].label: is blank; give it a text`}},
	{"category no list", replace("label: Custom threat", "label: a, category: web, type: [info]"), []string{`m.yaml:4:30: sources[User].category: must be a list, such as [one, two], not text`}},
	{"category not in ECS", replace("label: Custom threat", "label: a, category: [cloud], type: [info]"), []string{`m.yaml:4:9: sources[User]: category "cloud" is not a value of event.category in ECS 9.4.0; known here are ` + strings.Join(loadECSTable().Fields["event.category"].Allowed, ", ")}},
	{"category misspelled", replace("label: Custom threat", "label: a, category: [malwear], type: [info]"), []string{`m.yaml:4:9: sources[User]: category "malwear" is not a value of event.category in ECS 9.4.0; did you mean "malware"?`}},
	{"category without type", replace("label: Custom threat", "label: a, category: [email]"), []string{`m.yaml:4:9: sources[User]: category email needs a type; one of info`}},
	{"type without category", replace("label: Custom threat", "label: a, type: [info]"), []string{`m.yaml:4:9: sources[User]: type needs a category; give both, or none`}},
	{"type of another category", replace("label: Custom threat", "label: a, category: [threat], type: [info]"), []string{`m.yaml:4:9: sources[User]: type "info" does not go with category threat in ECS 9.4.0; one of indicator`}},
	{"severity too high", replace("high: {severity: 73", "high: {severity: 101"), []string{`m.yaml:6:20: risks[high].severity: "101" is not a whole number from 0 to 100, without quotes`}},
	{"severity no number", replace("high: {severity: 73", "high: {severity: '73'"), []string{`m.yaml:6:20: risks[high].severity: "73" is not a whole number from 0 to 100, without quotes`}},
	{"severity a list", replace("high: {severity: 73", "high: {severity: [73]"), []string{`m.yaml:6:20: risks[high].severity: must be a whole number from 0 to 100, not a list`}},
	{"severity missing", replace("high: {severity: 73, ", "high: {"), []string{`m.yaml:6:9: risks[high]: is a new risk, which needs severity too`}},
	{"cef and syslog out of range", replace("cef: 8, syslog: 3", "cef: 11, syslog: -1"), []string{`m.yaml:6:29: risks[high].cef: "11" is not a whole number from 0 to 10, without quotes`, `m.yaml:6:41: risks[high].syslog: "-1" is not a whole number from 0 to 7, without quotes`}},
	{"unknown severity key", replace("syslog: 3", "syslog: 3, colour: red"), []string{`m.yaml:6:43: risks[high].colour: unknown key; known here are alert, cef, severity, syslog, vulnerability`}},
	{"misspelled severity key", replace("high: {severity", "high: {Serverity"), []string{`m.yaml:6:9: risks[high]: is a new risk, which needs severity too`, `m.yaml:6:10: risks[high].Serverity: unknown key; did you mean "severity"?`}},
	{"alert no truth value", replace("syslog: 3", "syslog: 3, alert: maybe"), []string{`m.yaml:6:50: risks[high].alert: "maybe" is unknown; one of true, false`}},
	{"unknown without priority", replace("  priority: {severity: 47, cef: 4, syslog: 5}\n", ""), []string{`m.yaml:10:3: unknown.priority: is missing; the first mapping file has risk and priority here`}},
	{"unknown without cef", replace("{severity: 47, cef: 4, syslog: 5}", "{severity: 47, syslog: 5}"), []string{`m.yaml:11:13: unknown.priority: is what unknown words count as, which needs cef too`}},
	{"unknown status", replace("detected: open", "detected: opened"), []string{`m.yaml:12:27: threat_states[detected]: "opened" is unknown; one of open, closed, unknown`}},
	{"null status", replace("detected: open", "detected: "), []string{`m.yaml:12:27: threat_states[detected]: must be one of open, closed, unknown, not nothing`}},
	{"merge key", replace("{detected: open}", "{<<: {a: open}}"), []string{`m.yaml:12:17: threat_states: has a word that is not text, or blank; write a word of the vendor's, in quotes where it has special characters`}},
	{"merge key of a severity", replace("{severity: 73, ", "{<<: {severity: 73}, "), []string{`m.yaml:6:9: risks[high]: is a new risk, which needs severity too`, `m.yaml:6:10: risks[high]: has a key that is not plain text; known here are alert, cef, severity, syslog, vulnerability`}},
	{"an anchor alone is nothing", replace("{severity: 47, cef: 5, syslog: 4}", "&a {severity: 47, cef: 5, syslog: 4}"), nil},
	{"aliases", replace("risk: {severity: 47, cef: 5, syslog: 4}\n  priority: {severity: 47, cef: 4, syslog: 5}", "risk: &a {severity: 47, cef: 5, syslog: 4}\n  priority: *a"), []string{`m.yaml:11:13: unknown.priority: is an alias (*name), which is not supported; write the value out, or put text that begins with * in quotes`}},
	{"alias for a word", replace("record_types: {Threat: threat}", "record_types: {&a Threat: threat, *a : threat}"), []string{`m.yaml:1:35: record_types: is an alias (*name), which is not supported; write the value out, or put text that begins with * in quotes`}},
	{"alias for a key", replace("high: {severity: 73", "&a high: {*a : 73"), []string{`m.yaml:6:12: risks[high]: is a new risk, which needs severity too`, `m.yaml:6:13: risks[high]: has a key that is not plain text; known here are alert, cef, severity, syslog, vulnerability`}},
	{"tag", replace("severity: 73", "severity: !!int 73"), []string{`m.yaml:6:20: risks[high].severity: has a YAML tag, which is not supported; put text that begins with ! in quotes`}},
	{"tag at a word", replace("  high:", "  !high high:"), []string{`m.yaml:6:3: risks: has a YAML tag, which is not supported; put text that begins with ! in quotes`}},
	{"every mistake at once", replace("Threat: threat", "Threat: x") + "more: 1\n", []string{`m.yaml:1:24: record_types[Threat]: "x" is unknown; one of threat, ticket`, `m.yaml:14:1: more: unknown key; known here are priorities, record_types, risks, sources, threat_states, ticket_states, triggers, unknown`}},
	{"mistakes of one source", replace("label: Custom threat", "label: '', lable: b, category: [cluod], type: [info]"), []string{`m.yaml:4:9: sources[User]: category "cluod" is not a value of event.category in ECS 9.4.0; known here are ` + strings.Join(loadECSTable().Fields["event.category"].Allowed, ", "), `m.yaml:4:17: sources[User].label: is blank; give it a text`, `m.yaml:4:21: sources[User].lable: unknown key; did you mean "label"?`}},
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
			if (err == nil) != (c.want == nil) {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			if want := strings.Join(c.want, "\n"); err.Error() != want {
				t.Errorf("got:\n%v\nwant:\n%s", err, want)
			}
		})
	}
}

func TestMappingFileTooLarge(t *testing.T) {
	file := whole + strings.Repeat("#", normalize.MaxMappingFile-len(whole))
	if _, err := normalize.ParseMapping("m.yaml", []byte(file), normalize.MappingOptions{}); err != nil {
		t.Errorf("the largest file: %v", err)
	}
	_, err := normalize.ParseMapping("m.yaml", []byte(file+"\n"), normalize.MappingOptions{})
	if err == nil || err.Error() != "m.yaml:1:1: the file is too large; at most 1048576 bytes are allowed" {
		t.Errorf("one byte more: %v", err)
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
	if len(table.CategoryTypes) != len(table.Fields["event.category"].Allowed) {
		t.Fatal("the table lacks a category")
	}
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
