package main

import (
	"os"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/config"
)

// The reference page is made from the types that package config's tests know; an
// output that is registered here and not there would be missing.
func TestEveryKeyIsOnTheReferencePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Keys(configOptions()) {
		// The page leaves out what its section says already.
		found := false
		for name, rest := k.Path, true; rest && !found; _, name, rest = strings.Cut(name, ".") {
			found = strings.Contains(string(page), "`"+name+"`")
		}
		if !found {
			t.Errorf("docs/configuration.md does not have %s", k.Path)
		}
	}
}
