package deadletter_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/siemrelay/siemrelay/internal/deadletter"
)

// TestDamage: whatever the file has become, the store opens, the file is kept aside,
// and what is gone is counted.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
	}{
		{"garbage", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, name), func([]byte) []byte { return bytes.Repeat([]byte("garbage "), 5000) })
		}},
		{"a few bytes", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, name), func([]byte) []byte { return []byte("not a database") })
		}},
		{"the tables' page is zero", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, name), func(b []byte) []byte { clear(b[100:4096]); return b })
		}},
		{"a page in the middle is garbage", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, name), func(b []byte) []byte {
				copy(b[4096:8192], bytes.Repeat([]byte{0xa5}, 4096))
				return b
			})
		}},
		{"cut in half", func(t *testing.T, dir string) {
			rewrite(t, filepath.Join(dir, name), func(b []byte) []byte { return b[:len(b)/2] })
		}},
		{"another application's", func(t *testing.T, dir string) {
			sql(t, dir, `PRAGMA application_id = 7`)
		}},
		{"another application's without a mark", func(t *testing.T, dir string) {
			sql(t, dir, `PRAGMA application_id = 0; PRAGMA user_version = 0`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, options(dir))
			settled(t, s, letters("kibana", 1, 2, 3)...)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			damaged := read(t, filepath.Join(dir, name))

			log, said := logTo()
			o := options(dir)
			o.Log = log
			s = open(t, o)
			if err := s.Begin("kibana", deadletter.Position{Next: 4, Dead: 3}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(deadletter.Account{Lost: 3}, s.Accounts()["kibana"]); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
			if !bytes.Equal(read(t, filepath.Join(dir, name+".damaged-1")), damaged) {
				t.Error("the file that was kept aside is not the damaged one")
			}
			if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "damaged-1") {
				t.Errorf("it was not said: %s", said)
			}
			settled(t, s, letters("kibana", 4)...)
		})
	}
}

// TestDamagedTwice: files that were kept aside stay. A log whose database is empty or
// gone is kept aside too: the letters may be in it.
func TestDamagedTwice(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := os.WriteFile(filepath.Join(dir, name+"-wal"), fmt.Appendf(nil, "log %d", i), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(t, options(dir)).Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		name + ".damaged-1": "", name + ".damaged-1-wal": "log 0", name + ".damaged-2-wal": "log 1",
	} {
		if got := string(read(t, filepath.Join(dir, file))); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}

// TestDamageThatIsMetLater: a file that is too large to be checked at every start is
// checked at the one that follows.
func TestDamageThatIsMetLater(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.MaxSize = 1 << 30
	s := open(t, o)
	var ls []deadletter.Letter
	for i := range uint64(9) {
		ls = append(ls, letter("kibana", 0, i+1))
		ls[i].Body = make([]byte, 4<<20)
	}
	settled(t, s, ls...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The root page of the letters: pages 1 to 5 hold the tables and indexes.
	rewrite(t, filepath.Join(dir, name), func(b []byte) []byte { clear(b[4096 : 6*4096]); return b })
	position := deadletter.Position{Next: 10, Dead: 9}

	s, err := deadletter.Open(o)
	if err == nil {
		err = s.Begin("kibana", position)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(err, deadletter.ErrDamaged) {
		t.Fatalf("begin with a damaged file: %v", err)
	}
	s = open(t, o)
	if err := s.Begin("kibana", position); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deadletter.Account{Lost: 9}, s.Accounts()["kibana"]); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, name+".damaged-1")); err != nil {
		t.Error(err)
	}
}

func TestANewerVersionIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, options(dir)).Close(); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, `PRAGMA user_version = 2`)
	_, err := deadletter.Open(options(dir))
	if !errors.Is(err, deadletter.ErrVersion) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "2") {
		t.Errorf("open: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, name+".damaged-1")); err == nil {
		t.Error("a newer version's file was moved aside")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := open(t, options(dir))
	settled(t, s, letters("kibana", 1)...)
	if _, err := deadletter.Open(options(dir)); !errors.Is(err, deadletter.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	settled(t, s, letters("kibana", 2)...)
}

func TestWhereNothingCanBeWritten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{
		"no directory":        filepath.Join(dir, "missing", name),
		"in a file":           filepath.Join(file, name),
		"the directory":       dir,
		"names out of a URL":  filepath.Join(dir, "missing?mode=memory", name),
		"not for anybody":     "/proc/" + name,
		"a name that is long": filepath.Join(dir, strings.Repeat("n", 300)),
	} {
		if _, err := deadletter.Open(deadletter.Options{Path: path, MaxSize: 1 << 20}); !errors.Is(err, deadletter.ErrIO) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTheFile: nobody else may read it, and its name is taken as it is.
func TestTheFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100% #1?mode=memory&x=y")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, options(dir))
	settled(t, s, letters("kibana", 1)...)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]os.FileMode{}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		found[f.Name()] = info.Mode()
	}
	if diff := cmp.Diff(map[string]os.FileMode{name: 0o600, name + "-wal": 0o600}, found); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestTheDiskFails: an error says so, nothing of the put is there, and the same put
// works once the disk does.
func TestTheDiskFails(t *testing.T) {
	dir := t.TempDir()
	o := options(dir)
	o.MaxSize = 64 << 20
	s := open(t, o)
	settled(t, s, letters("kibana", 1)...)
	put := letters("kibana", 2, 3)
	put[1].Body = make([]byte, 8<<20)

	restore := limitFiles(t, 1<<20)
	err := s.Put(put)
	restore()
	if !errors.Is(err, deadletter.ErrIO) {
		t.Fatalf("put on a disk that fails: %v", err)
	}
	s.Settle("kibana", 0)
	if diff := cmp.Diff([]uint64{1}, sequences(t, s, deadletter.Selection{})); diff != "" {
		t.Errorf("letters after a failed put (-want +got):\n%s", diff)
	}
	settled(t, s, put...)
	s = open(t, deadletter.Options{Path: filepath.Join(crashed(t, dir), name), MaxSize: o.MaxSize})
	if diff := cmp.Diff([]uint64{1, 2, 3}, sequences(t, s, deadletter.Selection{})); diff != "" {
		t.Errorf("letters after the disk works again (-want +got):\n%s", diff)
	}
}

// limitFiles lets no file of this process grow beyond so many bytes, until restore.
func limitFiles(t *testing.T, size uint64) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rewrite(t testing.TB, path string, f func([]byte) []byte) {
	t.Helper()
	if err := os.WriteFile(path, f(read(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
}
