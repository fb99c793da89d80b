package local_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
	"github.com/siemrelay/siemrelay/outputs/outputstest"
)

func TestSuite(t *testing.T) {
	outputstest.Run(t, outputstest.Harness{KeepsOrder: true, Setup: func(tb testing.TB) outputstest.Subject {
		path := filepath.Join(tb.TempDir(), "dir", "events.db")
		broken := filepath.Join(filepath.Dir(path), "elsewhere.db")
		return outputstest.Subject{
			New: func() (outputs.Output, error) {
				c := local.Default()
				c.Path = path
				return local.New(c, local.Options{Now: func() time.Time { return time.Date(2026, 7, 2, 0, 0, 0, 0, time.UTC) }})
			},
			Received: func() [][]byte { return stored(tb, path) },
			// A folder is where the file was.
			Break: func() {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					tb.Fatal(err)
				}
				if err := os.Rename(path, broken); err != nil && !os.IsNotExist(err) {
					tb.Fatal(err)
				}
				if err := os.MkdirAll(path, 0o700); err != nil {
					tb.Fatal(err)
				}
			},
			Mend: func() {
				if err := os.Remove(path); err != nil {
					tb.Fatal(err)
				}
				if err := os.Rename(broken, path); err != nil && !os.IsNotExist(err) {
					tb.Fatal(err)
				}
			},
			Spoil: func(body []byte) []byte { return append(body, '\n', 'x') },
		}
	}})
}

// stored returns the documents of a database in the order of their numbers.
func stored(tb testing.TB, path string) [][]byte {
	tb.Helper()
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(filepath.Dir(path), "elsewhere.db")
	}
	r, err := local.NewReader(local.ReaderOptions{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	var bodies [][]byte
	events, _, err := r.Events(context.Background(), local.Query{}, local.Page{Limit: 1_000_000})
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		bodies = append(bodies, e.Document)
	}
	return bodies
}
