package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/siemrelay/siemrelay/internal/config"
	"github.com/siemrelay/siemrelay/internal/relay"
	"github.com/siemrelay/siemrelay/mappings"
	"github.com/siemrelay/siemrelay/normalize"
	"github.com/siemrelay/siemrelay/outputs"
	"github.com/siemrelay/siemrelay/outputs/elasticsearch"
	"github.com/siemrelay/siemrelay/outputs/file"
	"github.com/siemrelay/siemrelay/outputs/kafka"
	"github.com/siemrelay/siemrelay/outputs/syslog"
)

// outputType is a kind of output: what the configuration needs to know, and how
// one is made from its settings.
type outputType struct {
	config.OutputType
	open func(settings any, o outputOptions) (outputs.Output, error)
	// owns names what no two outputs can share, "" for nothing.
	owns func(settings any) string
	// namespace is the data_stream.namespace of events whose company has none; nil for
	// an output that has no setting for it.
	namespace func(settings any) string
	// states tells whether the output asks for each record's current state; nil is no.
	states func(settings any) bool
	// overwrites: the output can replace what the receiver has of an event.
	overwrites bool
}

// outputOptions are what outputs need besides their settings.
type outputOptions struct {
	stdout   io.Writer
	log      *slog.Logger
	name     string
	registry prometheus.Registerer // nil counts for nobody
	format   string
	dataDir  string // spool.dir
	// companies are those of the configuration, by id.
	companies map[string]config.Company
}

// outputTypes is the list of outputs: a new one is a folder under outputs/ and
// an entry here.
func outputTypes() []outputType {
	return []outputType{
		{
			OutputType: config.OutputType{
				Name:          "file",
				DefaultFormat: "ecs",
				Settings:      func() any { c := file.Default(); return &c },
			},
			open: func(settings any, o outputOptions) (outputs.Output, error) {
				return file.New(*settings.(*file.Config), file.Options{Stdout: o.stdout, Logger: o.log})
			},
			owns: func(settings any) string {
				path := settings.(*file.Config).Path
				if abs, err := filepath.Abs(path); err == nil && path != "-" {
					return "the file " + abs
				}
				return ""
			},
		},
		{
			OutputType: config.OutputType{
				Name:          "syslog",
				DefaultFormat: "cef",
				Settings:      func() any { c := syslog.Default(); return &c },
			},
			open: func(settings any, o outputOptions) (outputs.Output, error) {
				return syslog.New(*settings.(*syslog.Config), syslog.Options{Logger: o.log})
			},
			owns: func(any) string { return "" },
		},
		{
			OutputType: config.OutputType{
				Name:          "elasticsearch",
				DefaultFormat: "ecs",
				Settings:      func() any { c := elasticsearch.Default(); return &c },
			},
			open: func(settings any, o outputOptions) (outputs.Output, error) {
				return elasticsearch.New(*settings.(*elasticsearch.Config), elasticsearch.Options{Name: o.name, Logger: o.log, Registry: o.registry})
			},
			owns:       func(any) string { return "" },
			namespace:  func(settings any) string { return settings.(*elasticsearch.Config).Namespace },
			states:     func(settings any) bool { return settings.(*elasticsearch.Config).Latest },
			overwrites: true,
		},
		{
			OutputType: config.OutputType{
				Name:          "kafka",
				DefaultFormat: "ecs",
				Settings:      func() any { c := kafka.Default(); return &c },
			},
			open: func(settings any, o outputOptions) (outputs.Output, error) {
				return kafka.New(*settings.(*kafka.Config), kafka.Options{
					CompanyTopics: companyTopics(o.companies), Headers: kafkaHeaders(o.format), Logger: o.log,
				})
			},
			owns: func(any) string { return "" },
		},
		localOutput(),
	}
}

// openOutput makes the output that c describes. It dials nothing.
func openOutput(c config.Output, o outputOptions) (outputs.Output, error) {
	t, ok := outputTypeOf(c)
	if !ok {
		return nil, fmt.Errorf("make output %s: unknown type %q", c.Name, c.Type)
	}
	o.name, o.format = c.Name, c.Format
	out, err := t.open(c.Settings, o)
	if err != nil {
		return nil, fmt.Errorf("make output %s: %w", c.Name, err)
	}
	return out, nil
}

// companyTopics are the topics of the companies that have one of their own.
func companyTopics(companies map[string]config.Company) map[string]string {
	topics := map[string]string{}
	for id, c := range companies {
		if c.Topic != "" {
			topics[id] = c.Topic
		}
	}
	return topics
}

