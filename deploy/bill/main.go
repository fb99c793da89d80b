// Command bill lists the modules that siemrelay is linked from, for people (the
// licences) and for tools (a software bill of materials as CycloneDX 1.6 JSON,
// https://cyclonedx.org/docs/1.6/json/). It says the same each time for the same
// go.mod: there is no time and no random number in it.
//
//	go run ./deploy/bill licences
//	go run ./deploy/bill sbom [VERSION]
//
// It fails where a module has no licence that it knows, or one that would bind what
// siemrelay is linked into: then a person must look.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bill:", err)
		os.Exit(1)
	}
}

func run(args []string, w io.Writer) error {
	if len(args) == 0 || args[0] != "licences" && args[0] != "sbom" {
		return errors.New("usage: bill licences | bill sbom [VERSION]")
	}
	modules, err := linked()
	if err != nil {
		return err
	}
	if args[0] == "licences" {
		return licences(w, modules)
	}
	version := "0.0.0-dev"
	if len(args) > 1 {
		version = args[1]
	}
	return sbom(w, modules, version)
}

// module is one that the binary holds code of.
type module struct {
	Path, Version, Sum, Dir string
	licence                 string // an SPDX expression
}

const goListFormat = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Sum}} {{.Dir}}{{end}}{{end}}`

// linked returns the modules of the binary that is released, by path.
func linked() ([]module, error) {
	cmd := exec.Command("go", "list", "-deps", "-f", goListFormat, "github.com/siemrelay/siemrelay/cmd/siemrelay") //nolint:noctx // it ends by itself
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	var modules []module
	for _, line := range slices.Compact(lines) {
		if line == "" { // of the standard library, and our own
			continue
		}
		f := strings.SplitN(line, " ", 4)
		if len(f) != 4 {
			return nil, fmt.Errorf("list modules: %q is not what was asked for", line)
		}
		m := module{Path: f[0], Version: f[1], Sum: f[2], Dir: f[3]}
		if m.licence, err = licenceOf(m.Dir); err != nil {
			return nil, fmt.Errorf("licence of %s: %w", m.Path, err)
		}
		modules = append(modules, m)
	}
	return modules, nil
}

func licences(w io.Writer, modules []module) error {
	var b bytes.Buffer
	b.WriteString("# The modules that siemrelay is linked from, and their licences (SPDX).\n# Made by \"make licences\"; \"make check\" compares.\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "%s %s %s\n", m.Path, m.Version, m.licence)
	}
	_, err := w.Write(b.Bytes())
	return err
}

var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)`)
	spaces      = regexp.MustCompile(`\s+`)
)

// thirdParty files of a module repeat the licences of what it was made from, and of
// what only its tests use: they go with its own licence, and are for people.
var thirdParty = regexp.MustCompile(`(?i)(3rd|third)-?party`)

// known tells licences by words that each has and no other.
var known = []struct{ name, sentence string }{
	{"Apache-2.0", "apache license, version 2.0"},
	{"Apache-2.0", "apache license version 2.0"},
	{"BSD-3-Clause", "to endorse or promote products"},
	{"MIT", "permission is hereby granted, free of charge"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"blessing", "may you do good and not evil"},
}

// binding are words of licences that a person must decide about.
var binding = []string{"gnu general public", "gnu affero", "gnu lesser", "mozilla public", "eclipse public", "server side public", "elastic license", "business source"}

func licenceOf(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) || thirdParty.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		found, err := recognise(string(text))
		if err != nil {
			return "", fmt.Errorf("%s: %w", e.Name(), err)
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		return "", errors.New("no licence that is known here")
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " AND "), nil
}

func recognise(text string) ([]string, error) {
	text = spaces.ReplaceAllString(strings.ToLower(text), " ")
	for _, words := range binding {
		if strings.Contains(text, words) {
			return nil, fmt.Errorf("it names a licence that a person must decide about: %s", words)
		}
	}
	var names []string
	for _, k := range known {
		if strings.Contains(text, k.sentence) {
			names = append(names, k.name)
		}
	}
	if strings.Contains(text, "redistribution and use in source and binary forms") && !slices.Contains(names, "BSD-3-Clause") {
		names = append(names, "BSD-2-Clause")
	}
	return names, nil
}

// The parts of CycloneDX that are used here.
type (
	document struct {
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type       string       `json:"type"`
		Ref        string       `json:"bom-ref"`
		Name       string       `json:"name"`
		Version    string       `json:"version"`
		Licenses   []expression `json:"licenses,omitempty"`
		PURL       string       `json:"purl"`
		Properties []property   `json:"properties,omitempty"`
	}
	expression struct {
		Expression string `json:"expression"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

func sbom(w io.Writer, modules []module, version string) error {
	purl := func(path, version string) string { return "pkg:golang/" + path + "@" + version }
	root := purl("github.com/siemrelay/siemrelay", version)
	d := document{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata:     metadata{component{Type: "application", Ref: root, Name: "siemrelay", Version: version, PURL: root}},
		Dependencies: []dependency{{Ref: root}},
	}
	for _, m := range modules {
		ref := purl(m.Path, m.Version)
		d.Components = append(d.Components, component{
			Type: "library", Ref: ref, Name: m.Path, Version: m.Version, PURL: ref,
			Licenses: []expression{{m.licence}},
			// The hash of go.sum is one over a list of files, not of one file: it has
			// no place among the hashes of CycloneDX.
			Properties: []property{{"siemrelay:go.sum", m.Sum}},
		})
		d.Dependencies[0].On = append(d.Dependencies[0].On, ref)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}
