package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"syscall"
	"time"
)

// maxFile limits the configuration file and each file that it names.
const maxFile = 1 << 20

// OutputType is a kind of output that a configuration may use.
type OutputType struct {
	// Name is the value of "type" and the key of the settings block.
	Name string
	// Settings returns a pointer to the type's own struct, filled with its
	// defaults. The package comment says what such a struct looks like.
	Settings func() any
	// DefaultFormat is the format of an output that names none.
	DefaultFormat string
	// NeedsECS: the output reads its events, so that the format must be ecs, and
	// event_original true.
	NeedsECS bool
}

// Options is what the configuration can't know, and its way to the outside.
type Options struct {
	// Types are the output types that exist.
	Types []OutputType
	// Formats are the names of the event formats that exist.
	Formats []string
	// CheckFilter says what is wrong with the text of an output's "when", which is
	// not blank. Its error may repeat the text. Nil takes any text.
	CheckFilter func(text string) error

	// Getenv looks a variable up; nil is os.LookupEnv.
	Getenv func(name string) (string, bool)
	// Open opens a file to read it once; nil is the file system.
	Open func(path string) (fs.File, error)
	// Now is the clock for reading secret files again; nil is time.Now.
	Now func() time.Time
	// SecretRead is called when the value of a secret file changed or became
	// readable again (err is nil), and once when it can no longer be read. Any
	// goroutine that asks for a value may call it; nil ignores it.
	SecretRead func(path string, err error)
}

func (o Options) withDefaults() Options {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.Open == nil {
		o.Open = openFile
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CheckFilter == nil {
		o.CheckFilter = func(string) error { return nil }
	}
	if o.SecretRead == nil {
		o.SecretRead = func(string, error) {}
	}
	return o
}

// Load reads a configuration file. If the file can't be read, the error says so;
// if it is wrong, the error is *Errors and holds every mistake.
func Load(path string, o Options) (*Config, error) {
	o = o.withDefaults()
	text, info, err := readFile(o, path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	d := &decoder{
		file: path, options: o, budget: maxValues,
		spots: map[string]spot{}, wrong: map[string]bool{}, around: map[string]bool{},
	}
	cfg := Default()
	root, ok := d.parse(text)
	if ok {
		d.value(root, reflect.ValueOf(cfg).Elem(), field{}, place{line: 1, column: 1})
	}
	if d.literal && readableByOthers(info) {
		d.warn(place{line: 1, column: 1}, "holds a secret and can be read by every user of this machine; take that right away (chmod o-r) or put the secret in a file of its own")
	}
	if len(d.mistakes) > 0 {
		return nil, &Errors{Mistakes: sorted(d.mistakes)}
	}
	cfg.Warnings = sorted(d.warnings)
	return cfg, nil
}

// Find returns the path of the configuration file: the flag's, else that of
// $SIEMRELAY_CONFIG, else ./siemrelay.yaml or /etc/siemrelay/siemrelay.yaml,
// the first that exists. It is "" when there is none. A file that is there but
// can't be opened is not passed over. Of the options it uses Getenv and Open.
func Find(flag string, o Options) (string, error) {
	o = o.withDefaults()
	if flag != "" {
		return flag, nil
	}
	if path, _ := o.Getenv("SIEMRELAY_CONFIG"); path != "" {
		return path, nil
	}
	for _, path := range []string{"./siemrelay.yaml", "/etc/siemrelay/siemrelay.yaml"} {
		f, err := o.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("look for a configuration: %w", err)
		}
		return path, f.Close()
	}
	return "", nil
}

// openFile does not wait for a writer if the path is a named pipe.
func openFile(path string) (fs.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// readFile reads a regular file of at most limit bytes. Its errors do not repeat
// the path, which may have come out of an expansion.
func readFile(o Options, path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := o.Open(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("is not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	if int64(len(text)) > limit {
		return nil, nil, fmt.Errorf("is larger than %s", Size(limit))
	}
	return text, info, nil
}

func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
