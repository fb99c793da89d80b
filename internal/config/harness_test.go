package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// canary is in every secret of these tests, and in every value that comes from
// outside a configuration file. It must never come out.
const canary = "c4nary"

// machine is an environment and a file system in memory.
type machine struct {
	files fstest.MapFS
	env   map[string]string
	now   time.Time
}

// newMachine has what the configurations in testdata and docs/examples ask for.
func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{
		files: fstest.MapFS{},
		now:   time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		env: map[string]string{
			"CANARY": canary, "EMPTY": "", "LINES": canary + "\n" + canary, "TEN": "10",
			"YAML": "{a: b}\n- " + canary, "TRUE": "true", "SIZE": "2MiB", "DURATION": "3s",
			"DOLLARS": "${env:CANARY}$$",
		},
	}
	cert, key := keyPair(t, m.now.Add(24*time.Hour))
	_, otherKey := keyPair(t, m.now.Add(24*time.Hour))
	oldCert, oldKey := keyPair(t, m.now.Add(-24*time.Hour))
	for path, text := range map[string]string{
		"/tls.crt": cert, "/tls.key": key, "/other.key": otherKey, "/old.crt": oldCert, "/old.key": oldKey,
		"/secret": canary + " file\n", "/crlf": canary + "\r\n", "/canary": canary, "/port": "9000\n",
		"/empty": "", "/newline": "\n", "/lines": canary + "\n" + canary + "\n",
		"/large": strings.Repeat(canary, 1000), "/binary": canary + "\x00",
	} {
		m.write(path, text)
	}
	m.files["folder"] = &fstest.MapFile{Mode: fs.ModeDir | 0o700}
	return m
}

func (m *machine) write(path, text string) {
	m.files[strings.TrimPrefix(path, "/")] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
}

// options has an output with settings, and one without and with no format of its own.
func (m *machine) options() config.Options {
	return config.Options{
		Types: []config.OutputType{
			{Name: "file", Settings: func() any { return &fileSettings{MaxSize: 100 * config.MiB, Keep: 10} }, DefaultFormat: "ecs"},
			{Name: "discard", Settings: func() any { return &struct{}{} }},
		},
		Formats:     []string{"ecs", "cef"},
		CheckFilter: checkFilter,
		Getenv: func(name string) (string, bool) {
			value, ok := m.env[name]
			return value, ok
		},
		Open: func(path string) (fs.File, error) {
			return m.files.Open(strings.TrimPrefix(path, "/"))
		},
		Now: func() time.Time { return m.now },
	}
}

// checkFilter refuses what has the word high or a secret in it, and repeats it.
func checkFilter(text string) error {
	if strings.Contains(text, "high") || strings.Contains(text, canary) {
		return fmt.Errorf("unknown name in\n%s", text)
	}
	return nil
}

// load reads text as the file siemrelay.yaml.
func (m *machine) load(text string) (*config.Config, error) {
	m.write("siemrelay.yaml", text)
	return config.Load("siemrelay.yaml", m.options())
}

// fileSettings is an output's settings as the package comment describes them.
type fileSettings struct {
	Path    string      `yaml:"path" required:"the path of a file, or - for standard output" doc:"The file."`
	MaxSize config.Size `yaml:"max_size" min:"4KiB" doc:"Size."`
	Keep    int         `yaml:"keep" max:"1000" doc:"Files."`
}

func (s *fileSettings) Validate(report func(key, format string, args ...any)) {
	if strings.HasSuffix(s.Path, "/") {
		report("path", "is a directory; name a file in it, or %s", "-")
	}
}

const (
	// minimal is the shortest configuration there is.
	minimal = openReceiver + oneOutput
	// openReceiver takes webhooks from anybody.
	openReceiver = "receiver: {insecure_http: true, insecure_no_auth: true}\n"
	oneOutput    = "outputs: [{name: a, type: file, file: {path: \"-\"}}]\n"
)

// withLogin is a configuration whose one login has the lines given.
func withLogin(lines ...string) string {
	return "receiver:\n  insecure_http: true\n  basic_auth:\n    - username: defense\n      " +
		strings.Join(lines, "\n      ") + "\n" + oneOutput
}

func mustLoad(t *testing.T, m *machine, text string) *config.Config {
	t.Helper()
	cfg, err := m.load(text)
	if err != nil {
		t.Fatalf("load:\n%s\n%v", text, err)
	}
	return cfg
}

// mistakes returns what is wrong with text.
func mistakes(t *testing.T, m *machine, text string) []config.Mistake {
	t.Helper()
	_, err := m.load(text)
	var all *config.Errors
	if !errors.As(err, &all) {
		t.Fatalf("load gave %v instead of mistakes:\n%s", err, text)
	}
	return all.Mistakes
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update and look at the change\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// keyPair makes a certificate that is valid until the time given, and its key.
func keyPair(t testing.TB, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "relay.example.com"},
		NotBefore:    until.Add(-1000 * time.Hour),
		NotAfter:     until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER)
}
