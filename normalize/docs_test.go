package normalize_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

const mappingPage = "../docs/mapping.md"

// TestMappingPage holds docs/mapping.md to the mapping: the parts between marks
// are generated, and the field table has every key, field and length.
func TestMappingPage(t *testing.T) {
	data, err := os.ReadFile(mappingPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for name, text := range generatedParts(t) {
		begin, end := "<!-- BEGIN "+name+" -->\n", "<!-- END "+name+" -->"
		before, rest, found := strings.Cut(page, begin)
		_, after, foundEnd := strings.Cut(rest, end)
		if !found || !foundEnd {
			t.Fatalf("no marks for %s", name)
		}
		page = before + begin + text + end + after
	}
	golden(t, mappingPage, page)

	for _, f := range mappedKeys {
		row := rowOf(page, "| `"+f.key+"`")
		for _, name := range f.ecs {
			if !strings.Contains(row, "`"+name+"`") {
				t.Errorf("the row of %s lacks %s: %s", f.key, name, row)
			}
		}
		if f.limit > 0 && !strings.Contains(strings.ReplaceAll(row, "`", ""), fmt.Sprintf("%s %d", f.cef, f.limit)) {
			t.Errorf("the row of %s lacks %s %d: %s", f.key, f.cef, f.limit, row)
		}
	}
	for _, name := range slices.Concat(sortedKeys(loadECSTable().Fields), knownTags) {
		general := strings.NewReplacer(".threat.", ".*.", ".ticket.", ".*.").Replace(name)
		if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "`"+general+"`") {
			t.Errorf("the page does not mention %s", name)
		}
	}
}

func rowOf(page, start string) string {
	i := strings.Index(page, start)
	if i < 0 {
		return ""
	}
	row, _, _ := strings.Cut(page[i:], "\n")
	return row
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// generatedParts makes tables of the built-in mapping, in its own order.
func generatedParts(t *testing.T) map[string]string {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal(mappings.Defensecom(), &root); err != nil {
		t.Fatal(err)
	}
	sections := map[string]*yaml.Node{}
	for i := 0; i < len(root.Content[0].Content); i += 2 {
		sections[root.Content[0].Content[i].Value] = root.Content[0].Content[i+1]
	}
	grade := []string{"severity", "cef", "syslog", "vulnerability"}
	var e normalize.Event
	builtin(t).Event(&e, rawOf(mappings.Samples()[0].Body))
	var document bytes.Buffer
	if err := json.Indent(&document, encoder(t, "ecs", normalize.EncoderOptions{EventOriginal: true})(nil, &e), "", "  "); err != nil {
		t.Fatal(err)
	}
	builtin(t).Event(&e, rawOf(mappings.Samples()[1].Body))
	line := encoder(t, "cef", normalize.EncoderOptions{})(nil, &e)
	example, err := os.ReadFile(exampleMapping)
	if err != nil {
		t.Fatal(err)
	}
	_, mistaken := normalize.ParseMappings([]normalize.MappingFile{
		{Name: mappings.File, Data: mappings.Defensecom()},
		{Name: "mapping.yaml", Data: []byte("risks:\n  hihg: {severity: 75}\nsourcs: {}\nsources:\n  Scanner::Site: {category: [threat]}\n")},
	}, normalize.MappingOptions{})
	return map[string]string{
		"record_types": wordTable("`record_type`", "kind", sections["record_types"]),
		"triggers":     wordTable("`trigger_action`", "what happened", sections["triggers"]),
		"risks": "| `risk` | `event.severity`, `event.risk_score` | CEF | syslog | `vulnerability.severity` |\n|---|---|---|---|---|\n" +
			rows(sections["risks"], grade) + unknownRow(sections["unknown"], "risk", grade),
		"priorities": "| `priority` | `event.severity` | CEF | syslog |\n|---|---|---|---|\n" +
			rows(sections["priorities"], grade[:3]) + unknownRow(sections["unknown"], "priority", grade[:3]),
		"states": wordTable("`state` of a threat", "`status`", sections["threat_states"]) + "\n" +
			wordTable("`state` of a ticket", "`status`", sections["ticket_states"]),
		"sources": "| `type` | label | `event.category` | `event.type` |\n|---|---|---|---|\n" +
			rows(sections["sources"], []string{"label", "category", "type"}),
		"example":  "```yaml\n" + string(example) + "```\n",
		"mistakes": "```\n" + mistaken.Error() + "\n```\n",
		"ecs":      "```json\n" + document.String() + "\n```\n",
		"cef":      "```\n" + string(line) + "\n```\n",
	}
}

func wordTable(word, meaning string, section *yaml.Node) string {
	table := "| " + word + " | " + meaning + " |\n|---|---|\n"
	for i := 0; i < len(section.Content); i += 2 {
		table += "| " + section.Content[i].Value + " | " + section.Content[i+1].Value + " |\n"
	}
	return table
}

// rows makes a row of each word, with the values of keys.
func rows(section *yaml.Node, keys []string) string {
	var b strings.Builder
	for i := 0; i < len(section.Content); i += 2 {
		b.WriteString("| " + section.Content[i].Value + " |")
		for _, key := range keys {
			b.WriteString(" " + valueAt(section.Content[i+1], key) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func unknownRow(unknown *yaml.Node, key string, keys []string) string {
	for i := 0; i < len(unknown.Content); i += 2 {
		if unknown.Content[i].Value == key {
			one := &yaml.Node{Content: []*yaml.Node{{Value: "unknown or missing"}, unknown.Content[i+1]}}
			return rows(one, keys)
		}
	}
	return ""
}

// valueAt returns the text of a scalar or list at key, "–" if there is none.
func valueAt(mapping *yaml.Node, key string) string {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value != key {
			continue
		}
		value := mapping.Content[i+1]
		var items []string
		for _, item := range value.Content {
			items = append(items, item.Value)
		}
		return value.Value + strings.Join(items, ", ")
	}
	return "–"
}
