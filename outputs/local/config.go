package local

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

// Config is the `local` block of an output.
type Config struct {
	// Path is empty for DefaultFile in spool.dir.
	Path string `yaml:"path" doc:"The database file; it is made when it is missing, and its folder too. Each output needs a file of its own. Empty means events.db in spool.dir."`
	// Retention of 0 keeps events until MaxSize is reached.
	Retention time.Duration `yaml:"retention" max:"87600h" doc:"How long events are kept, if max_size allows it. Threats and tickets that are open stay longer. 0 keeps all until max_size is reached."`
	MaxSize   config.Size   `yaml:"max_size" min:"8MiB" max:"1024GiB" doc:"The most that the database may take, its write-ahead log of a few MiB aside. When it is reached, the oldest events go."`
}

// DefaultFile is the name of the database in spool.dir.
const DefaultFile = "events.db"

// The limits of MaxSize, as in its tags.
const minSize, maxSize = 8 * config.MiB, 1024 * config.GiB

// Default returns the settings that a configuration starts from.
func Default() Config {
	return Config{Retention: 720 * time.Hour, MaxSize: config.GiB}
}

// Validate reports what the tags can't say.
func (c *Config) Validate(report func(key, format string, args ...any)) {
	if strings.HasSuffix(c.Path, "/") {
		report("path", "is a directory; name a file in it")
	}
}

// check returns every mistake, those against the tags too: New is also called with
// settings that came from no file.
func (c *Config) check() error {
	var errs []error
	wrong := func(key string, value any, problem string) {
		errs = append(errs, fmt.Errorf("check local output: %s: %v %s", key, value, problem))
	}
	if c.Path == "" || strings.ContainsRune(c.Path, 0) {
		wrong("path", fmt.Sprintf("%q", c.Path), "is no name of a file; name one")
	}
	if c.Retention < 0 {
		wrong("retention", c.Retention, "is negative; give a duration, or 0 for as long as max_size allows")
	}
	if c.MaxSize < minSize || c.MaxSize > maxSize {
		wrong("max_size", c.MaxSize, fmt.Sprintf("is out of range; give %s to %s", minSize, maxSize))
	}
	c.Validate(func(key, format string, args ...any) {
		wrong(key, fmt.Sprintf("%q", c.Path), fmt.Sprintf(format, args...))
	})
	return errors.Join(errs...)
}