// kafkaHeaders are the headers of records that depend on the format of their value.
func kafkaHeaders(format string) []kafka.Header {
	if format == "ecs" {
		return []kafka.Header{{Key: "ecs.version", Value: normalize.ECSVersion}, {Key: "content-type", Value: "application/json"}}
	}
	return []kafka.Header{{Key: "content-type", Value: "text/plain; charset=utf-8"}}
}

// namespaceOf is the data_stream.namespace of events at an output whose company has
// none.
func namespaceOf(c config.Output) string {
	if t, ok := outputTypeOf(c); ok && t.namespace != nil {
		return t.namespace(c.Settings)
	}
	return namespace
}

// stateOf is the encoder of the states that an output asks for, nil if it doesn't.
func stateOf(c config.Output) normalize.Encoder {
	if t, ok := outputTypeOf(c); ok && t.states != nil && t.states(c.Settings) {
		return normalize.NewState()
	}
	return nil
}

// outputTypeOf finds the type of a configured output.
func outputTypeOf(c config.Output) (outputType, bool) {
	types := outputTypes()
	i := slices.IndexFunc(types, func(t outputType) bool { return t.Name == c.Type })
	if i < 0 {
		return outputType{}, false
	}
	return types[i], true
}

// overwrites tells whether a configured output can replace what the receiver has.
func overwrites(c config.Output) bool {
	t, ok := outputTypeOf(c)
	return ok && t.overwrites
}

// configOptions are what package config can't know.
func configOptions() config.Options {
	o := config.Options{Formats: normalize.Formats(), CheckFilter: checkFilter}
	for _, t := range outputTypes() {
		o.Types = append(o.Types, t.OutputType)
	}
	return o
}

// checkFilter asks the relay whether a text is a filter.
func checkFilter(text string) error {
	_, err := relay.ParseFilter(text)
	return err
}

// loadConfig finds and reads the configuration. path is empty, and the
// configuration nil, if there is no file.
func loadConfig(flag string, o config.Options) (cfg *config.Config, path string, err error) {
	path, err = config.Find(flag, o)
	if err == nil && path != "" {
		cfg, err = config.Load(path, o)
	}
	if err == nil && cfg != nil {
		err = checkOwners(cfg.Outputs)
	}
	if err != nil {
		return nil, path, settingsFailure(err)
	}
	return cfg, path, nil
}

// checkOwners refuses two outputs that would be in each other's way.
func checkOwners(configured []config.Output) error {
	owner := map[string]config.Output{}
	var mistakes []config.Mistake
	for _, c := range configured {
		t, ok := outputTypeOf(c)
		if !ok {
			continue // openOutput says so
		}
		thing := t.owns(c.Settings)
		if other, taken := owner[thing]; thing != "" && taken {
			m := c.Where
			m.Text = fmt.Sprintf("output %s has %s, and so has output %s (line %d); give each its own", c.Name, thing, other.Name, other.Where.Line)
			mistakes = append(mistakes, m)
			continue
		}
		owner[thing] = c
	}
	if len(mistakes) > 0 {
		return &config.Errors{Mistakes: mistakes}
	}
	return nil
}

// loadMapping reads the mapping that the binary carries and merges the files of the
// configuration over it. Its error tells every mistake of every file.
func loadMapping(cfg *config.Config) (*normalize.Mapping, error) {
	o := normalize.MappingOptions{LinkHosts: cfg.LinkHosts, Companies: map[string]normalize.Company{}}
	for id, c := range cfg.Companies {
		o.Companies[id] = normalize.Company{Name: c.Name, Namespace: c.Namespace}
	}
	var files []normalize.MappingFile
	for _, f := range cfg.MappingFiles {
		files = append(files, normalize.MappingFile{Name: f.Name, Data: f.Data})
	}
	m, err := mergedMapping(files, o)
	if err != nil {
		return nil, &exitError{exitConfig, err}
	}
	return m, nil
}

// mergedMapping merges files over the mapping that the binary carries. Mistakes in
// files are told as those of a configuration are, by a *config.Errors.
func mergedMapping(files []normalize.MappingFile, o normalize.MappingOptions) (*normalize.Mapping, error) {
	all := []normalize.MappingFile{{Name: mappings.File, Data: mappings.Defensecom()}}
	m, err := normalize.ParseMappings(append(all, files...), o)
	var found *normalize.MappingErrors
	if !errors.As(err, &found) {
		return m, err
	}
	mistakes := &config.Errors{}
	for _, x := range found.Mistakes {
		mistakes.Mistakes = append(mistakes.Mistakes, config.Mistake(x))
	}
	return nil, mistakes
}

var errNoConfig = errors.New("there is no configuration file: name one with -c, or put it at ./siemrelay.yaml or /etc/siemrelay/siemrelay.yaml")

// newLogger writes to w as the configuration says; auto is text on a terminal.
func newLogger(w *os.File, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "text" || c.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}
