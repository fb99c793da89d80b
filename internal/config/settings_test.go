package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/siemrelay/siemrelay/internal/config"
)

// remoteSettings uses what the package comment offers to an output.
type remoteSettings struct {
	URLs    []string      `yaml:"urls" hide:"true" doc:"URLs."`
	Token   config.Secret `yaml:"token" doc:"Token."`
	TLS     remoteTLS     `yaml:"tls"`
	Routes  []route       `yaml:"routes" doc:"Routes."`
	Timeout time.Duration `yaml:"timeout" min:"1s" max:"1m" doc:"Timeout."`
	ignored int
}

type remoteTLS struct {
	CAFile  string `yaml:"ca_file" doc:"CA."`
	Enabled bool   `yaml:"enabled" doc:"TLS."`
}

func (r *remoteTLS) SetWritten() { r.Enabled = true }

type route struct {
	Kind  string `yaml:"kind" required:"a kind" oneof:"threat,ticket" doc:"Kind."`
	Topic string `yaml:"topic" doc:"Topic."`
}

func (r *route) SetDefaults() { r.Topic = "events" }

func (s *remoteSettings) Validate(report func(key, format string, args ...any)) {
	for i, url := range s.URLs {
		if !strings.HasPrefix(url, "https://") {
			report("urls["+string(rune('0'+i))+"]", "does not begin with https://")
		}
	}
	if len(s.URLs) == 0 {
		report("urls", "is missing; give at least %d", 1)
	}
	if s.TLS.CAFile == "" && s.Timeout > 30*time.Second {
		report("tls.ca_file", "is missing\nhere")
		report("timeout", "is too long without tls.ca_file")
	}
	if s.Token.IsSet() && s.Token.Value() == canary {
		report("token", "is a bad choice")
	}
}

// remote loads one output with remoteSettings.
func remote(t *testing.T, settings string) (*remoteSettings, []string) {
	t.Helper()
	m := newMachine(t)
	o := m.options()
	o.Types = append(o.Types, config.OutputType{
		Name: "remote", DefaultFormat: "cef",
		Settings: func() any { return &remoteSettings{Timeout: 40 * time.Second} },
	})
	m.write("siemrelay.yaml", openReceiver+"outputs:\n  - name: a\n    type: remote\n    remote: "+settings+"\n")
	cfg, err := config.Load("siemrelay.yaml", o)
	var all *config.Errors
	if errors.As(err, &all) {
		var lines []string
		for _, w := range all.Mistakes {
			lines = append(lines, strings.TrimPrefix(w.String(), "siemrelay.yaml:"))
		}
		return nil, lines
	}
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Outputs[0].Format != "cef" {
		t.Errorf("the format is %s", cfg.Outputs[0].Format)
	}
	return cfg.Outputs[0].Settings.(*remoteSettings), nil
}

func TestSettings(t *testing.T) {
	got, wrong := remote(t, `{urls: ["https://a"], token_file: /secret, tls: {ca_file: /ca}, routes: [{kind: threat}, {kind: ticket, topic: t}]}`)
	if wrong != nil {
		t.Fatal(wrong)
	}
	if got.Token.Value() != canary+" file" || got.TLS.CAFile != "/ca" || got.Timeout != 40*time.Second ||
		!slices.Equal(got.Routes, []route{{"threat", "events"}, {"ticket", "t"}}) {
		t.Errorf("got %+v", got)
	}
}

func TestSettingsMistakes(t *testing.T) {
	for _, c := range []struct {
		name, settings string
		want           []string
	}{
		{"list element, hidden", `{urls: ["https://a", "http://u:` + canary + `@b"], timeout: 1s}`, []string{
			"5:34: outputs[0].remote.urls[1]: does not begin with https://",
		}},
		{"missing list, default value, missing nested key", `{}`, []string{
			"5:13: outputs[0].remote.timeout: 40s (the default) is too long without tls.ca_file",
			"5:13: outputs[0].remote.tls.ca_file: is missing here",
			"5:13: outputs[0].remote.urls: is missing; give at least 1",
		}},
		{"secret", `{urls: ["https://a"], timeout: 1s, token: ` + canary + `}`, []string{
			"5:55: outputs[0].remote.token: is a bad choice",
		}},
		{"secret in a file", `{urls: ["https://a"], timeout: 1s, token_file: /canary}`, []string{
			"5:60: outputs[0].remote.token_file: is a bad choice",
		}},
		{"nothing follows from a mistake", `{urls: x, timeout: y, token: [z], tls: 1, routes: [{kind: a}]}`, []string{
			"5:20: outputs[0].remote.urls: must be a list, such as \"- one\" or [one, two], not text",
			"5:32: outputs[0].remote.timeout: \"y\" is not a duration; write a number and a unit, such as 500ms, 90s, 15m, 168h or 7d",
			"5:42: outputs[0].remote.token: must be text, not a list",
			"5:52: outputs[0].remote.tls: must be keys with values (ca_file, enabled), not a number",
			"5:71: outputs[0].remote.routes[0].kind: \"a\" is unknown; one of threat, ticket",
		}},
		{"a field without a tag is no key", `{urls: ["https://a"], timeout: 1s, ignored: 1}`, []string{
			"5:48: outputs[0].remote.ignored: unknown key; known here are urls, token, token_file, tls, routes, timeout",
		}},
		{"long value", `{urls: ["https://a"], tls: {ca_file: /a}, timeout: ` + strings.Repeat("ä", 60) + `}`, []string{
			`5:64: outputs[0].remote.timeout: "` + strings.Repeat("ä", 40) + `…" is not a duration; write a number and a unit, such as 500ms, 90s, 15m, 168h or 7d`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, got := remote(t, c.settings); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestKeysOfSettings(t *testing.T) {
	o := config.Options{Formats: []string{"ecs"}, Types: []config.OutputType{{Name: "remote", Settings: func() any { return &remoteSettings{Timeout: time.Minute} }}}}
	var got []string
	for _, k := range config.Keys(o) {
		if strings.Contains(k.Path, "remote") || k.Path == "outputs[].format" {
			got = append(got, k.Path+" | "+k.Type+" | "+k.Default)
		}
	}
	want := []string{
		"outputs[].format | one of ecs | required for remote",
		"outputs[].remote.urls | list of text | none",
		"outputs[].remote.token | text | none",
		"outputs[].remote.token_file | text | none",
		"outputs[].remote.tls.ca_file | text | none",
		"outputs[].remote.tls.enabled | true or false | false",
		"outputs[].remote.routes | list of keys with values | none",
		"outputs[].remote.routes[].kind | one of threat, ticket | required",
		"outputs[].remote.routes[].topic | text | events",
		"outputs[].remote.timeout | duration, 1s to 1m | 1m",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestABlockThatIsWritten: {} is something else than nothing, and what is in it counts.
func TestABlockThatIsWritten(t *testing.T) {
	for block, want := range map[string]bool{
		"": false, "tls: null": false, "tls: {}": true, "tls: {ca_file: ca.pem}": true, "tls: {enabled: false}": false, "tls: {enabled: true}": true,
	} {
		s, mistakes := remote(t, "{urls: [https://x], timeout: 10s, "+block+"}")
		if len(mistakes) > 0 || s.TLS.Enabled != want {
			t.Errorf("%q: enabled %v, mistakes %q; want %v", block, s != nil && s.TLS.Enabled, mistakes, want)
		}
	}
}
