package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/siemrelay/siemrelay/internal/config"
)

// bulkySettings has a default of its own for batches, if they are large.
type bulkySettings struct {
	Large bool `yaml:"large"`
}

func (s *bulkySettings) DefaultBatch() (maxEvents int, maxBytes config.Size) {
	if s.Large {
		return 20_000, 30 * config.MiB
	}
	return 0, 0
}

// TestDefaultBatch: an output's own default holds for the limits that are not given.
func TestDefaultBatch(t *testing.T) {
	kind := config.OutputType{Name: "bulky", DefaultFormat: "cef", Settings: func() any { return &bulkySettings{Large: true} }}
	for _, c := range []struct {
		name, output string
		events       int
		bytes        config.Size
	}{
		{"by default", "", 20_000, 30 * config.MiB},
		{"an empty batch", "batch: {}", 20_000, 30 * config.MiB},
		{"another limit", "batch: {max_wait: 1s}", 20_000, 30 * config.MiB},
		{"events are given", "batch: {max_events: 1000}", 1000, 30 * config.MiB},
		{"bytes are given", "batch: {max_bytes: 5MiB}", 20_000, 5 * config.MiB},
		{"none of its own", "bulky: {large: false}", 1000, 5 * config.MiB},
	} {
		m := newMachine(t)
		o := m.options()
		o.Types = append(o.Types, kind)
		m.write("siemrelay.yaml", openReceiver+"outputs:\n  - name: a\n    type: bulky\n    "+c.output+"\n")
		cfg, err := config.Load("siemrelay.yaml", o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := cfg.Outputs[0].Batch; got.MaxEvents != c.events || got.MaxBytes != c.bytes {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
	made := config.DefaultOutput("a", kind)
	m := newMachine(t)
	o := m.options()
	o.Types = append(o.Types, kind)
	m.write("siemrelay.yaml", openReceiver+"outputs: [{name: a, type: bulky}]\n")
	cfg, err := config.Load("siemrelay.yaml", o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cfg.Outputs[0].Batch, made.Batch); diff != "" {
		t.Errorf("-loaded +made:\n%s", diff)
	}
}
