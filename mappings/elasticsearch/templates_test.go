package elasticsearch_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/mappings/elasticsearch"
)

var update = flag.Bool("update", false, "write the files anew")

func flavors() []elasticsearch.Flavor {
	return []elasticsearch.Flavor{elasticsearch.Elasticsearch, elasticsearch.OpenSearch}
}

// TestFiles holds the files in the folder, which are there to be read and to be
// installed by hand, to what the table makes.
func TestFiles(t *testing.T) {
	for _, flavor := range flavors() {
		files := map[string]bool{}
		for _, object := range elasticsearch.Objects(elasticsearch.Options{Flavor: flavor, Retention: "365d"}) {
			if object.Body == nil {
				continue
			}
			path := filepath.Join(string(flavor), object.File())
			files[path] = true
			if *update {
				if err := errorsOf(os.MkdirAll(string(flavor), 0o755), os.WriteFile(path, object.Body, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, object.Body) {
				t.Errorf("%s is not what the table makes (go test ./mappings/elasticsearch -update): %v", path, err)
			}
		}
		there, err := filepath.Glob(filepath.Join(string(flavor), "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range there {
			if !files[path] {
				t.Errorf("%s is made by nothing", path)
			}
		}
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mapped returns the names of the fields that a component template maps, with
// their types.
func mapped(t *testing.T, flavor elasticsearch.Flavor, component string) map[string]string {
	t.Helper()
	for _, object := range elasticsearch.Objects(elasticsearch.Options{Flavor: flavor}) {
		if object.Name != component {
			continue
		}
		var x struct {
			Template struct {
				Mappings struct {
					Dynamic    any
					Properties map[string]any
				}
			}
		}
		if err := json.Unmarshal(object.Body, &x); err != nil {
			t.Fatal(err)
		}
		if x.Template.Mappings.Dynamic != false {
			t.Errorf("%s of %s is dynamic: a payload could add fields", component, flavor)
		}
		names := map[string]string{}
		collect(names, "", x.Template.Mappings.Properties)
		return names
	}
	t.Fatalf("no component template %s", component)
	return nil
}

func collect(names map[string]string, prefix string, properties map[string]any) {
	for name, value := range properties {
		field := value.(map[string]any)
		if inner, ok := field["properties"].(map[string]any); ok {
			collect(names, prefix+name+".", inner)
			continue
		}
		names[prefix+name] = field["type"].(string)
	}
}

// TestEveryFieldIsMapped: every one of the table and no other.
func TestEveryFieldIsMapped(t *testing.T) {
	table := elasticsearch.Fields()
	if len(table.Fields) < 60 || table.Version < 1 || len(table.CategoryTypes) != 20 {
		t.Fatalf("the table is not whole: %d fields, version %d", len(table.Fields), table.Version)
	}
	latest := maps.Clone(table.Fields)
	maps.DeleteFunc(latest, func(_ string, f elasticsearch.Field) bool { return !f.Latest })
	for _, flavor := range flavors() {
		for component, want := range map[string]map[string]elasticsearch.Field{
			"defensecom@mappings": table.Fields, "defensecom-latest@mappings": latest,
		} {
			got := mapped(t, flavor, component)
			if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
				t.Errorf("%s of %s maps\n%v\nwant\n%v", component, flavor, a, b)
			}
			for name, kind := range got {
				ours := []string{want[name].Type}
				if flavor == elasticsearch.OpenSearch {
					ours = append(ours, map[string]string{"flattened": "object", "constant_keyword": "keyword"}[ours[0]])
				}
				if !slices.Contains(ours, kind) || flavor == elasticsearch.OpenSearch && (kind == "flattened" || kind == "constant_keyword") {
					t.Errorf("%s: %s is %s on %s", component, name, kind, flavor)
				}
			}
		}
	}
}

// TestTableMakesSense looks for what the type of Field allows and a cluster doesn't.
func TestTableMakesSense(t *testing.T) {
	known := []string{"date", "keyword", "constant_keyword", "match_only_text", "long", "float", "flattened"}
	for name, f := range elasticsearch.Fields().Fields {
		switch {
		case !slices.Contains(known, f.Type):
			t.Errorf("%s: unknown type %q", name, f.Type)
		case f.Type == "keyword" && !f.Stored && (f.IgnoreAbove < 256 || f.IgnoreAbove > 8191):
			t.Errorf("%s: a long text would be refused: one term has at most 32766 bytes", name)
		case f.Text && f.Type != "keyword":
			t.Errorf("%s: text goes with keyword", name)
		case f.Stored && (f.Text || f.IgnoreAbove > 0):
			t.Errorf("%s: what is only stored is not indexed", name)
		}
		for other := range elasticsearch.Fields().Fields {
			if strings.HasPrefix(other, name+".") {
				t.Errorf("%s is a field and has %s in it", name, other)
			}
		}
	}
}

// TestFingerprints: what changes tells so, and what doesn't doesn't.
func TestFingerprints(t *testing.T) {
	of := func(o elasticsearch.Options) map[string]string {
		out := map[string]string{}
		for _, object := range elasticsearch.Objects(o) {
			out[object.Name] = string(object.Body)
		}
		return out
	}
	a := elasticsearch.Options{Flavor: elasticsearch.Elasticsearch, Retention: "365d"}
	b := elasticsearch.Options{Flavor: elasticsearch.Elasticsearch, Retention: "30d"}
	if !maps.Equal(of(a), of(a)) {
		t.Error("the same options give other bytes")
	}
	for name, text := range of(b) {
		if changed := text != of(a)[name]; changed != (name == "defensecom@settings") {
			t.Errorf("another retention changes %s: %t", name, changed)
		}
	}
}
