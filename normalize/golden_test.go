package normalize_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds every case's ECS document, indented for reading, and CEF line
// to the files beside its input. The samples are cases too.
func TestGolden(t *testing.T) {
	ecs := encoder(t, "ecs", normalize.EncoderOptions{EventOriginal: true})
	cef := encoder(t, "cef", normalize.EncoderOptions{})
	var e normalize.Event // one for all: nothing of a case may show in the next
	for name, body := range goldenBodies(t) {
		t.Run(name, func(t *testing.T) {
			setup := goldenSetup(t, name)
			raw := rawOf(body)
			raw.Tags = setup.Tags
			setup.mapping(t).Event(&e, raw)
			document, line := ecs(nil, &e), cef(nil, &e)
			checkECS(t, document)
			checkCEF(t, line)
			var indented bytes.Buffer
			if err := json.Indent(&indented, document, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata/golden", name, "expected.ecs.json"), indented.String()+"\n")
			golden(t, filepath.Join("testdata/golden", name, "expected.cef"), string(line)+"\n")
		})
	}
}

// goldenBodies returns the input of every case by its name.
func goldenBodies(tb testing.TB) map[string][]byte {
	tb.Helper()
	bodies := map[string][]byte{}
	inputs, err := filepath.Glob("testdata/golden/*/input.json")
	if err != nil || len(inputs) < 200 {
		tb.Fatalf("found %d golden cases (%v)", len(inputs), err)
	}
	for _, input := range inputs {
		body, err := os.ReadFile(input)
		if err != nil {
			tb.Fatal(err)
		}
		bodies[filepath.Base(filepath.Dir(input))] = body
	}
	for _, s := range mappings.Samples() {
		bodies["sample-"+s.Name] = s.Body
	}
	return bodies
}

// caseSetup is what a case may have beside its input, in setup.yaml.
type caseSetup struct {
	Tags      []string                     // of the spool
	Companies map[string]normalize.Company // of the configuration
	Mapping   string                       // an operator's mapping file
}

func goldenSetup(t *testing.T, name string) (setup caseSetup) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/golden", name, "setup.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return setup
	}
	if err == nil {
		decoder := yaml.NewDecoder(bytes.NewReader(data))
		decoder.KnownFields(true)
		err = decoder.Decode(&setup)
	}
	if err != nil {
		t.Fatalf("read setup of %s: %v", name, err)
	}
	return setup
}

func (s caseSetup) mapping(t *testing.T) *normalize.Mapping {
	t.Helper()
	files := []normalize.MappingFile{{Name: mappings.File, Data: mappings.Defensecom()}}
	if s.Mapping != "" {
		files = append(files, normalize.MappingFile{Name: "setup.yaml", Data: []byte(s.Mapping)})
	}
	m, err := normalize.ParseMappings(files, normalize.MappingOptions{LinkHosts: []string{"my.defense.com"}, Companies: s.Companies})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -run TestGolden -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
