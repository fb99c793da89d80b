package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/normalize"
)

// TestCompanies: an id is the text as it is written, whatever YAML takes it for.
func TestCompanies(t *testing.T) {
	got := mustLoad(t, newMachine(t), minimal+`companies:
  123: &acme {name: Acme, namespace: acme_eu.1}
  "0123": {name: Text}
  0x1F: {name: "${env:CANARY}"}
  1e3: *acme
  12345678901234567890: {}
  null:
  abc12345-6789-0def: {namespace: müller+söhne}
  "a.b[0] c": {name: "  "}
`)
	want := map[string]config.Company{
		"123": {Name: "Acme", Namespace: "acme_eu.1"}, "0123": {Name: "Text"}, "0x1F": {Name: canary},
		"1e3": {Name: "Acme", Namespace: "acme_eu.1"}, "12345678901234567890": {}, "null": {},
		"abc12345-6789-0def": {Namespace: "müller+söhne"}, "a.b[0] c": {Name: "  "},
	}
	if diff := cmp.Diff(want, got.Companies); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := mustLoad(t, newMachine(t), minimal+"companies:\n"); len(got.Companies) != 0 {
		t.Errorf("nothing gave %v", got.Companies)
	}
}

// TestTooManyCompanies: what a file may hold at most counts for maps and aliases too.
func TestTooManyCompanies(t *testing.T) {
	var b strings.Builder
	b.WriteString(minimal + "companies:\n  a: &a {name: x, namespace: y}\n")
	for i := range 40_000 {
		fmt.Fprintf(&b, "  %d: *a\n", i)
	}
	all := mistakes(t, newMachine(t), b.String())
	if !slices.ContainsFunc(all, func(m config.Mistake) bool { return strings.Contains(m.Text, "at most 100000") }) {
		t.Errorf("%d mistakes, none of them about the number", len(all))
	}
}

// TestNamespaces holds the configuration and the encoders to one rule.
func TestNamespaces(t *testing.T) {
	for _, namespace := range []string{
		"default", "a", "acme_eu.1", "_acme", "müller", "a+b", "..", strings.Repeat("a", 100), strings.Repeat("ä", 50),
		strings.Repeat("a", 101), strings.Repeat("ä", 51), "Acme", "Ä", "a-b", "a b", "a\tb", "a\u00a0b", "a\u0085b", "a\u2028b",
		`a\b`, "a/b", "a*b", "a?b", `a"b`, "a<b", "a>b", "a|b", "a,b", "a#b", "a:b",
	} {
		m := newMachine(t)
		m.env["NAMESPACE"] = namespace
		_, err := m.load(minimal + "companies:\n  1: {namespace: \"${env:NAMESPACE}\"}\n")
		_, encoderErr := normalize.NewEncoder("ecs", normalize.EncoderOptions{Namespace: namespace})
		if (err == nil) != (encoderErr == nil) {
			t.Errorf("namespace %q: the configuration says %v, the encoder %v", namespace, err, encoderErr)
		}
	}
}

func TestMappingFiles(t *testing.T) {
	m := newMachine(t)
	m.write("/etc/"+canary+".yaml", "one")
	m.write("two.yaml", "two")
	got := mustLoad(t, m, minimal+"mappings:\n  - /etc/${env:CANARY}.yaml\n  - two.yaml\n")
	want := []config.MappingFile{
		{Name: "/etc/${env:CANARY}.yaml", Data: []byte("one")}, // the name does not show what came from outside
		{Name: "two.yaml", Data: []byte("two")},
	}
	if diff := cmp.Diff(want, got.MappingFiles); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	m.write("/large.yaml", strings.Repeat("#", 1<<20+1))
	all := mistakes(t, m, minimal+"mappings: [/large.yaml]\n")
	if len(all) != 1 || all[0].Key != "mappings[0]" || !strings.Contains(all[0].Text, "is larger than 1MiB") {
		t.Errorf("too large: %v", all)
	}
}

func TestWhen(t *testing.T) {
	for text, want := range map[string]string{
		"when: kind == \"threat\"":         `kind == "threat"`,
		"when: |\n      a &&\n      \tb\n": "a &&\n\tb\n",
		"when: >-\n      a &&\n      b\n":  "a && b",
		"when: \"\"":                       "",
		"when: \" \\n\"":                   "",
		"when: 'true'":                     "true",
		"when: true":                       "true",
		"format: ecs":                      "",
	} {
		got := mustLoad(t, newMachine(t), openReceiver+"outputs:\n  - name: a\n    type: file\n    file: {path: \"-\"}\n    "+text+"\n")
		if got.Outputs[0].When != want {
			t.Errorf("%q gave %q", text, got.Outputs[0].When)
		}
	}
}

// TestWhenIsNotChecked where nobody says how.
func TestWhenIsNotChecked(t *testing.T) {
	m := newMachine(t)
	m.write("siemrelay.yaml", openReceiver+"outputs: [{name: a, type: file, when: high, file: {path: \"-\"}}]\n")
	o := m.options()
	o.CheckFilter = nil
	if _, err := config.Load("siemrelay.yaml", o); err != nil {
		t.Error(err)
	}
}
