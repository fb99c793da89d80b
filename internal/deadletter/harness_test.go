package deadletter_test

import (
	"bytes"
	stdsql "database/sql"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", modelChecks); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const name = "deadletters.db"

func options(dir string) deadletter.Options {
	return deadletter.Options{Path: filepath.Join(dir, name), MaxSize: 1 << 20}
}

func open(t testing.TB, o deadletter.Options) *deadletter.Store {
	t.Helper()
	s, err := deadletter.Open(o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// letter is what a relay hands over.
func letter(output string, pass, sequence uint64) deadletter.Letter {
	at := time.Date(2026, 3, 1, 12, 0, 0, int(sequence), time.UTC)
	return deadletter.Letter{
		Output: output, Pass: pass, Sequence: sequence, EventID: "0123456789abcdef0123456789abcdef",
		Accepted: at, PossibleRetry: true, Overwrite: true, Kind: "threat", Company: "42", Record: "7", Title: "Malware", Code: "threat.create",
		Reason: "refused", Error: "mapper_parsing_exception", Tries: 1, First: at.Add(time.Second), Refused: at.Add(2 * time.Second),
		Body: []byte(`{"record_type":"threat"}`),
	}
}

func letters(output string, sequences ...uint64) []deadletter.Letter {
	ls := make([]deadletter.Letter, len(sequences))
	for i, sequence := range sequences {
		ls[i] = letter(output, 0, sequence)
	}
	return ls
}

// settled puts letters as a relay does whose cursor then passes them.
func settled(t testing.TB, s *deadletter.Store, ls ...deadletter.Letter) {
	t.Helper()
	if err := s.Put(ls); err != nil {
		t.Fatalf("put: %v", err)
	}
	for _, l := range ls {
		s.Settle(l.Output, l.Pass)
	}
}

// sequences lists those of the selected letters, by number.
func sequences(t testing.TB, s *deadletter.Store, sel deadletter.Selection) []uint64 {
	t.Helper()
	ls, err := s.List(sel, 1000, 0)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	found := make([]uint64, len(ls))
	for i, l := range ls {
		found[i] = l.Sequence
	}
	return found
}

// scratch is a directory in memory where there is one: the models make thousands of
// commits, and no power cut is simulated that could tell the difference.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "deadletter-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// crashed copies the files as they are on disk, which is what a kill -9 leaves, and
// returns the directory of the copy.
func crashed(t testing.TB, dir string) string {
	t.Helper()
	to := scratch(t)
	for _, file := range []string{name, name + "-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// logTo returns a logger and what it has written.
func logTo() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

// sql changes the database behind the store's back, while it is closed.
func sql(t testing.TB, dir, statement string) {
	t.Helper()
	db, err := stdsql.Open("sqlite", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

// metric returns a metric's value; where it has a label, that of the given value.
func metric(t testing.TB, reg *prometheus.Registry, name string, label ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(label) == 0 || m.GetLabel()[0].GetValue() == label[0]) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %v", name, label)
	return 0
}
