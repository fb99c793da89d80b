package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/config"
)

// FuzzLoad checks that any file gives a configuration or mistakes with places,
// and that no mistake shows what came from the environment or another file.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/mistakes/*.yaml", "../../docs/examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	m := newMachine(f)
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := m.load(text)
		var all *config.Errors
		switch {
		case err == nil && cfg == nil:
			t.Error("neither a configuration nor an error")
		case err == nil:
			checkComplete(t, cfg)
		case !errors.As(err, &all):
			t.Errorf("not mistakes: %v", err)
		default:
			checkMistakes(t, text, all.Mistakes)
			if !strings.Contains(text, canary) { // else the file itself may show it
				checkNoSecret(t, all.Mistakes)
			}
		}
	})
}

// checkComplete asserts what holds for every configuration that is accepted.
func checkComplete(t *testing.T, cfg *config.Config) {
	t.Helper()
	r := cfg.Receiver
	if (len(r.BasicAuth) == 0) != r.InsecureNoAuth || (r.TLS == config.TLS{}) != r.InsecureHTTP {
		t.Errorf("receiver without protection: %+v", r)
	}
	if r.Listen == "" || r.Path == "" || r.Path[0] != '/' || r.ReadTimeout <= 0 || r.MaxBody <= 0 || cfg.Spool.MaxSize < r.MaxBody {
		t.Errorf("unusable: %+v", cfg)
	}
	for _, login := range r.BasicAuth {
		if login.Username == "" || login.Password.Value() == "" {
			t.Errorf("empty login: %+v", login)
		}
	}
	names := map[string]bool{}
	for _, o := range cfg.Outputs {
		if o.Name == "" || names[o.Name] || o.Format == "" || o.Settings == nil || o.Retry.Min > o.Retry.Max {
			t.Errorf("unusable output: %+v", o)
		}
		names[o.Name] = true
	}
	if len(names) == 0 {
		t.Error("no outputs")
	}
}
