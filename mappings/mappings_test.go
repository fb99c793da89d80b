package mappings_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/mappings"
)

// TestVendorExamples holds the first two samples to the vendor's page, byte for byte.
func TestVendorExamples(t *testing.T) {
	for i, want := range []string{
		"ff69ff783edbc39171ddada82db14e6851bfba484c013461e6c53959873c209b",
		"e65796317b70dbc5f85d7d93d4336e5648761cf8e0ef32470bcf7bf8b6a17588",
	} {
		s := mappings.Samples()[i]
		if got := sha256.Sum256(s.Body); hex.EncodeToString(got[:]) != want {
			t.Errorf("sample %s is not the vendor's example", s.Name)
		}
	}
}

// TestSamplesShowEverything asks for a sample of every word in the mapping, and for
// some that are not in it.
func TestSamplesShowEverything(t *testing.T) {
	var file map[string]map[string]any
	if err := yaml.Unmarshal(mappings.Defensecom(), &file); err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{
		"record_types": "record_type", "triggers": "trigger_action", "sources": "type", "risks": "risk",
		"priorities": "priority", "threat_states": "state", "ticket_states": "state",
	}
	seen := map[string]map[string]bool{}
	for _, field := range fields {
		seen[field] = map[string]bool{}
	}
	var names []string
	notes := 0
	for _, s := range mappings.Samples() {
		names = append(names, s.Name)
		var body map[string]any
		if err := json.Unmarshal(s.Body, &body); err != nil {
			t.Errorf("sample %s: %v", s.Name, err)
		}
		for field, words := range seen {
			if word, ok := body[field].(string); ok {
				words[word] = true
			}
		}
		if body["note_message"] != nil {
			notes++
		}
	}
	if !slices.IsSorted(names) || len(names) < 20 {
		t.Errorf("samples out of order, or few: %v", names)
	}
	if notes < 4 {
		t.Errorf("%d samples with a note", notes)
	}
	for section, field := range fields {
		for word := range file[section] {
			alias := section == "triggers" && file[section][word] != word
			if !seen[field][word] && !alias {
				t.Errorf("no sample has %s %q", field, word)
			}
		}
	}
	for field, sections := range map[string][]string{"record_type": {"record_types"}, "type": {"sources"}, "risk": {"risks"}, "state": {"threat_states", "ticket_states"}} {
		known := map[string]any{}
		for _, section := range sections {
			maps.Copy(known, file[section])
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(seen[field])), func(word string) bool { return known[word] == nil }) {
			t.Errorf("no sample has an unknown %s", field)
		}
	}
}
