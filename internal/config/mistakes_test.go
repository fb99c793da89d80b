package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/siemrelay/siemrelay/internal/config"
)

// TestMistakes has one file for each mistake, with the error beside it.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all := mistakes(t, newMachine(t), string(text))
			checkMistakes(t, string(text), all)
			checkNoSecret(t, all)
			errors := config.Errors{Mistakes: all}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", errors.Error()+"\n")
		})
	}
}

// checkMistakes asserts what holds for the mistakes of any file.
func checkMistakes(t *testing.T, text string, all []config.Mistake) {
	t.Helper()
	if len(all) == 0 {
		t.Error("an error without a mistake")
	}
	lines := 1
	for _, lineBreak := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} { // YAML 1.1 section 5.4
		lines += strings.Count(text, lineBreak)
	}
	for _, m := range all {
		if m.Line < 1 || m.Line > lines+1 || m.Column < 1 || m.File == "" || m.Text == "" {
			t.Errorf("no usable place or text: %+v", m)
		}
		if line := m.String(); strings.ContainsFunc(line, unicode.IsControl) || !utf8.ValidString(line) {
			t.Errorf("holds a control character or is not UTF-8: %q", line)
		}
	}
	if !slices.IsSortedFunc(all, func(a, b config.Mistake) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	}) {
		t.Errorf("not in the order of the file: %v", all)
	}
}

func checkNoSecret(t *testing.T, all []config.Mistake) {
	t.Helper()
	for _, m := range all {
		if strings.Contains(m.String(), canary) {
			t.Errorf("shows a secret: %s", m)
		}
	}
}

// TestMistakesHaveTheirFile finds texts whose file is gone.
func TestMistakesHaveTheirFile(t *testing.T) {
	texts, err := filepath.Glob("testdata/mistakes/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if _, err := os.Stat(strings.TrimSuffix(text, ".txt") + ".yaml"); err != nil {
			t.Errorf("%s belongs to no configuration: %v", text, err)
		}
	}
}

// TestMistakesCombine puts all faulty outputs into one file: none may hide another.
func TestMistakesCombine(t *testing.T) {
	const text = openReceiver + `spool: {retention: x, max_size: y}
outputs:
  - {name: A}
  - {name: b, type: nothing, start: z}
  - {name: c, type: file, file: {path: "", keep: -1}, batch: {max_events: 0, max_wait: q}}
log: {level: w}
nothing: 1
`
	var got []string
	for _, m := range mistakes(t, newMachine(t), text) {
		got = append(got, m.Key)
	}
	want := []string{
		"spool.retention", "spool.max_size", "outputs[0].type", "outputs[0].name",
		"outputs[1].type", "outputs[1].start", "outputs[2].file.path", "outputs[2].file.keep",
		"outputs[2].batch.max_events", "outputs[2].batch.max_wait", "log.level", "nothing",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
