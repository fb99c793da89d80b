package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// filled is a rig with some events in the database file itself.
func filled(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	newTraffic(r).fill(300)
	r.close()
	return r
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// damages are what may become of a file.
func damages() map[string]func(b []byte) []byte {
	return map[string]func(b []byte) []byte{
		"no database": func([]byte) []byte {
			return []byte("this is no database, but it is long enough to be taken for one: " + strings.Repeat("x", 8192))
		},
		"a few bytes":        func([]byte) []byte { return []byte("not a database") },
		"cut in half":        func(b []byte) []byte { return b[:len(b)/2/4096*4096] },
		"cut within a page":  func(b []byte) []byte { return b[:len(b)-1000] },
		"tables are zero":    func(b []byte) []byte { clear(b[100:4096]); return b },
		"a page is garbage":  func(b []byte) []byte { copy(b[5*4096:6*4096], bytes.Repeat([]byte{0xa5}, 4096)); return b },
		"another's":          func(b []byte) []byte { copy(b[68:72], "nono"); return b },
		"all but the header": func(b []byte) []byte { return append(b[:4096:4096], bytes.Repeat([]byte{0xff}, len(b)-4096)...) },
	}
}

// TestDamageAtOpening: whatever the file has become, the next event is stored, the
// file is kept aside as it was, and the log says how to fill the new one.
func TestDamageAtOpening(t *testing.T) {
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			r := filled(t)
			damaged := damage(read(t, r.path))
			r.must(os.WriteFile(r.path, damaged, 0o600))
			r.open()
			r.send(1000, threat("next", "create"))
			if got := r.find(""); len(got) != 1 || got[0] != 1000 {
				t.Errorf("found %v", got)
			}
			if !bytes.Equal(read(t, r.path+".damaged-1"), damaged) {
				t.Error("the file that was kept aside is not the damaged one")
			}
			if said := r.said.String(); !strings.Contains(said, "level=ERROR") || !strings.Contains(said, `command="siemrelay replay --output local --since 2026-05-20"`) {
				t.Errorf("it was not said: %s", said)
			}
		})
	}
}

// TestDamageWhileOpen: damage that is met while the database is open is no outage: a
// reader says so, the next event begins a new one, and what is sent again fills it.
func TestDamageWhileOpen(t *testing.T) {
	for name, damage := range damages() {
		if name == "another's" || name == "cut within a page" { // which is not looked at again
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := filled(t)
			r.open()
			before := r.find("")
			if len(before) != 300 {
				t.Fatalf("%d events", len(before))
			}
			overwrite(t, r.path, damage(read(t, r.path)))
			var met error
			for _, text := range []string{"", "server", "risk:high", "vulnerable", "login", "kind:ticket"} {
				q, err := local.ParseQuery(text, r.clock())
				r.must(err)
				if _, _, err := r.Events(context.Background(), q, local.Page{Limit: 1000}); err != nil && met == nil {
					met = err
				}
			}
			if met != nil && !errors.Is(met, local.ErrDamaged) {
				t.Errorf("a reader says %v, want that it is damaged", met)
			}
			tr := newTraffic(r)
			tr.fill(300) // all that the spool still has
			tr.fill(10)
			if got := r.find(""); len(got) != 310 {
				t.Errorf("%d events are found after all was sent again, want 310; said: %.500s", len(got), r.said)
			}
			if found, err := r.Check(); err != nil || found != "ok" {
				t.Errorf("check: %s %v", found, err)
			}
		})
	}
}

