package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hidden is what a Secret shows.
const hidden = "***"

// maxSecret is far above any password, and keeps a wrong path (a log, a disk)
// from being taken for one.
const maxSecret = 4 << 10

// secretAge is how old the value of a file may become before it is read again.
const secretAge = time.Second

// Secret is a password, a key or a token. It prints as *** in every way that fmt,
// encoding/json, encoding/xml, yaml and slog print; Value is the one way to its
// text. The zero Secret is not set.
//
// The text is inside a function, because that is what no printer looks into:
// for a Secret in an unexported field fmt may not call methods, and for a verb
// that doesn't fit it even follows a pointer.
type Secret struct {
	get  func() string
	file string
}

// NewSecret returns a secret with a fixed value.
func NewSecret(value string) Secret {
	return Secret{get: func() string { return value }}
}

// NewSecretFile returns a secret that is the content of a file, without the line
// ending at its end. The file must hold one line of at most 4 KiB; it is read
// now, and again when the value is asked for and is older than a second, so
// that a changed file needs no restart. If that fails the last good value
// stays; Options.SecretRead is told. Of the options it uses Open, Now and
// SecretRead.
func NewSecretFile(path string, o Options) (Secret, error) {
	s, _, err := openSecret(path, o)
	if err != nil {
		return Secret{}, fmt.Errorf("read secret file %s: %w", path, err)
	}
	return s, nil
}

// openSecret is NewSecretFile with the file's mode, and an error without its path.
func openSecret(path string, o Options) (Secret, fs.FileInfo, error) {
	f := &secretFile{path: path, options: o.withDefaults()}
	value, info, err := f.read()
	if err != nil {
		return Secret{}, nil, err
	}
	f.value.Store(&value)
	f.next.Store(f.options.Now().Add(secretAge).UnixNano())
	return Secret{get: f.current, file: path}, info, nil
}

// Value returns the secret's text. It is cheap enough to be called for each
// request, and safe for concurrent use.
func (s Secret) Value() string {
	if s.get == nil {
		return ""
	}
	return s.get()
}

// IsSet tells whether there is a secret.
func (s Secret) IsSet() bool { return s.get != nil }

// File is the path of the file that the secret is read from, empty if there is none.
func (s Secret) File() string { return s.file }

// Format implements fmt.Formatter: every verb and flag prints ***.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalYAML implements yaml.Marshaler.
func (Secret) MarshalYAML() (any, error) { return hidden, nil }

// secretFile is a file's value. One caller at a time reads the file again, in
// its own call; the others go on with the value that is there.
type secretFile struct {
	path    string
	options Options
	value   atomic.Pointer[string]
	next    atomic.Int64 // when to read again, in Unix nanoseconds
	mu      sync.Mutex
	failing bool // guarded by mu
}

func (f *secretFile) current() string {
	now := f.options.Now()
	if now.UnixNano() >= f.next.Load() && f.mu.TryLock() {
		f.refresh(now)
		f.mu.Unlock()
	}
	return *f.value.Load()
}

// refresh reads the whole file instead of comparing its times: it is a few
// bytes once a second, and a change within the clock's grain is seen too.
func (f *secretFile) refresh(now time.Time) {
	if now.UnixNano() < f.next.Load() {
		return
	}
	f.next.Store(now.Add(secretAge).UnixNano())
	value, _, err := f.read()
	if err != nil {
		if !f.failing {
			f.failing = true
			f.options.SecretRead(f.path, err)
		}
		return
	}
	changed := value != *f.value.Load()
	f.value.Store(&value)
	if changed || f.failing {
		f.failing = false
		f.options.SecretRead(f.path, nil)
	}
}

func (f *secretFile) read() (string, fs.FileInfo, error) {
	text, info, err := readFile(f.options, f.path, maxSecret)
	if err != nil {
		return "", nil, err
	}
	value := trimNewline(string(text))
	if problem := secretProblem(value); problem != "" {
		return "", nil, errors.New(problem)
	}
	return value, info, nil
}

// secretProblem says what keeps a text from being a secret. RFC 7617 section 2
// forbids control characters in a password; elsewhere they are a sign of a
// wrong file.
func secretProblem(value string) string {
	switch {
	case value == "":
		return "is empty"
	case len(value) > maxSecret:
		return "is longer than 4 KiB"
	case strings.ContainsAny(value, "\r\n"):
		return "has more than one line"
	case strings.ContainsFunc(value, isControl):
		return "holds a control character"
	}
	return ""
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func trimNewline(text string) string { return strings.TrimRight(text, "\r\n") }
