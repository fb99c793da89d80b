package config_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/siemrelay/siemrelay/internal/config"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name, flag, variable string
		files                []string
		want                 string
	}{
		{"flag first", "a", "b", []string{"./siemrelay.yaml"}, "a"},
		{"then the variable", "", "b", []string{"./siemrelay.yaml"}, "b"},
		{"then here", "", "", []string{"/etc/siemrelay/siemrelay.yaml", "./siemrelay.yaml"}, "./siemrelay.yaml"},
		{"then /etc", "", "", []string{"/etc/siemrelay/siemrelay.yaml"}, "/etc/siemrelay/siemrelay.yaml"},
		{"nothing", "", "", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := config.Find(c.flag, config.Options{
				Getenv: func(name string) (string, bool) {
					if name != "SIEMRELAY_CONFIG" {
						t.Errorf("asks for %s", name)
					}
					return c.variable, c.variable != ""
				},
				Open: func(path string) (fs.File, error) {
					for _, f := range c.files {
						if f == path {
							return fstest.MapFS{"f": &fstest.MapFile{}}.Open("f")
						}
					}
					return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
				},
			})
			if err != nil || got != c.want {
				t.Errorf("found %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestFindDoesNotPassOver checks that a file that can't be opened is an error:
// the next one would be a surprise.
func TestFindDoesNotPassOver(t *testing.T) {
	got, err := config.Find("", config.Options{
		Getenv: func(string) (string, bool) { return "", false },
		Open: func(path string) (fs.File, error) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
		},
	})
	if want := "look for a configuration: open ./siemrelay.yaml: permission denied"; err == nil || err.Error() != want {
		t.Errorf("found %q, %v; want %s", got, err, want)
	}
}

// TestFindOnDisk uses the real file system.
func TestFindOnDisk(t *testing.T) {
	t.Chdir(t.TempDir())
	o := config.Options{Getenv: func(string) (string, bool) { return "", false }}
	if got, err := config.Find("", o); err != nil || got == "./siemrelay.yaml" {
		t.Errorf("in an empty folder found %q, %v", got, err)
	}
}
