package file

import (
	"errors"
	"fmt"
	"strings"

	"github.com/siemrelay/siemrelay/internal/config"
)

// Config is the `file` block of an output.
type Config struct {
	Path string `yaml:"path" required:"the file to write, or - for standard output" doc:"The file to write, or - for standard output. The file and its directories are made when they are missing. Each output needs a file of its own."`
	// MaxSize and Keep are not used for standard output.
	MaxSize config.Size `yaml:"max_size" doc:"The size from which the file is renamed to path.1 and a new one is begun. A batch is never split, so a larger batch gets a file to itself. 0 means never, for example where logrotate does it (with create, not with copytruncate)."`
	Keep    int         `yaml:"keep" min:"1" max:"1000" doc:"How many renamed files stay, path.1 being the newest; the oldest is removed. Files beyond a number that was lowered stay too."`
}

// The limits of Keep, as in its tags.
const minKeep, maxKeep = 1, 1000

// Default returns the settings that a configuration starts from. Path has no default.
func Default() Config {
	return Config{MaxSize: 100 * config.MiB, Keep: 10}
}

// Validate reports what the tags can't say.
func (c *Config) Validate(report func(key, format string, args ...any)) {
	if strings.HasSuffix(c.Path, "/") {
		report("path", "is a directory; name a file in it")
	}
}

// check returns every mistake, those against the tags too: New is also called
// with settings that came from no file.
func (c *Config) check() error {
	var errs []error
	wrong := func(key string, value any, problem string) {
		errs = append(errs, fmt.Errorf("check file output: %s: %v %s", key, value, problem))
	}
	if c.Path == "" || strings.ContainsRune(c.Path, 0) {
		wrong("path", fmt.Sprintf("%q", c.Path), "is no name of a file; name one, or - for standard output")
	}
	if c.MaxSize < 0 {
		wrong("max_size", int64(c.MaxSize), "is negative; give a size, or 0 for a file that is never renamed")
	}
	if c.MaxSize > 0 && (c.Keep < minKeep || c.Keep > maxKeep) {
		wrong("keep", c.Keep, fmt.Sprintf("is out of range; give %d to %d, or max_size 0 for a file that is never renamed", minKeep, maxKeep))
	}
	c.Validate(func(key, format string, args ...any) {
		wrong(key, fmt.Sprintf("%q", c.Path), fmt.Sprintf(format, args...))
	})
	return errors.Join(errs...)
}
