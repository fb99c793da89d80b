package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/file"
	"github.com/siemrelay/siemrelay/outputs/kafka"
	"github.com/siemrelay/siemrelay/outputs/local"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

const (
	page     = "../../docs/configuration.md"
	examples = "../../docs/examples/"
)

// shipped is what the built program offers; the page and the examples are about that.
func shipped(m *machine) config.Options {
	o := m.options()
	o.Formats = normalize.Formats()
	o.CheckFilter = func(text string) error {
		_, err := relay.ParseFilter(text)
		return err
	}
	o.Types = []config.OutputType{{
		Name:          "file",
		Settings:      func() any { c := file.Default(); return &c },
		DefaultFormat: "ecs",
	}, {
		Name:          "syslog",
		Settings:      func() any { c := syslog.Default(); return &c },
		DefaultFormat: "cef",
	}, {
		Name:          "elasticsearch",
		Settings:      func() any { c := elasticsearch.Default(); return &c },
		DefaultFormat: "ecs",
	}, {
		Name:          "kafka",
		Settings:      func() any { c := kafka.Default(); return &c },
		DefaultFormat: "ecs",
	}, {
		Name:          "local",
		Settings:      func() any { c := local.Default(); return &c },
		DefaultFormat: "ecs",
		NeedsECS:      true,
	}}
	return o
}

// exampleMachine has the files and variables that the examples name.
func exampleMachine(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	m.env = map[string]string{"OLD_WEBHOOK_PASSWORD": canary, "CLOUD_API_KEY": canary, "OPENSEARCH_PASSWORD": canary, "KAFKA_PASSWORD": canary, "WALLBOARD_PASSWORD": canary + canary}
	for _, dir := range []string{"etc/siemrelay", "run/secrets"} {
		m.files[dir+"/tls.crt"], m.files[dir+"/tls.key"] = m.files["tls.crt"], m.files["tls.key"]
		m.write(dir+"/webhook-password", canary+"\n")
		m.write(dir+"/webhook-username", "defense\n")
		m.write(dir+"/ada-password", canary+canary+"\n")
		m.write(dir+"/analysts-password", canary+canary+"\n")
		m.write(dir+"/es-key", canary+"\n")
		m.write(dir+"/kafka-password", canary+"\n")
		m.write(dir+"/mapping.yaml", read(t, examples+"mappings/mapping.yaml"))
	}
	return m
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob(examples + "*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m := exampleMachine(t)
			m.write("siemrelay.yaml", read(t, path))
			cfg, err := config.Load("siemrelay.yaml", shipped(m))
			if err != nil {
				t.Fatal(err)
			}
			if len(cfg.Warnings) > 0 {
				t.Errorf("warnings: %v", cfg.Warnings)
			}
		})
	}
}

// TestFullExampleIsFull checks that full.yaml has every key, and the default
// of each that has one.
func TestFullExampleIsFull(t *testing.T) {
	m := exampleMachine(t)
	text := read(t, examples+"full.yaml")
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{}
	collect(given, tree, "")
	for path := range given { // a map's keys stand for any
		if _, rest, found := strings.Cut(path, "companies.123."); found {
			given["companies[]."+rest] = true
		}
	}
	for _, k := range config.Keys(shipped(m)) {
		if !given[k.Path] {
			t.Errorf("%s is not in the example", k.Path)
		}
	}

	m.write("siemrelay.yaml", text)
	got, err := config.Load("siemrelay.yaml", shipped(m))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	first := got.Outputs[0]
	got.Receiver.TLS, got.Receiver.BasicAuth, got.Receiver.Allow, got.Outputs = config.TLS{}, nil, nil, nil
	got.Mappings, got.MappingFiles, got.Companies = nil, nil, nil
	got.Admin.TLS, got.Admin.Users, got.Admin.Hosts = config.AdminTLS{}, nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not the defaults: -default +example:\n%s", diff)
	}
	output := config.DefaultOutput("archive", shipped(m).Types[0])
	output.Settings.(*file.Config).Path = "/var/log/siemrelay/events.ndjson"
	if diff := cmp.Diff(output, first, anywhere); diff != "" {
		t.Errorf("not the defaults of an output: -default +example:\n%s", diff)
	}
}

