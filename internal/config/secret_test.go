package config_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/siemrelay/siemrelay/internal/config"
)

// TestSecretNeverPrints tries everything that turns a value into text, with
// the secret in every position in which it may stand.
func TestSecretNeverPrints(t *testing.T) {
	m := newMachine(t)
	fromFile, err := config.NewSecretFile("/canary", m.options())
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]config.Secret{"literal": config.NewSecret(canary), "file": fromFile} {
		t.Run(name, func(t *testing.T) {
			if s.Value() != canary {
				t.Fatal("Value is not the secret")
			}
			for what, text := range printed(t, s) {
				if strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", canary)) {
					t.Errorf("%s shows the secret: %s", what, text)
				}
			}
			if s.String() != "***" || s.GoString() != "***" {
				t.Errorf("String and GoString give %s and %s", s.String(), s.GoString())
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v", "%T %[1]v"} {
				if got := fmt.Sprintf(verb, s); !strings.HasSuffix(got, "***") {
					t.Errorf("%s printed %s", verb, got)
				}
			}
		})
	}
}

// printed gives what the printers make of a secret by itself and in structs.
func printed(t *testing.T, s config.Secret) map[string]string {
	t.Helper()
	type exported struct{ S config.Secret }
	type unexported struct{ s config.Secret }
	values := map[string]any{
		"secret": s, "pointer": &s, "exported": exported{s}, "unexported": unexported{s}, "pointer to unexported": &unexported{s},
		"slice": []config.Secret{s}, "slice of unexported": []unexported{{s}}, "map": map[string]config.Secret{"k": s},
		"error":  fmt.Errorf("wrap: %v %w", s, errors.New("x")),
		"config": &config.Config{Receiver: config.Receiver{BasicAuth: []config.BasicAuth{{Username: "u", Password: s}}}},
	}
	texts := map[string]string{}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p"} {
			texts[name+" "+verb] = fmt.Sprintf(verb, value)
		}
		for encoder, encode := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal, "xml": xml.Marshal} {
			text, err := encode(value)
			if err != nil && encoder != "xml" { // xml has no maps
				t.Errorf("%s of %s: %v", encoder, name, err)
			}
			texts[name+" "+encoder] = string(text)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "k", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "k", value)
		texts[name+" slog"] = log.String()
	}
	return texts
}

// TestLoadedConfigNeverShowsSecrets prints a configuration as Load gave it.
func TestLoadedConfigNeverShowsSecrets(t *testing.T) {
	cfg := mustLoad(t, newMachine(t), withLogin("password: "+canary))
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	yamlText, err := yaml.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %s", cfg, cfg, cfg, text, yamlText)
	if strings.Contains(all, canary) {
		t.Errorf("shows a secret: %s", all)
	}
	if !strings.Contains(string(yamlText), "max_size: 10GiB") {
		t.Errorf("sizes are not readable in:\n%s", yamlText)
	}
}

func TestSecretIsSet(t *testing.T) {
	var none config.Secret
	if none.IsSet() || none.Value() != "" || !config.NewSecret("a").IsSet() {
		t.Error("IsSet or the zero value's text is wrong")
	}
}

// report is one call of Options.SecretRead.
type report struct {
	path string
	err  error
}

// watched returns a secret of the file /secret that reports to the list.
func watched(t *testing.T, m *machine) (config.Secret, *[]report) {
	t.Helper()
	var reports []report
	o := m.options()
	o.SecretRead = func(path string, err error) { reports = append(reports, report{path, err}) }
	s, err := config.NewSecretFile("/secret", o)
	if err != nil {
		t.Fatal(err)
	}
	return s, &reports
}

func TestSecretFileIsReadAgain(t *testing.T) {
	m := newMachine(t)
	s, reports := watched(t, m)
	m.write("/secret", "new\n")
	if got := s.Value(); got != canary+" file" {
		t.Errorf("within the second the value is %q", got)
	}
	m.now = m.now.Add(time.Second)
	if got := s.Value(); got != "new" {
		t.Errorf("after a second the value is %q", got)
	}
	if len(*reports) != 1 || (*reports)[0].err != nil || (*reports)[0].path != "/secret" {
		t.Errorf("reports: %v", *reports)
	}
	m.now = m.now.Add(time.Hour)
	s.Value()
	if len(*reports) != 1 {
		t.Errorf("an unchanged file is reported: %v", *reports)
	}
}

// TestSecretFileFails checks that each kind of failure keeps the last good
// value and is reported once, and that recovery is reported.
func TestSecretFileFails(t *testing.T) {
	for name, spoil := range map[string]func(m *machine){
		"gone":      func(m *machine) { delete(m.files, "secret") },
		"empty":     func(m *machine) { m.write("/secret", "") },
		"blank":     func(m *machine) { m.write("/secret", "\n") },
		"two lines": func(m *machine) { m.write("/secret", "a\nb\n") },
		"large":     func(m *machine) { m.write("/secret", strings.Repeat("a", 5000)) },
		"a folder":  func(m *machine) { m.files["secret"] = &fstest.MapFile{Mode: fs.ModeDir} },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s, reports := watched(t, m)
			spoil(m)
			for range 3 {
				m.now = m.now.Add(2 * time.Second)
				if got := s.Value(); got != canary+" file" {
					t.Fatalf("the value is %q", got)
				}
			}
			if len(*reports) != 1 || (*reports)[0].err == nil {
				t.Fatalf("reports: %v", *reports)
			}
			m.write("/secret", canary+" file\n")
			m.now = m.now.Add(2 * time.Second)
			s.Value()
			if len(*reports) != 2 || (*reports)[1].err != nil {
				t.Errorf("reports after the repair: %v", *reports)
			}
		})
	}
}

// TestSecretFileIsReadOncePerSecond counts how often the file is opened.
func TestSecretFileIsReadOncePerSecond(t *testing.T) {
	m := newMachine(t)
	opened := 0
	o := m.options()
	open := o.Open
	o.Open = func(path string) (fs.File, error) {
		opened++
		return open(path)
	}
	s, err := config.NewSecretFile("/secret", o)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		m.now = m.now.Add(100 * time.Millisecond)
		s.Value()
	}
	if opened != 11 {
		t.Errorf("opened %d times in 10 seconds, want 1 at first and 10 more", opened)
	}
}

// TestSecretFileOnDisk uses the real file system, and many readers at once
// while the file is replaced: each sees the old value or the new one.
func TestSecretFileOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	replace := func(value string) {
		if err := os.WriteFile(path+".new", []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace("old")
	var mu sync.Mutex
	now := time.Unix(0, 0)
	s, err := config.NewSecretFile(path, config.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second) // every call is due to read again
		return now
	}})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 200 {
				if v := s.Value(); v != "old" && v != "new" {
					t.Errorf("the value is %q", v)
				}
			}
		})
	}
	replace("new")
	readers.Wait()
	if v := s.Value(); v != "new" {
		t.Errorf("at last the value is %q", v)
	}
}

func TestNewSecretFileFails(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "no such file or directory",
		dir:                           "is not a regular file",
		pipe:                          "is not a regular file", // and nobody waits for its writer
	} {
		_, err := config.NewSecretFile(path, config.Options{})
		if want := fmt.Sprintf("read secret file %s: %s", path, want); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
