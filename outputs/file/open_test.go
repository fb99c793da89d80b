package file_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/outputs/file"
)

// TestTornLastLine: what a crash left behind the last line's end is cut. Its
// event is sent again by the relay.
func TestTornLastLine(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for name, c := range map[string]struct{ before, after string }{
		"empty":                    {"", ""},
		"whole":                    {"a\nb\n", "a\nb\n"},
		"torn":                     {"a\nb\nc", "a\nb\n"},
		"only a torn line":         {"abc", ""},
		"only a line end":          {"\n", "\n"},
		"long torn line":           {"a\n" + long, "a\n"},
		"long only line":           {long, ""},
		"long whole line":          {long + "\n", long + "\n"},
		"torn at a block's border": {"a\n" + long[:64<<10], "a\n"},
		"torn in a character":      {"a\n{\"x\":\"\xe6\x97", "a\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events")
			if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			mustSend(t, newOutput(t, path, file.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}), "new")
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if want := c.after + "new\n"; string(got) != want {
				t.Errorf("the file is %.100q, want %.100q", got, want)
			}
			if cut := strings.Contains(log.String(), "cut a torn last line"); cut != (c.before != c.after) {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

// TestFileChangedUnderneath: what others do to the file between two batches, and
// what is in it and in path.1 after the second.
func TestFileChangedUnderneath(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		want   map[string]string
	}{
		"moved": {
			func(path string) error { return os.Rename(path, path+".1") },
			map[string]string{".1": "a", "": "b"},
		},
		"moved and made anew": {
			func(path string) error {
				return errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600))
			},
			map[string]string{".1": "a", "": "b"},
		},
		"removed":                      {os.Remove, map[string]string{"": "b"}},
		"removed with its directory":   {func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, map[string]string{"": "b"}},
		"emptied":                      {func(path string) error { return os.Truncate(path, 0) }, map[string]string{"": "b"}},
		"cut inside a line":            {func(path string) error { return os.Truncate(path, 1) }, map[string]string{"": "b"}},
		"appended to":                  {func(path string) error { return appendTo(path, "x\n") }, map[string]string{"": "a x b"}},
		"appended to without line end": {func(path string) error { return appendTo(path, "x") }, map[string]string{"": "a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dir", "events")
			fs := newFaultFS(t)
			out := newOutput(t, path, file.Options{FS: fs})
			mustSend(t, out, "a")
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			mustSend(t, out, "b")
			fs.mustBeDurable()
			wantContents(t, path, c.want)
		})
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Close()
}

// FuzzSend: whatever is in the file, and whatever the body, the file's whole
// lines stay, and at most one line is added.
func FuzzSend(f *testing.F) {
	f.Add([]byte("a\nb"), []byte(`{"n":1}`))
	f.Add([]byte{}, []byte("x\ny"))
	f.Add([]byte("\r\n\x00"), []byte("\r"))
	f.Add([]byte("\n"), []byte{})
	f.Fuzz(func(t *testing.T, before, body []byte) {
		path := filepath.Join(t.TempDir(), "events")
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		err := send(newOutput(t, path, file.Options{}), string(body))
		got, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if bytes.ContainsAny(body, "\r\n") {
			if err == nil || !bytes.Equal(got, before) {
				t.Fatalf("body %q: error %v, file %q became %q", body, err, before, got)
			}
			return
		}
		want := string(before[:bytes.LastIndexByte(before, '\n')+1]) + string(body) + "\n"
		if err != nil || string(got) != want {
			t.Fatalf("body %q: error %v, file is %q, want %q", body, err, got, want)
		}
	})
}