// overwrite changes a file in place, as a bad disk does.
func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, 0)
	if err := errors.Join(err, f.Truncate(int64(len(b))), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedBits: with bits flipped anywhere, nothing panics, nothing that was not
// stored is shown, and the next event is stored.
func TestFlippedBits(t *testing.T) {
	r := filled(t)
	sound := read(t, r.path)
	documents := map[string]bool{}
	r.open()
	events, _, err := r.Events(context.Background(), local.Query{}, local.Page{Limit: 1000})
	r.must(err)
	for _, e := range events {
		documents[string(e.Document)] = true
	}
	r.close()
	random := rand.New(rand.NewPCG(3, 4))
	for i := range 12 {
		b := bytes.Clone(sound)
		for range 1 + i%8 {
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		}
		for _, suffix := range []string{"-wal", "-shm", ".suspect"} {
			os.Remove(r.path + suffix)
		}
		r.must(os.WriteFile(r.path, b, 0o600))
		r.open()
		for _, text := range []string{"", "server", "risk:high -login"} {
			q, err := local.ParseQuery(text, r.clock())
			r.must(err)
			events, _, err := r.Events(context.Background(), q, local.Page{Limit: 1000})
			if err != nil {
				continue
			}
			for _, e := range events {
				if !e.Damaged && !documents[string(e.Document)] {
					t.Fatalf("flip %d: shows a document that was never stored: %.300s", i, e.Document)
				}
			}
			r.Records(context.Background(), q, local.RecordPage{Limit: 100, Most: 100})
		}
		r.must(r.Send(context.Background(), []outputs.Message{clone(r.message(1000+i, threat("next", "create")))}))
		if got := r.find(fmt.Sprintf("id:%032x", (1000+i)*7919)); len(got) != 1 {
			t.Errorf("flip %d: the next event is found %d times", i, len(got))
		}
		r.close()
	}
}

// TestFileThatIsGone: a database that somebody deletes while it is open is made anew
// with the next event: what is called safe is in a file that is there.
func TestFileThatIsGone(t *testing.T) {
	r := newRig(t)
	r.send(1, threat("a", "create"))
	for _, suffix := range []string{"", "-wal"} {
		r.must(os.Remove(r.path + suffix))
	}
	if got := r.find(""); len(got) != 0 {
		t.Errorf("found %v in a file that is gone", got)
	}
	r.send(2, threat("b", "create"))
	r.close()
	r.open()
	if got := r.find(""); len(got) != 1 || got[0] != 2 {
		t.Errorf("found %v, want the event that was sent after", got)
	}
}

// TestReaderFirst: whoever opens the file first, the other can too; and no file for the
// index of the log is made, which a full disk has no room for.
func TestReaderFirst(t *testing.T) {
	r := newRig(t)
	if got := r.find(""); len(got) != 0 {
		t.Errorf("found %v where there is nothing", got)
	}
	r.send(1, threat("a", "create"))
	r.close()
	r.open()
	if got := r.find(""); len(got) != 1 {
		t.Errorf("found %v", got)
	}
	r.send(2, threat("b", "create"))
	if got := r.find(""); len(got) != 2 {
		t.Errorf("found %v", got)
	}
	if _, err := os.Stat(r.path + "-shm"); !os.IsNotExist(err) {
		t.Errorf("the index of the log is a file: %v", err)
	}
}

// TestNewerVersion: a database of a newer siemrelay is left alone.
func TestNewerVersion(t *testing.T) {
	r := filled(t)
	b := read(t, r.path)
	b[63] = 9 // user_version
	r.must(os.WriteFile(r.path, b, 0o600))
	r.open()
	err := r.Send(context.Background(), []outputs.Message{clone(r.message(1000, threat("a", "create")))})
	var notReady *outputs.NotReady
	if !errors.As(err, &notReady) || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("%v, want not ready", err)
	}
	if _, _, err := r.Events(context.Background(), local.Query{}, local.Page{Limit: 1}); err == nil {
		t.Error("it was read")
	}
}

// TestFullDisk: nothing of the batch is stored, nobody is blamed, and it goes on by
// itself.
func TestFullDisk(t *testing.T) {
	r := newRig(t)
	r.send(1, threat("a", "create"))
	r.must(r.LimitPages(3))
	var batch []outputs.Message
	for i := range 200 {
		batch = append(batch, clone(r.message(2+i, threat(fmt.Sprint("b", i), "create", "description", strings.Repeat(fmt.Sprintf("%d words ", i), 500)))))
	}
	err := r.Send(context.Background(), batch)
	if err == nil || !outputs.IsTransient(err) {
		t.Fatalf("%v, want a transient error", err)
	}
	if got := r.find(""); len(got) != 1 {
		t.Errorf("%d events are there, of a batch that failed", len(got)-1)
	}
	r.must(r.LimitPages(-1))
	r.must(r.Send(context.Background(), batch))
	if got := r.find(""); len(got) != 201 {
		t.Errorf("%d events, want 201", len(got))
	}
}
