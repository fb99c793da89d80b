package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/siemrelay/siemrelay/"

// ours lists the packages of the module, each with the packages of the module
// that it depends on, tests left out.
func ours(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Deps", "../../...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	deps := map[string][]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			ImportPath string
			Deps       []string
		}
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			return deps
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(pkg.ImportPath, module)
		deps[name] = []string{}
		for _, dep := range pkg.Deps {
			if dep, ok := strings.CutPrefix(dep, module); ok {
				deps[name] = append(deps[name], dep)
			}
		}
	}
}

// within tells whether pkg is the folder or below it.
func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

func TestImportRules(t *testing.T) {
	deps := ours(t)
	// The data flow, in order: a stage never imports one before it.
	stages := []string{"internal/receiver", "internal/spool", "internal/relay", "outputs"}
	for pkg, its := range deps {
		for _, dep := range its {
			for i, before := range stages {
				for _, stage := range stages[i+1:] {
					if within(pkg, stage) && within(dep, before) {
						t.Errorf("%s imports %s: a stage never imports the stage before it", pkg, dep)
					}
				}
			}
			switch {
			case within(pkg, "outputs") && within(dep, "outputs") && dep != "outputs" && dep != "outputs/outputstest" && !within(dep, pkg):
				t.Errorf("%s imports %s: no output imports another", pkg, dep)
			case within(pkg, "outputs") && dep == "normalize":
				t.Errorf("%s imports %s: an output sees bytes, never ECS or CEF", pkg, dep)
			case within(pkg, "normalize") && !within(dep, "normalize") && dep != "internal/suggest": // as pure
				t.Errorf("%s imports %s: normalize is pure", pkg, dep)
			case within(pkg, "mappings"):
				t.Errorf("%s imports %s: mappings is data", pkg, dep)
			case within(dep, "cmd"):
				t.Errorf("%s imports %s: commands are the end of the line", pkg, dep)
			}
		}
	}
	// A rule that looks at nothing would always hold.
	if !slices.Contains(deps["cmd/siemrelay"], "outputs/file") || len(deps["internal/relay"]) == 0 {
		t.Errorf("the list of dependencies is not what it was: %v", deps)
	}
}

func TestNoPackageIsCalledAfterNothing(t *testing.T) {
	for pkg := range ours(t) {
		for _, name := range []string{"utils", "util", "common", "helpers", "types", "misc"} {
			if pkg == name || strings.HasSuffix(pkg, "/"+name) {
				t.Errorf("package %s: a package is called after what it does", pkg)
			}
		}
	}
}