// collect notes the path of every key in a YAML tree, as config.Keys writes it.
func collect(given map[string]bool, tree any, path string) {
	switch node := tree.(type) {
	case map[string]any:
		for key, value := range node {
			inner := strings.TrimPrefix(path+"."+key, ".")
			given[inner] = true
			collect(given, value, inner)
		}
	case map[any]any: // of which a key looks like a number
		for key, value := range node {
			collect(given, map[string]any{fmt.Sprint(key): value}, path)
		}
	case []any:
		for _, item := range node {
			collect(given, item, path+"[]")
		}
	}
}

// TestReferencePage checks the parts of docs/configuration.md that are made
// from the structs and the examples.
func TestReferencePage(t *testing.T) {
	m := exampleMachine(t)
	faulty := read(t, "testdata/reference/siemrelay.yaml")
	m.write("siemrelay.yaml", faulty)
	_, err := config.Load("siemrelay.yaml", shipped(m))
	if err == nil {
		t.Fatal("the faulty example has no mistake")
	}
	if strings.Contains(err.Error(), "umbrella") {
		t.Errorf("shows a secret: %v", err)
	}
	text := read(t, page)
	for name, content := range map[string]string{
		"minimal":  fence("yaml", read(t, examples+"minimal.yaml")),
		"faulty":   fence("yaml", faulty),
		"mistakes": fence("text", err.Error()+"\n"),
		"keys":     keyTables(shipped(m)),
	} {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, found := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no place for %s", page, name)
		}
		text = before + begin + content + end + after
	}
	golden(t, page, text)
}

// TestFiltersOfThePage checks each expression in its table of examples.
func TestFiltersOfThePage(t *testing.T) {
	_, table, found := strings.Cut(read(t, page), "| `when` | lets pass |\n|---|---|\n")
	table, _, closed := strings.Cut(table, "\n\n")
	if !found || !closed {
		t.Fatal("no table of filters")
	}
	check := shipped(newMachine(t)).CheckFilter
	for row := range strings.SplitSeq(table, "\n") {
		text, _, found := strings.Cut(strings.TrimPrefix(row, "| `"), "` |")
		if err := check(text); err != nil || !found {
			t.Errorf("%s: %v", row, err)
		}
	}
}

// TestCompaniesOfThePage reads its example.
func TestCompaniesOfThePage(t *testing.T) {
	_, example, found := strings.Cut(read(t, page), "```yaml\ncompanies:")
	example, _, closed := strings.Cut(example, "```")
	if !found || !closed {
		t.Fatal("no example")
	}
	if got := mustLoad(t, newMachine(t), minimal+"companies:"+example); len(got.Companies) != 2 || got.Companies["123"].Namespace != "acme" {
		t.Errorf("got %v", got.Companies)
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	for _, k := range config.Keys(shipped(newMachine(t))) {
		if !strings.HasSuffix(k.Doc, ".") || k.Type == "" || k.Default == "" {
			t.Errorf("incomplete: %+v", k)
		}
	}
}

// keyTables writes a table for each section, that of the keys without one first.
func keyTables(o config.Options) string {
	const top = "Top level"
	sections, rows := []string{top}, map[string]string{}
	cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
	for _, k := range config.Keys(o) {
		section, name, nested := strings.Cut(k.Path, ".")
		if !nested {
			section, name = top, k.Path
		}
		section = strings.TrimSuffix(section, "[]")
		for _, t := range o.Types {
			if strings.HasPrefix(k.Path, "outputs[]."+t.Name+".") {
				section = "outputs, type: " + t.Name
			}
		}
		if !slices.Contains(sections, section) {
			sections = append(sections, section)
		}
		rows[section] += fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, cell(k.Type), cell(k.Default), cell(k.Doc))
	}
	var b strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "\n### %s\n\n| key | type | default | meaning |\n|---|---|---|---|\n%s", s, rows[s])
	}
	return b.String() + "\n"
}

func fence(language, text string) string {
	return "```" + language + "\n" + text + "```\n"
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
