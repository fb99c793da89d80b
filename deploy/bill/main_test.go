package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLicences: a module that comes, goes or changes its licence is seen by a person.
func TestLicences(t *testing.T) {
	want, err := os.ReadFile("../licences.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := run([]string{"licences"}, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("deploy/licences.txt is not what is linked; look at the licences and run make licences (-there, +linked):\n%s", diff)
	}
}

func TestBillOfMaterials(t *testing.T) {
	var first, second, list bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{"sbom", "v1.2.3"}, w); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("two bills of the same sources differ")
	}
	var d document
	if err := json.Unmarshal(first.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("it is of version %q", d.Metadata.Component.Version)
	}
	if err := run([]string{"licences"}, &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Components {
		if !strings.Contains(list.String(), c.Name+" "+c.Version+" "+c.Licenses[0].Expression+"\n") {
			t.Errorf("%s is not in the list of licences", c.Name)
		}
		if !strings.HasPrefix(c.Properties[0].Value, "h1:") {
			t.Errorf("%s has the hash %q", c.Name, c.Properties[0].Value)
		}
	}
	if lines := strings.Count(list.String(), "\n") - 2; len(d.Components) != lines || lines < 20 {
		t.Errorf("%d components, %d licences", len(d.Components), lines)
	}
}

func TestRecognise(t *testing.T) {
	bsd := "Redistribution and use in source and binary\nforms, with or without modification"
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":   "Apache-2.0",
		"Licensed under the Apache License, Version 2.0": "Apache-2.0",
		bsd: "BSD-2-Clause",
		bsd + "\n * Neither the\n names of the authors may be used to\n endorse or promote products": "BSD-3-Clause",
		"Permission is hereby granted, free of charge, to any person. " + bsd:                        "MIT BSD-2-Clause",
		"All rights reserved.": "",
	} {
		got, err := recognise(text)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"GNU GENERAL PUBLIC LICENSE\nVersion 3", "Mozilla Public License Version 2.0"} {
		if got, err := recognise(text); err == nil {
			t.Errorf("%q passes as %v", text, got)
		}
	}
}
