package normalize_test

import (
	"os"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

const exampleMapping = "../docs/examples/mappings/mapping.yaml"

// merged reads files over the built-in one. They are called a.yaml, b.yaml and so on.
func merged(files ...string) (*normalize.Mapping, error) {
	all := []normalize.MappingFile{{Name: mappings.File, Data: mappings.Defensecom()}}
	for i, text := range files {
		all = append(all, normalize.MappingFile{Name: string(rune('a'+i)) + ".yaml", Data: []byte(text)})
	}
	return normalize.ParseMappings(all, normalize.MappingOptions{LinkHosts: []string{"my.defense.com"}})
}

// TestMergeOrder: the later file wins, in what it gives and in nothing else, and
// other words stay as they are.
func TestMergeOrder(t *testing.T) {
	m, err := merged(
		"risks: {high: {severity: 70, cef: 6}, severe: {severity: 80, cef: 9, syslog: 3}}\nsources:\n",
		"risks: {HIGH: {severity: 71}, Severe: {cef: 10}}\nsources: {}\n",
	)
	if err != nil {
		t.Fatal(err)
	}
	for risk, want := range map[string]struct {
		severity, syslog int
		cef, level       string
	}{
		"high": {71, 3, "6", "high"}, "High": {71, 3, "6", "high"}, "HIGH": {71, 3, "6", "high"},
		"severe": {80, 3, "10", "severe"}, "Severe": {80, 3, "10", "severe"},
		"critical": {99, 2, "10", "critical"}, "low": {21, 5, "3", "low"}, "what": {47, 4, "5", "what"},
	} {
		var e normalize.Event
		m.Event(&e, rawOf([]byte(`{"record_type":"Threat","risk":"`+risk+`"}`)))
		level := checkECS(t, encoder(t, "ecs", normalize.EncoderOptions{})(nil, &e))["log.level"]
		cef := strings.Split(string(encoder(t, "cef", normalize.EncoderOptions{})(nil, &e)), "|")[6]
		if e.Severity != want.severity || e.SyslogSeverity != want.syslog || cef != want.cef || level != want.level {
			t.Errorf("risk %q: severity %d, syslog %d, CEF %s, level %v", risk, e.Severity, e.SyslogSeverity, cef, level)
		}
	}
}

// TestMergeLeavesTheBuiltInAlone: what one mapping is merged from shows in no other.
func TestMergeLeavesTheBuiltInAlone(t *testing.T) {
	if _, err := merged("risks: {high: {severity: 1}}\nsources: {User: {label: x}}\n"); err != nil {
		t.Fatal(err)
	}
	var e normalize.Event
	builtin(t).Event(&e, rawOf([]byte(`{"record_type":"Threat","risk":"high","type":"User"}`)))
	if e.Severity != 73 || e.Source != "Custom threat" {
		t.Errorf("severity %d, source %q", e.Severity, e.Source)
	}
}

// TestMergeMistakes: every mistake of every file at once, each under its file's name.
func TestMergeMistakes(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  []string
	}{
		{"all files", []string{"risks:\n  hihg: {severity: 75}\n", "", "sources: {Scanner::Site: {category: [threat]}}\n"}, []string{
			`a.yaml:2:9: risks[hihg]: is a new risk (did you mean "high"?), which needs cef, syslog too`,
			`b.yaml:1:1: the file is empty; give at least one section, or don't name the file`,
			`c.yaml:1:26: sources["Scanner::Site"]: type "info" does not go with category threat in ECS 9.4.0; one of indicator`,
		}},
		{"a new source", []string{"sources:\n  Scanner::Sites: {category: [web], type: [info]}\n"}, []string{
			`a.yaml:2:19: sources["Scanner::Sites"]: is a new source (did you mean "Scanner::Site"?), which needs label too`,
		}},
		{"a new priority", []string{"priorities: {banana: {cef: 1}}\n"}, []string{
			`a.yaml:1:22: priorities[banana]: is a new priority, which needs severity, syslog too`,
		}},
		{"what only risks have", []string{"priorities: {Urgent: {alert: false}}\nunknown: {priority: {vulnerability: Low}}\n"}, []string{
			`a.yaml:1:23: priorities[Urgent].alert: unknown key; known here are cef, severity, syslog`,
			`a.yaml:2:22: unknown.priority.vulnerability: unknown key; known here are cef, severity, syslog`,
		}},
		{"a null word", []string{"risks:\n  high:\n"}, []string{
			`a.yaml:2:8: risks[high]: must be keys with values, not nothing`,
		}},
		{"a type without its category", []string{"sources: {Scanner::Site: {category: []}}\n"}, []string{
			`a.yaml:1:26: sources["Scanner::Site"]: type needs a category; give both, or none`,
		}},
		{"hostile words", []string{"risks: {\"a\\n\\e[31m\": {severity: 1}}\n\"\\u2028\": 1\n"}, []string{
			`a.yaml:1:22: risks["a\n\x1b[31m"]: is a new risk, which needs cef, syslog too`,
			`a.yaml:2:1: "\u2028": unknown key; known here are priorities, record_types, risks, sources, threat_states, ticket_states, triggers, unknown`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := merged(c.files...)
			if err == nil || err.Error() != strings.Join(c.want, "\n") {
				t.Errorf("got:\n%v\nwant:\n%s", err, strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestNoMappingFile(t *testing.T) {
	if _, err := normalize.ParseMappings(nil, normalize.MappingOptions{}); err == nil {
		t.Error("no file at all was taken")
	}
}

// TestBomb: what repeats itself through aliases is refused where it is used, and costs nothing.
func TestBomb(t *testing.T) {
	bomb := "sources: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		bomb += "s" + string(rune('b'+i)) + ": &" + string(rune('b'+i)) + " [" + strings.Repeat("*"+string(rune('a'+i))+", ", 8) + "]\n"
	}
	if _, err := merged(bomb); err == nil || !strings.HasPrefix(err.Error(), "a.yaml:1:10: sources: must be keys with values, not a list\n") {
		t.Errorf("got %v", err)
	}
}

func TestCompanyNamespace(t *testing.T) {
	files := []normalize.MappingFile{{Name: mappings.File, Data: mappings.Defensecom()}}
	_, err := normalize.ParseMappings(files, normalize.MappingOptions{Companies: map[string]normalize.Company{"1": {Namespace: "A"}, "2": {Namespace: "b-c"}, "3": {Namespace: "d"}}})
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.HasPrefix(err.Error(), `company "1": namespace "A" must be in lower case`) {
		t.Errorf("got %v", err)
	}
}

// TestNamespaceOfTheEvent: what routing sees is the company's, or nothing, and it
// does not outlive the event.
func TestNamespaceOfTheEvent(t *testing.T) {
	files := []normalize.MappingFile{{Name: mappings.File, Data: mappings.Defensecom()}}
	m, err := normalize.ParseMappings(files, normalize.MappingOptions{Companies: map[string]normalize.Company{"1": {Namespace: "acme"}}})
	if err != nil {
		t.Fatal(err)
	}
	var e normalize.Event
	encode := encoder(t, "ecs", normalize.EncoderOptions{Namespace: "relay"})
	for _, c := range []struct{ body, event, document string }{
		{`{"record_type":"Threat","company_id":"1"}`, "acme", "acme"},
		{`{"record_type":"Threat","company_id":"2"}`, "", "relay"},
		{`{"company_id":1}`, "acme", "acme"},
		{`{`, "", "relay"},
	} {
		m.Event(&e, rawOf([]byte(c.body)))
		if got := checkECS(t, encode(nil, &e))["data_stream.namespace"]; e.Namespace != c.event || got != c.document {
			t.Errorf("%s: event %q, document %v", c.body, e.Namespace, got)
		}
	}
}

// TestExampleMapping does what the page says of the example.
func TestExampleMapping(t *testing.T) {
	text, err := os.ReadFile(exampleMapping)
	if err != nil {
		t.Fatal(err)
	}
	m, err := merged(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var e normalize.Event
	m.Event(&e, rawOf([]byte(`{"record_type":"Threat","trigger_action":"create","type":"CloudScanner::Bucket","risk":"severe","state":"transferred"}`)))
	if e.Source != "Cloud scanner" || e.Severity != 80 || e.Status != "open" || e.EventKind != "alert" {
		t.Errorf("new words: %+v", e)
	}
	m.Event(&e, rawOf([]byte(`{"record_type":"Threat","trigger_action":"create","type":"Scanner::Site","risk":"low"}`)))
	leaves := checkECS(t, encoder(t, "ecs", normalize.EncoderOptions{})(nil, &e))
	if e.Source != "Perimeter scan" || e.Severity != 21 || e.EventKind != "event" || leaves["vulnerability.severity"] != "Low" {
		t.Errorf("changed words: %+v, %v", e, leaves)
	}
	m.Event(&e, rawOf([]byte(`{"record_type":"Threat","risk":"gigantic"}`)))
	if e.Severity != 73 || e.SyslogSeverity != 4 {
		t.Errorf("unknown risk: %+v", e)
	}
}
