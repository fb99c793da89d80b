package faults_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPageOfFaults: every test that docs/faults.md names is there, and every test of
// this package is on the page.
func TestPageOfFaults(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile("`[a-z/]+`|Test[A-Za-z0-9]+")
	there := map[string]map[string]bool{}
	named, rows := map[string]bool{}, 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || cells[1] == " fault " || strings.HasPrefix(cells[1], "---") {
			continue
		}
		rows++
		dir := ""
		for _, w := range word.FindAllString(cells[3], -1) {
			if strings.HasPrefix(w, "`") {
				dir = strings.Trim(w, "`")
				continue
			}
			if there[dir] == nil {
				there[dir] = testsOf(t, filepath.Join(root, dir))
			}
			if !there[dir][w] {
				t.Errorf("the page says %q of %q, and there is no such test", w, dir)
			}
			named[dir+" "+w] = true
		}
	}
	for name := range testsOf(t, ".") {
		if name != t.Name() && name != "TestMain" && !named["internal/faults "+name] {
			t.Errorf("%s is not on the page", name)
		}
	}
	if rows < 40 {
		t.Errorf("the page has %d rows", rows)
	}
}

// testsOf are the names of a folder's tests.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
