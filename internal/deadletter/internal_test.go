package deadletter

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHowTheFileIsKept: what no test from outside can see without cutting the power.
func TestHowTheFileIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deadletters.db")
	for range 2 {
		s, err := Open(Options{Path: path, MaxSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + "-shm"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the index of the log is a file (%v), which a full disk has no room for", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(Options{Path: path, MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for pragma, want := range map[string]string{
		"synchronous":  "2", // full: synced at every commit
		"journal_mode": "wal",
		"locking_mode": "exclusive",
		"cache_size":   "-2048", // KiB
	} {
		var got string
		if err := s.db.db.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
}

// TestLookUpsUseAnIndex: with a gigabyte of letters the others would take seconds.
func TestLookUpsUseAnIndex(t *testing.T) {
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "deadletters.db"), MaxSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []struct{ query, index string }{
		{selectWithBody + ` WHERE output = 'o' AND state = 1 AND letters.id NOT IN (SELECT value FROM json_each('[]')) ORDER BY sequence, pass LIMIT 1`, "letters_queued"},
		{`SELECT id FROM letters WHERE output = 'o' AND sequence = 1 AND pass = 0`, "letters_key"},
		{`UPDATE letters SET settled = 1 WHERE output = 'o' AND settled = 0`, "letters_unsettled"},
		{`DELETE FROM letters WHERE state = 0 AND output = 'o' AND sequence IN (SELECT value FROM json_each('[1]'))`, "letters_key"},
	} {
		plan := planOf(t, s.db.db, c.query)
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "SCAN letters") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nis planned as\n%s\nwant a search with %s and no sorting", c.query, plan, c.index)
		}
	}
}

func planOf(t *testing.T, db *sql.DB, query string) string {
	rows, err := db.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	return plan.String()
}
