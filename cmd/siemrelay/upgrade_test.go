package main_test

import (
	"bytes"
	le "encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/endtoend"
)

// older are the folders of testdata/upgrade, each made by a real build of the version
// before a change of the files: see make.sh there.
//
//   - spine: segments and cursors without accounts, no dead letters
//   - ledger: accounts, dead letters, rejected bodies, the note of the log's end
var older = []string{"spine", "ledger"}

// inherit makes a rig whose spool is a copy of what an older version left, and returns
// the ids that it had answered.
func inherit(t *testing.T, version string) (*endtoend.Rig, []string) {
	t.Helper()
	from := filepath.Join("testdata", "upgrade", version)
	spool := filepath.Join(t.TempDir(), "spool")
	if err := os.CopyFS(spool, os.DirFS(filepath.Join(from, "spool"))); err != nil {
		t.Fatal(err)
	}
	accepted, err := os.ReadFile(filepath.Join(from, "accepted"))
	if err != nil {
		t.Fatal(err)
	}
	r := endtoend.NewRig(t, endtoend.Setup{
		Binary: binary, SpoolDir: spool, MaxSize: "16MiB",
		Outputs: []endtoend.Output{{Format: "ecs", Name: "done"}, {Format: "ecs", Name: "behind"}},
	})
	return r, strings.Fields(string(accepted))
}

// delivered are the ids and titles that an output has.
func delivered(t *testing.T, o endtoend.Output) (ids, titles []string) {
	t.Helper()
	text, err := os.ReadFile(o.Path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var doc struct {
			Message string
			Event   struct{ ID string }
		}
		if err := json.Unmarshal(line, &doc); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		ids, titles = append(ids, doc.Event.ID), append(titles, doc.Message)
	}
	return ids, titles
}

// TestUpgrade: the backlog of an older version is delivered, from where each output
// was, under the ids that its sender was answered.
func TestUpgrade(t *testing.T) {
	for _, version := range older {
		t.Run(version, func(t *testing.T) {
			r, accepted := inherit(t, version)
			if before, _ := r.Status().Output("behind"); before.Pending != 4 {
				t.Errorf("before the start %d events are pending, want 4", before.Pending)
			}
			p := r.Start()
			r.AwaitDrained()
			mustPost(t, r.Client(), "the next")
			r.AwaitDrained()
			ids, titles := delivered(t, r.Outputs[1])
			if want := []string{"Event 5", "Event 6", "Event 7", "Event 8", "the next"}; !slices.Equal(titles, want) {
				t.Errorf("delivered to the output that was behind: %q, want %q", titles, want)
			}
			if len(ids) != 5 || !slices.Equal(ids[:4], accepted[4:]) || slices.Contains(accepted, ids[4]) {
				t.Errorf("ids %q; answered were %q", ids, accepted[4:])
			}
			if _, titles := delivered(t, r.Outputs[0]); !slices.Equal(titles, []string{"the next"}) {
				t.Errorf("delivered again to the output that had all: %q", titles)
			}
			for name, a := range r.Accounts() {
				if a.Pending+a.Dead+a.Dropped+a.Unreadable != 0 || a.Delivered == 0 {
					t.Errorf("account of %s: %+v", name, a)
				}
			}
			if rejected := r.Status().Rejected; version == "ledger" && rejected != 2 {
				t.Errorf("%d rejected bodies, want 2", rejected)
			}
			r.Stop(p)
		})
	}
}

// newer makes a file one of the next format version: the version and the checksum
// that follow from it.
func newer(t *testing.T, pattern string, structures ...[3]int) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range structures {
		start, version, sum := s[0], s[0]+s[1], s[0]+s[2]
		le.LittleEndian.PutUint32(b[version:], 3)
		le.LittleEndian.PutUint32(b[sum:], crc32.Checksum(b[start:sum], crc32.MakeTable(crc32.Castagnoli)))
	}
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDowngradeRefused: what a newer version wrote is refused with an exit code after
// which no supervisor tries again, and stays as it is.
func TestDowngradeRefused(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(t *testing.T, spool string)
	}{
		{"spool.meta", func(t *testing.T, spool string) { newer(t, filepath.Join(spool, "spool.meta"), [3]int{0, 8, 40}) }},
		{"open segment", func(t *testing.T, spool string) {
			newer(t, filepath.Join(spool, "segments", "*.log"), [3]int{0, 4, 44})
		}},
		{"open cursor behind", func(t *testing.T, spool string) {
			newer(t, filepath.Join(spool, "cursors", "behind.cursor"), [3]int{0, 4, 124}, [3]int{512, 4, 124})
		}},
		{"deadletters.db", func(t *testing.T, spool string) {
			f, err := os.OpenFile(filepath.Join(spool, "deadletters.db"), os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte{0, 0, 0, 3}, 60) // user_version in SQLite's header
			}
			if err == nil {
				err = f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			r, _ := inherit(t, "ledger")
			c.change(t, r.SpoolDir)
			before := contents(t, r.SpoolDir)
			for _, command := range []string{"serve", "status"} {
				ran := r.Run(command)
				if ran.Code != 78 || !strings.Contains(ran.Err, "newer version") || !strings.Contains(ran.Err, c.what) {
					t.Errorf("%s: exit code %d, %q; want 78 and that %s is of a newer version", command, ran.Code, ran.Err, c.what)
				}
			}
			if after := contents(t, r.SpoolDir); after != before {
				t.Errorf("the spool was\n%sand is\n%s", before, after)
			}
		})
	}
}

// contents lists the files below dir but the lock, with a checksum of each.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "spool.lock" {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(&list, "%s %08x\n", path, crc32.ChecksumIEEE(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}
