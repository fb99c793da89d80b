package config_test

import (
	"strings"
	"testing"

	"github.com/siemrelay/siemrelay/internal/config"
)

// An output that reads its events says so about a format that it can't read, and not
// only when the first event comes.
func TestAnOutputThatNeedsECS(t *testing.T) {
	for settings, want := range map[string][]string{
		"":                                        nil,
		", format: ecs, event_original: true":     nil,
		", format: cef":                           {`outputs[0].format: "cef" does not go with the type local`},
		", event_original: false":                 {`outputs[0].event_original: false does not go with the type local`},
		", format: cef, event_original: false":    {"outputs[0].format", "outputs[0].event_original"},
		", format: nonsense":                      {`outputs[0].format: "nonsense" is unknown`},
		", local: {max_size: 1KiB, path: a/}":     {"outputs[0].local.path", "outputs[0].local.max_size"},
		", local: {retention: 0, max_size: 8MiB}": nil,
	} {
		m := exampleMachine(t)
		text := "receiver:\n  insecure_http: true\n  insecure_no_auth: true\n  listen: 127.0.0.1:8080\noutputs:\n  - {name: local, type: local" + settings + "}\n"
		m.write("siemrelay.yaml", text)
		_, err := config.Load("siemrelay.yaml", shipped(m))
		if (err == nil) != (want == nil) {
			t.Errorf("%s: %v", settings, err)
		}
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %s", settings, err, w)
			}
		}
		if err != nil && strings.Count(err.Error(), "\n") != len(want)-1 {
			t.Errorf("%s: more mistakes than there are: %v", settings, err)
		}
	}
}
