package main

import (
	"path/filepath"
	"slices"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/local"
)

// localOutput is the output that keeps events to be looked at: search, show, tail and
// the console read what it writes.
func localOutput() outputType {
	return outputType{
		OutputType: config.OutputType{
			Name:          "local",
			DefaultFormat: "ecs",
			Settings:      func() any { c := local.Default(); return &c },
			NeedsECS:      true,
		},
		open: func(settings any, o outputOptions) (outputs.Output, error) {
			c := *settings.(*local.Config)
			c.Path = storePath(c, o.dataDir)
			return local.New(c, local.Options{Name: o.name, Logger: o.log})
		},
		owns: func(settings any) string {
			c := settings.(*local.Config)
			if c.Path == "" {
				return "the file " + local.DefaultFile + " in spool.dir"
			}
			if abs, err := filepath.Abs(c.Path); err == nil {
				return "the file " + abs
			}
			return ""
		},
		states:     func(any) bool { return true },
		overwrites: true,
	}
}

// storePath is where the database of a local output is; dir is spool.dir.
func storePath(c local.Config, dir string) string {
	if c.Path == "" {
		return filepath.Join(dir, local.DefaultFile)
	}
	return c.Path
}

// localStore finds the first local output of a configuration, whose database is the
// one that is looked at: its name, and where the database is; "" if there is none.
func localStore(cfg *config.Config) (name, path string) {
	i := slices.IndexFunc(cfg.Outputs, func(o config.Output) bool { return o.Type == localOutput().Name })
	if i < 0 {
		return "", ""
	}
	return cfg.Outputs[i].Name, storePath(*cfg.Outputs[i].Settings.(*local.Config), cfg.Spool.Dir)
}
