//go:build mutants

package mutants

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is one broken rule: in file, old becomes broken, and a test of pkg that
// run selects must fail.
type mutant struct {
	name, file, old, broken, pkg, run string
}

var mutants = []mutant{
	{
		name:   "no fsync of the log",
		file:   "internal/spool/commit.go",
		old:    "if err := g.file.Sync(); err != nil {\n\t\ts.giveUp(g)\n\t\treturn diskError",
		broken: "if err := error(nil); err != nil {\n\t\ts.giveUp(g)\n\t\treturn diskError",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "no fsync of the directory",
		file:   "internal/spool/segment.go",
		old:    "err = s.fs.SyncDir(s.dirSegments())",
		broken: "err = nil",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "answer before fsync",
		file:   "internal/spool/commit.go",
		old:    "if err := s.write(g, b.buf[:size]); err != nil {",
		broken: "b.outcome = o\n\tclose(b.done)\n\tb.done = make(chan struct{})\n\tif err := s.write(g, b.buf[:size]); err != nil {",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "failed fsync is retried on the same file",
		file:   "internal/spool/commit.go",
		old:    "\t\ts.giveUp(g)\n\t\treturn diskError",
		broken: "\t\treturn diskError",
		pkg:    "./internal/spool", run: "NeverRetried",
	},
	{
		name:   "cursor is not synced",
		file:   "internal/spool/cursorfile.go",
		old:    "\tif err == nil {\n\t\terr = c.file.Sync()\n\t}",
		broken: "",
		pkg:    "./internal/spool", run: "PowerCut",
	},
	{
		name:   "segments that a cursor needs are released",
		file:   "internal/spool/release.go",
		old:    "if settled == 0 || next < settled {",
		broken: "if settled == 0 || next > settled {",
		pkg:    "./internal/spool", run: "NeverReleased|Model",
	},
	{
		name:   "directories of a killed process are taken for durable",
		file:   "internal/spool/spool.go",
		old:    "if err := s.fs.SyncDir(dir); err != nil {\n\t\t\treturn fmt.Errorf(\"sync directory: %w\", err)",
		broken: "if _ = dir; false {\n\t\t\treturn fmt.Errorf(\"sync directory: %w\", err)",
		pkg:    "./internal/spool", run: "KilledThenPowerCut",
	},
	{
		name:   "the cursor moves before the output has answered",
		file:   "internal/relay/relay.go",
		old:    "if !r.deliver(ctx, grace) || !r.commit(ctx) {",
		broken: "if !r.commit(ctx) || !r.deliver(ctx, grace) {",
		pkg:    "./internal/relay", run: "Test",
	},
	{
		name:   "the cursor passes dead letters that are not stored",
		file:   "internal/relay/delivery.go",
		old:    "for r.bury(ctx) {",
		broken: "for {",
		pkg:    "./internal/relay", run: "DeadLettersComeFirst|Model",
	},
	{
		name:   "dead letters that can't be stored are dropped",
		file:   "internal/relay/letter.go",
		old:    "if !r.wait(ctx, reasonDeadLetters, err) {",
		broken: "if r.letters = r.letters[:0]; false {",
		pkg:    "./internal/relay", run: "DeadLettersComeFirst|Model",
	},
	{
		name:   "events are poison though all others fail too",
		file:   "internal/relay/poison.go",
		old:    "return b.due() && done > b.done",
		broken: "return b.due()",
		pkg:    "./internal/relay", run: "ReceiverIsAtFault",
	},
	{
		name:   "no fsync of the output's file",
		file:   "outputs/file/file.go",
		old:    "if err := o.f.Sync(); err != nil {",
		broken: "if err := error(nil); err != nil {",
		pkg:    "./outputs/file", run: "Test",
	},
	{
		name:   "the door answers 200 without the store",
		file:   "internal/receiver/door.go",
		old:    "if err != nil {\n\t\treturn \"\", notStored // 503",
		broken: "if false {\n\t\treturn \"\", notStored // 503",
		pkg:    "./internal/receiver", run: "Test",
	},
	{
		name:   "a line break in a CEF value is not escaped",
		file:   "normalize/cef_escape.go",
		old:    "dst = append(dst, '\\\\', 'n')",
		broken: "dst = append(dst, '\\n')",
		pkg:    "./normalize", run: "Golden|CEF",
	},
	{
		name:   "no checksum of the payload",
		file:   "internal/spool/record.go",
		old:    "if checksum(payload) != h.payload {",
		broken: "if false {",
		pkg:    "./internal/spool", run: "FlippedBit|Torn",
	},
}

func TestEveryMutantIsCaught(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t, root)
			// It must compile, or its failure would say nothing.
			if out, err := goTest(root, overlay, m.pkg, "^$"); err != nil {
				t.Fatalf("the mutant does not compile: %v\n%s", err, out)
			}
			out, err := goTest(root, overlay, m.pkg, m.run)
			if err == nil {
				t.Fatalf("no test of %s %q fails", m.pkg, m.run)
			}
			if !bytes.Contains(out, []byte("--- FAIL")) {
				t.Fatalf("the tests broke down instead of failing: %v\n%s", err, out)
			}
		})
	}
}

// overlay writes the broken file beside the tree and returns the overlay that
// puts it in place of the good one.
func (m mutant) overlay(t *testing.T, root string) string {
	t.Helper()
	path := filepath.Join(root, m.file)
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), m.old); n != 1 {
		t.Fatalf("%s has %d places like %q, want 1: the mutant must follow the code", m.file, n, m.old)
	}
	dir := t.TempDir()
	broken := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(broken, []byte(strings.Replace(string(src), m.old, m.broken, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

func goTest(root, overlay, pkg, run string) ([]byte, error) {
	cmd := exec.Command("go", "test", "-overlay", overlay, "-vet=off", "-count=1", "-timeout=120s", "-run", run, pkg)
	cmd.Dir = root
	return cmd.CombinedOutput()
}
